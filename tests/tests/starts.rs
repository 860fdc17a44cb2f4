//! How a process refuses to start, and with which exit code: the table of docs/OPERATIONS.md, case by case. No refusal repeats a secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{fs, path::Path, time::Duration};

use anyhow::ensure;
use berth_tests::{
    eventually, in_both_arms,
    process::{Process, program, run_with, said},
    proxy::{Mode, Proxy},
    servers::Database,
    world::Arm,
};
use reqwest::Url;
use sea_orm::ConnectionTrait;
use tempfile::TempDir;

in_both_arms!(other_keys_are_refused);

/// A password that stands in no message.
const PASSWORD: &str = "tulip4711";
const SOON: Duration = Duration::from_secs(30);

/// What is set, how the command ends, and what it says.
type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], i32, &'static [&'static str]);

const MIGRATE: &[&str] = &["migrate"];
const CONFIG: &[&str] = &["config"];

const CASES: [Case; 22] = [
    (CONFIG, &[], 0, &["demo = true"]),
    (&["nonsense"], &[], 2, &["unrecognized subcommand"]),
    (&["events", "replay", "01a228ac-0280-702a-8000-000000000000"], &[], 1, &["there is no database"]),
    (
        MIGRATE,
        &[("BERTH_DATABASE_URL", "postgres://berth:tulip4711@127.0.0.1:1/x"), ("BERTH_DATABASE_WAIT_SECS", "0")],
        75,
        &["does not answer"],
    ),
    (
        MIGRATE,
        &[("BERTH_DATABASE_URL", "postgres://berth:tulip4711/x@db/berth")],
        78,
        &["database_url: ", "percent-encode the password"],
    ),
    (MIGRATE, &[("BERTH_DATABASE_URL", "postgres://berth:tulip4711@db:54x2/berth")], 78, &["database_url: "]),
    (MIGRATE, &[("BERTH_DATABASE_URL", "postgres://berth:p@tulip4711#x@db/berth")], 78, &["percent-encode"]),
    (MIGRATE, &[("BERTH_DATABASE_URL", "postgres://berth:tulip4711@db/berth?foo=tulip4711")], 78, &["parameter"]),
    (MIGRATE, &[("BERTH_REDIS_URL", "redis:/tulip4711@cache")], 78, &["redis_url: must begin with redis://"]),
    (MIGRATE, &[("BERTH_SMTP_URL", "smtp://me:tulip4711/@mail")], 78, &["smtp_url: "]),
    (MIGRATE, &[("BERTH_OTLP_URL", "collector:4318")], 78, &["otlp_url: "]),
    (CONFIG, &[("BERTH_OTLP_URL", "http://me:tulip4711@collector:4318")], 0, &["(hidden)@collector:4318"]),
    (CONFIG, &[("BERTH_SMS_TOKEN", "tulip4711"), ("BERTH_PROVIDER_SERVER_KEY", "tulip4711")], 0, &["sms_token = \"(hidden)\""]),
    (CONFIG, &[("BERTH_LOG", "warn,brth=debug")], 78, &["log: \"brth\" is no level and no target"]),
    (
        CONFIG,
        &[("BERTH_LISTEN", "4711")],
        78,
        &["listen: \"4711\" is not an address with a port (example: BERTH_LISTEN=127.0.0.1:4000)"],
    ),
    (CONFIG, &[("BERTH_HOLD_TTL_SECS", "15m"), ("BERTH_WORKERS", "0")], 78, &["hold_ttl_secs: ", "workers: "]),
    (CONFIG, &[("BERTH_HOLD_TTL_SEC", "900")], 78, &["BERTH_HOLD_TTL_SEC: no such setting (example: BERTH_HOLD_TTL_SECS)"]),
    (CONFIG, &[("BERTH_REDIS_URL", "")], 78, &["redis_url: is empty"]),
    (CONFIG, &[("BERTH_MAIL_FROM", "nonsense"), ("BERTH_PUBLIC_URL", "example.com")], 78, &["mail_from: ", "public_url: "]),
    (
        &["serve"],
        &[("BERTH_PROFILE", "production"), ("BERTH_DEMO", "true")],
        78,
        &["demo: ", "public_url: ", "provider_url: ", "provider_server_key: ", "smtp_url: ", "mail_from: "],
    ),
    (MIGRATE, &[("BERTH_PROFILE", "production")], 0, &["user"]),
    (&["keys", "list"], &[], 78, &["keys_dir: there is no access*.pem", "berth keys init"]),
];

#[test]
fn each_case_has_its_exit_code_and_no_secret_in_it() -> anyhow::Result<()> {
    for (arguments, variables, code, expected) in CASES {
        let folder = TempDir::new()?;
        let data_dir = folder.path().join("data").display().to_string();
        let output = run_with(&[arguments, &["--data-dir", &data_dir]].concat(), variables)?;
        let said = said(&output);
        ensure!(output.status.code() == Some(code), "{arguments:?} {variables:?} ended with {}: {said}", output.status);
        ensure!(expected.iter().all(|part| said.contains(part)), "{arguments:?} {variables:?}: {expected:?} in {said}");
        ensure!(!said.contains(PASSWORD) && !said.contains("at line ") && !said.contains(".rs:"), "{variables:?}: {said}");
        let refusals = said.lines().filter(|line| line.starts_with("berth: ") && line.contains("(example: ")).count();
        // Each part that ends so begins the line of another problem.
        let problems = expected.iter().filter(|part| part.ends_with(": ")).count().max(1);
        ensure!(code != 78 || refusals >= problems, "not a line for each problem: {said}");
    }
    Ok(())
}

#[test]
fn what_no_restart_heals_ends_with_78() -> anyhow::Result<()> {
    let serve = |folder: &Path| run_with(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &folder.display().to_string()], &[]);
    let broken: [(&str, &str, &str); 5] = [
        ("keys/access.pem", "garbage", "access*.pem"),
        ("keys/data.key", "too short", "data.key"),
        ("user.sqlite", "this is no database, and long enough to be looked at as one", "user.sqlite is no database of SQLite"),
        ("berth.toml", "profile = \"development\"\nsms_token = \"tulip4711\nlog = 1", "berth.toml, line 2"),
        ("berth.toml", "listen = 4711\nsign_up_wrk = 3\ndata_dir = \"x\"", "sign_up_wrk ("),
    ];
    for (name, content, expected) in broken {
        let folder = TempDir::new()?;
        fs::create_dir_all(folder.path().join("keys"))?;
        fs::write(folder.path().join(name), content)?;
        let output = serve(folder.path())?;
        let said = said(&output);
        ensure!(output.status.code() == Some(78) && said.contains(expected), "{name}: {} {said}", output.status);
        ensure!(!said.contains(PASSWORD), "{name}: {said}");
    }
    Ok(())
}

#[test]
fn a_secret_is_given_once() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (data_dir, file) = (folder.path().join("data").display().to_string(), folder.path().join("token"));
    fs::write(&file, "12345678\n")?;
    let file = file.display().to_string();
    // A token of digits is a text, as it was written.
    let one = run_with(&["config", "--data-dir", &data_dir], &[("BERTH_SMS_TOKEN_FILE", &file)])?;
    ensure!(one.status.success(), "{}", said(&one));
    let both = [("BERTH_SMS_TOKEN_FILE", file.as_str()), ("BERTH_SMS_TOKEN", "12345678")];
    let both = run_with(&["config", "--data-dir", &data_dir], &both)?;
    ensure!(both.status.code() == Some(78) && said(&both).contains("are both set"), "{}", said(&both));
    ensure!(!said(&both).contains("12345678"), "{}", said(&both));
    Ok(())
}

/// `berth keys init` makes the keys of an installation in production, and nothing else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn production_makes_no_keys_and_speaks_json() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let settings = [
        ("BERTH_PROFILE", "production"),
        ("BERTH_PUBLIC_URL", "https://tickets.berth.test"),
        ("BERTH_PROVIDER_URL", "http://127.0.0.1:9"),
        ("BERTH_PROVIDER_SERVER_KEY", "Mid-server-5fT2kQ9xWb71"),
        ("BERTH_SMTP_URL", "smtp://127.0.0.1:9"),
        ("BERTH_MAIL_FROM", "Berth <tickets@berth.test>"),
    ];
    let owned = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut process = Process::new("production", &program()?, folder.path()).variables(owned);
    let refused = process.run(&["serve", "--listen", "127.0.0.1:0"])?;
    ensure!(refused.status.code() == Some(78) && said(&refused).contains("berth keys init"), "{}", said(&refused));
    ensure!(!process.data_dir().join("keys").exists(), "keys were made");
    let made = process.run(&["keys", "init"])?;
    ensure!(made.status.success(), "{}", said(&made));
    ensure!(!process.data_dir().join("keys/sandbox.key").exists(), "production has no sandbox");
    process.start().await?;
    let rotated = process.run(&["keys", "rotate"])?;
    ensure!(rotated.status.success() && said(&rotated).contains("\"keys.rotated\""), "{}", said(&rotated));
    process.stop_by("HUP").await?;
    let log = process.log();
    let lines: Vec<serde_json::Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let named = |name: &str| lines.iter().find(|line| line["message"] == name);
    let started = named("berth.started").expect(&log);
    for field in ["version", "commit", "profile", "roles", "listen"] {
        ensure!(started[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {started}");
    }
    ensure!(named("demo.imported").is_none(), "a demo timetable in production: {log}");
    ensure!(named("berth.stopping").is_some() && named("berth.stopped").is_some(), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_end_it_well_or_mean_nothing() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let mut process = Process::new("signals", &program()?, folder.path());
    process.start().await?;
    for signal in ["USR1", "USR2"] {
        process.signal(signal)?;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    process.assert_alive()?;
    process.stop_by("HUP").await?;
    ensure!(process.log().contains("berth.stopped"), "{}", process.log());
    Ok(())
}

/// Whoever comes with another `data.key` would seal what nobody else can read.
async fn other_keys_are_refused(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    berth.stop().await?;
    let elsewhere = berth.folder().join("keyz").display().to_string();
    let role = if arm == Arm::Fleet { "booking" } else { "berth" };
    let process = berth.process(role, 0)?;
    let serve: &[&str] = if arm == Arm::Fleet {
        &["serve", "--role", "booking", "--listen", "127.0.0.1:0"]
    } else {
        &["serve", "--listen", "127.0.0.1:0"]
    };
    process.set("BERTH_KEYS_DIR", Some(&elsewhere));
    let refused = process.run(serve)?;
    ensure!(
        refused.status.code() == Some(78) && said(&refused).contains("is not the key that the database of"),
        "{}",
        said(&refused)
    );
    let doctor = said(&process.run(&["doctor"])?);
    ensure!(doctor.contains("FAIL  database booking: keys_dir:"), "{doctor}");
    // An installation from before the canaries: its sealed data are asked instead, and there are none in this one.
    for service in ["user", "inventory", "booking", "payment"] {
        berth.store(service).await?.execute_unprepared("DELETE FROM key_canary").await?;
    }
    berth.store("booking").await?.execute_unprepared(SEALED_PART).await?;
    let refused = berth.process(role, 0)?.run(serve)?;
    ensure!(refused.status.code() == Some(78) && said(&refused).contains("database of booking"), "{}", said(&refused));
    Ok(())
}

/// A part of a booking as a key that is gone has sealed it.
const SEALED_PART: &str = "INSERT INTO booking_part (id, booking_id, position, title, price_minor, currency, passenger_name, \
    passenger_sealed, place) VALUES ('01a228ac-0280-702a-8000-000000000001', '01a228ac-0280-702a-8000-000000000002', 1, 'x', 1, \
    'IDR', 'x', 'c2VhbGVkIGJ5IGEga2V5IHRoYXQgaXMgZ29uZSBmb3IgZ29vZA', '{}')";

/// Databases that were restored without their keys do not get new ones.
#[test]
fn restored_without_keys_it_waits_for_them() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (here, there, copy) = (path("here"), path("there"), path("backup"));
    for command in [vec!["keys", "init"], vec!["migrate"], vec!["backup", "--to", &copy]] {
        let done = run_with(&[&command[..], &["--data-dir", &here]].concat(), &[])?;
        ensure!(done.status.success(), "{command:?}: {}", said(&done));
    }
    let restored = run_with(&["restore", "--from", &copy, "--data-dir", &there], &[])?;
    ensure!(restored.status.success(), "{}", said(&restored));
    let refused = run_with(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &there], &[])?;
    ensure!(refused.status.code() == Some(78) && said(&refused).contains("data.key is not the key"), "{}", said(&refused));
    let adopted = run_with(&["keys", "adopt", "--lose-sealed-data", "--data-dir", &there], &[])?;
    ensure!(adopted.status.success(), "{}", said(&adopted));
    let migrated = run_with(&["migrate", "--data-dir", &there], &[])?;
    ensure!(migrated.status.success() && said(&migrated).contains("up to date"), "{}", said(&migrated));
    Ok(())
}

#[test]
fn migrate_says_what_it_did() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let data_dir = folder.path().display().to_string();
    let first = said(&run_with(&["migrate", "--data-dir", &data_dir], &[])?);
    ensure!(first.lines().filter(|line| line.contains(" migrations in ") && line.contains(" ms: m2026")).count() == 4, "{first}");
    let second = said(&run_with(&["migrate", "--data-dir", &data_dir], &[])?);
    ensure!(second.lines().filter(|line| line.ends_with("up to date")).count() == 4, "{second}");
    Ok(())
}

/// A process may be started before its PostgreSQL; one that is refused there does not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_waited_for_but_not_argued_with() -> anyhow::Result<()> {
    let database = Database::create().await?;
    let proxy = Proxy::start(database.address()?).await?;
    proxy.set(Mode::Refuse);
    let url = database.url_at(proxy.address())?;
    let mut arriving = Url::parse(&url)?;
    let folder = TempDir::new()?;
    let of = |url: &str, wait: &str| {
        vec![("BERTH_DATABASE_URL".to_owned(), url.to_owned()), ("BERTH_DATABASE_WAIT_SECS".to_owned(), wait.to_owned())]
    };
    let given_up = Process::new("given-up", &program()?, folder.path()).variables(of(&url, "1")).run(&["migrate"])?;
    ensure!(given_up.status.code() == Some(75) && said(&given_up).contains("database.awaited"), "{}", said(&given_up));
    let mut process = Process::new("early", &program()?, folder.path()).variables(of(&url, "60"));
    let log = process.log_file();
    let opens = async {
        let waits = || async { Ok(fs::read_to_string(&log).unwrap_or_default().contains("database.awaited").then_some(())) };
        let waited = eventually("the process waits", SOON, waits).await;
        proxy.set(Mode::Pass);
        waited
    };
    let (started, waited) = tokio::join!(process.start(), opens);
    waited.and(started)?;
    process.stop().await?;
    arriving.set_path("/no_such_database");
    refused(&folder, arriving.as_str(), "has no such database")?;
    arriving.set_path("/postgres");
    arriving.set_query(Some("sslmode=require"));
    refused(&folder, arriving.as_str(), "sslmode")
}

fn refused(folder: &TempDir, url: &str, expected: &str) -> anyhow::Result<()> {
    let data_dir = folder.path().join("data").display().to_string();
    let output = run_with(&["migrate", "--data-dir", &data_dir], &[("BERTH_DATABASE_URL", url)])?;
    ensure!(output.status.code() == Some(78) && said(&output).contains(expected), "{url}: {} {}", output.status, said(&output));
    Ok(())
}
