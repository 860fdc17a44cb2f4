//! What is shipped around the program does what it says: containers that have no place to write but their data directory, a
//! balancer that shows nobody what watches the processes, compose files that publish nothing.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test may stop at the first surprise, and tells of its run")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    eventually, in_both_arms,
    live::Transport,
    person::Person,
    pictures,
    process::{Arm, data_dir, program, run},
    timetable,
    watch::Watcher,
};
use serde_json::Value;

in_both_arms!(every_role_runs_with_no_place_to_write_but_its_data);

const WITHIN: Duration = Duration::from_secs(20);
const COMPOSE: &str = "docker-compose.yml";
const DEVELOPMENT: &str = "docker-compose.override.yml";
const PRODUCTION: &str = "docker-compose.production.yml";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn compose(name: &str) -> anyhow::Result<Value> {
    let mut file: yaml_serde::Value = yaml_serde::from_str(&fs::read_to_string(path(name))?)?;
    // What is merged may merge something itself.
    file.apply_merge()?;
    file.apply_merge()?;
    Ok(serde_json::to_value(file)?)
}

fn services(file: &Value) -> impl Iterator<Item = (&String, &Value)> {
    file["services"].as_object().into_iter().flatten()
}

/// Those that run the program.
fn ours(file: &Value) -> impl Iterator<Item = (&String, &Value)> {
    services(file).filter(|(_, service)| service["image"] == "berth")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn compose_seals_each_process_as_the_test_does() -> anyhow::Result<()> {
    let file = compose(COMPOSE)?;
    ensure!(ours(&file).count() == 13, "{:?}", ours(&file).map(|(name, _)| name).collect::<Vec<_>>());
    for (name, service) in ours(&file) {
        ensure!(service["read_only"] == true, "{name} can write everywhere");
        ensure!(texts(&service["cap_drop"]) == ["ALL"], "{name} has capabilities");
        ensure!(texts(&service["security_opt"]) == ["no-new-privileges:true"], "{name} may gain privileges");
        ensure!(service["user"].is_null(), "{name} is another user than the image's");
        let places: Vec<&str> = texts(&service["tmpfs"]).into_iter().filter_map(|place| place.split(':').next()).collect();
        ensure!(places == ["/var/lib/berth"], "{name} writes to {places:?}");
        let keys = if name == "keys" { "keys:/var/lib/berth-keys" } else { "keys:/var/lib/berth-keys:ro" };
        ensure!(texts(&service["volumes"]) == [keys], "{name} has {:?}", service["volumes"]);
    }
    ensure!(fs::read_to_string(path("Dockerfile"))?.contains("\nUSER 65532:65532\n"), "the image runs as another user");
    Ok(())
}

#[test]
fn compose_publishes_nothing_and_knows_its_proxies() -> anyhow::Result<()> {
    let base = compose(COMPOSE)?;
    let names: BTreeSet<&String> = ours(&base).map(|(name, _)| name).collect();
    for file in [COMPOSE, DEVELOPMENT, PRODUCTION] {
        for (name, service) in services(&compose(file)?) {
            let open: Vec<&str> = texts(&service["ports"]).into_iter().filter(|port| !port.starts_with("127.0.0.1:")).collect();
            ensure!(open.is_empty(), "{file} publishes {open:?} of {name}");
        }
    }
    for (name, service) in ours(&base) {
        ensure!(service["environment"]["BERTH_TRUSTED_PROXIES"] == 1, "{name} does not know of the balancer");
        for of_a_profile in ["BERTH_PROFILE", "BERTH_SMTP_URL", "BERTH_PUBLIC_URL"] {
            ensure!(service["environment"][of_a_profile].is_null(), "{name}: {of_a_profile} belongs to {DEVELOPMENT}");
        }
    }
    for (file, profile) in [(DEVELOPMENT, "development"), (PRODUCTION, "production")] {
        let layer = compose(file)?;
        let set = |service: &Value| service["environment"]["BERTH_PROFILE"] == profile;
        let told: BTreeSet<&String> = services(&layer).filter(|(_, service)| set(service)).map(|(name, _)| name).collect();
        ensure!(told == names, "{file} forgets {:?}", names.symmetric_difference(&told));
    }
    let redis = &base["services"]["redis"];
    let command = texts(&redis["command"]).join(" ");
    ensure!(command.contains("--maxmemory 400mb") && redis["deploy"]["resources"]["limits"]["memory"] == "512M", "{command}");
    Ok(())
}

/// A value of a compose file with the values of the example in it; its domain is one that production takes.
fn filled(value: &Value, example: &BTreeMap<String, String>) -> Option<String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let Some((before, rest)) = text.split_once("${") else { return (!value.is_null()).then_some(text) };
    let (inner, after) = rest.split_once('}')?;
    let (name, default) = inner.split_once(":-").or_else(|| inner.split_once(":?")).unwrap_or((inner, ""));
    let chosen = example.get(name).map_or(default, String::as_str).replace(".example", ".berth-tests.id");
    Some(format!("{before}{chosen}{after}"))
}

#[test]
fn production_tells_each_role_what_it_asks_for() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (base, production) = (compose(COMPOSE)?, compose(PRODUCTION)?);
    let example = fs::read_to_string(path("deploy/production.env.example"))?;
    let pairs = example.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let example = pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect();
    let mut asked = Vec::new();
    // Replicas are told the same.
    for (name, service) in
        ours(&base).filter(|(name, service)| service["environment"]["BERTH_ROLES"].is_string() && !name.ends_with("-2"))
    {
        let mut command = Command::new(program()?);
        command.arg("doctor").env_clear().env("BERTH_DATA_DIR", folder.path());
        for layer in [service, &production["services"][name]] {
            for (setting, value) in layer["environment"].as_object().into_iter().flatten() {
                let Some(mut value) = filled(value, &example) else { continue };
                if setting.ends_with("_FILE") {
                    value = folder.path().join(format!("{name}-{setting}")).display().to_string();
                    fs::write(&value, secret_like(setting))?;
                }
                command.env(setting, value);
            }
        }
        asked.push((name, command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?));
    }
    for (name, doctor) in asked {
        let output = doctor.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let verdicts: Vec<&str> = said.lines().filter(|line| line.split_whitespace().nth(1) == Some("settings:")).collect();
        ensure!(verdicts.len() == 1 && verdicts[0].starts_with("ok"), "{name}: {said}");
        ensure!(verdicts[0].contains("production"), "{name}: {said}");
    }
    Ok(())
}

fn secret_like(setting: &str) -> &'static str {
    match setting {
        "BERTH_REDIS_URL_FILE" => "redis://127.0.0.1:1",
        "BERTH_SMTP_URL_FILE" => "smtps://berth:3f%2F9c1d5be@127.0.0.1:1",
        "BERTH_PROVIDER_SERVER_KEY_FILE" => "Mid-server-0b1c2d3e4f5a6978",
        _ => "postgres://berth:0b1c2d3e4f5a6978@127.0.0.1:1/berth",
    }
}

/// Whether this machine lets us seal a process; says so when it does not.
fn can_seal() -> bool {
    let tried = Command::new("unshare").args(["-m", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let can = tried.is_ok_and(|tried| tried.status.success());
    if !can {
        println!("NOT RUN: this user may not make a mount namespace; as root it runs");
    }
    can
}

async fn every_role_runs_with_no_place_to_write_but_its_data(arm: Arm) -> anyhow::Result<()> {
    if !can_seal() {
        return Ok(());
    }
    let (keys, shared) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let made = run(&["keys", "init"], &keys)?;
    ensure!(made.status.success(), "{made:?}");
    let text = |path: &Path| path.display().to_string();
    let setup = arm
        .setup()
        .program(&path("tests/sealed.sh").canonicalize()?)
        .env("SEALED_PROGRAM", &text(&program()?.canonicalize()?))
        .env("SEALED_KEYS", &text(&data_dir(&keys).join("keys")))
        .env("SEALED_SHARED", &text(shared.path()))
        .env("BERTH_KEYS_DIR", "/mnt/keys")
        .env("BERTH_MAIL_FILE", "/mnt/shared/mail.jsonl")
        .env("BERTH_CLOCK_FILE", "/mnt/shared/clock");
    let mut berth = setup.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "sealed").await?;
    let train = timetable::demo_train(&client, 3).await?;
    let segment = train.segment(0, 2);
    let mut watcher = Watcher::open(&client, Transport::WebSocket, &segment, None).await?;
    let seats = timetable::free_seats(&client, &segment, 2).await?;
    let booking = person.buy(&segment, &[&seats[0], &seats[1]]).await?;
    watcher.take(WITHIN).await?;
    ensure!(booking.to_string().contains("ticket_"), "no ticket: {booking}");
    let token = person.client.token().context("a token")?;
    let picture = client.request(reqwest::Method::POST, "/me/avatar").bearer_auth(token).header("content-type", "image/png");
    let kept = picture.body(pictures::picture(image::ImageFormat::Png)?).send().await?;
    ensure!(kept.status().is_success(), "{kept:?}");
    for process in berth.processes() {
        let id = process.id().context("it runs")?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        for line in ["Uid:\t65532\t65532", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
            ensure!(status.contains(line), "{} is not sealed: {status}", process.name());
        }
    }
    berth.stop().await
}

/// The balancer with the configuration that is shipped, before one router.
struct Balancer {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Balancer {
    /// `None`, loudly: there is no haproxy (tests/run brings it).
    async fn start(router: SocketAddr) -> anyhow::Result<Option<Self>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let folder = tempfile::tempdir()?;
        let shipped = fs::read_to_string(path("deploy/haproxy.cfg"))?;
        let here = shipped
            .replace("router-1:4000", &router.to_string())
            .replace("router-2:4000", &router.to_string())
            .replace("bind :4000", &format!("bind {address}"))
            .replace("maxconn 20000", "maxconn 200");
        ensure!(here.matches(&router.to_string()).count() == 2 && here.contains(&format!("bind {address}")), "{here}");
        let file = folder.path().join("haproxy.cfg");
        fs::write(&file, here)?;
        let started = Command::new("haproxy").arg("-q").arg("-f").arg(&file).stdin(Stdio::null()).spawn();
        let Ok(process) = started else {
            println!("NOT RUN: there is no haproxy here; tests/run brings it");
            return Ok(None);
        };
        let balancer = Self { process, address, _folder: folder };
        eventually("the balancer", WITHIN, || async { Ok(TcpStream::connect(address).ok()) }).await?;
        Ok(Some(balancer))
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The answer to a request line exactly as it is written here: no client tidies it up.
fn raw(address: SocketAddr, target: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WITHIN))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: tickets.example\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_balancer_shows_nobody_what_watches_the_processes() -> anyhow::Result<()> {
    let berth = Arm::Embedded.setup().env("BERTH_TRUSTED_PROXIES", "1").start().await?;
    let Some(balancer) = Balancer::start(berth.address()?).await? else { return Ok(()) };
    ensure!(raw(berth.address()?, "/metrics")?.contains("berth_up 1"), "inside, the metrics are there");
    for target in ["/metrics", "/livez", "/readyz", "/metrics?x=1", "http://tickets.example/metrics"] {
        let answer = raw(balancer.address, target)?;
        ensure!(answer.starts_with("HTTP/1.1 404"), "{target}: {answer}");
    }
    for target in ["/metrics/", "//metrics", "/%6detrics", "/METRICS", "/./metrics", "/x/../metrics", "/metrics;x", "/readyz/"] {
        let answer = raw(balancer.address, target)?;
        ensure!(!answer.contains("berth_up") && !answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
    }
    for target in ["/health", "/readiness", "/.well-known/jwks.json"] {
        let answer = raw(balancer.address, target)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
    }
    let client = Client::new(&format!("http://{}", balancer.address))?;
    let train = timetable::demo_train(&client, 3).await?;
    let segment = train.segment(0, 2);
    let mut watcher = Watcher::open(&client, Transport::WebSocket, &segment, None).await?;
    Person::sign_up(&client, "balanced").await?.hold_best(&segment, 1).await?;
    watcher.take(WITHIN).await
}
