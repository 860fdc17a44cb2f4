//! What operators watch: the table of docs/OPERATIONS.md, the alerts, their runbooks and the dashboard speak of the metrics that
//! exist, all of them; and in a real outage the alerts fire.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test may stop at the first surprise, and tells of its run")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    eventually, in_the_fleet,
    metrics::{Scrape, alerts_file, family, firing},
    process::{Arm, Berth},
    timetable,
};
use serde_json::{Value, json};

in_the_fleet!(in_an_outage_the_alerts_fire);

const WITHIN: Duration = Duration::from_secs(20);
/// What Prometheus itself puts on every series, and the one it makes of each scrape.
const OF_PROMETHEUS: &[&str] = &["job", "instance", "le"];
const UP: &str = "up";

fn read(name: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The rows of *What to watch*: metric and the text about its alert.
fn table() -> anyhow::Result<Vec<(String, String)>> {
    let text = read("docs/OPERATIONS.md")?;
    let (_, rest) = text.split_once("\n## What to watch\n").context("no table of metrics")?;
    let rows = rest.split("\n## ").next().unwrap_or_default().lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let metric = cells.first()?.trim_matches('`').to_owned();
        Some((metric, cells.last()?.trim_matches('|').trim().to_owned()))
    };
    rows.map(|line| row(line).with_context(|| line.to_owned())).collect()
}

#[derive(Debug, Clone)]
struct Alert {
    name: String,
    expr: String,
    severity: String,
    summary: String,
    runbook: String,
}

fn alerts() -> anyhow::Result<Vec<Alert>> {
    let rules: Value = yaml_serde::from_str(&fs::read_to_string(alerts_file())?)?;
    let groups = rules["groups"].as_array().context("no groups")?;
    let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alert = |rule: &Value| Alert {
        name: text(&rule["alert"]),
        expr: text(&rule["expr"]),
        severity: text(&rule["labels"]["severity"]),
        summary: text(&rule["annotations"]["summary"]),
        runbook: text(&rule["annotations"]["runbook_url"]),
    };
    Ok(rules.map(alert).collect())
}

/// A metric of an expression, with what is asked of its labels: name, operator, value.
type Asked = (String, Vec<(String, String, String)>);

/// Every metric that an expression names.
fn metrics_of(expr: &str) -> Vec<Asked> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_lowercase()) {
        let word: String = rest[at..].chars().take_while(|letter| is_word(*letter)).collect();
        rest = &rest[at + word.len()..];
        let is_metric = word.starts_with("berth_") || word.starts_with("process_") || word == UP;
        let inner = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some((inner, after)) = inner {
            rest = after;
            found.push((word, matchers(inner)));
        } else if is_metric {
            found.push((word, Vec::new()));
        }
    }
    found
}

fn matchers(inner: &str) -> Vec<(String, String, String)> {
    let matcher = |text: &str| {
        let at = text.find(['=', '!'])?;
        let value = text.find('"')?;
        let operator = text[at..value].to_owned();
        Some((text[..at].trim().to_owned(), operator, text[value..].trim().trim_matches('"').to_owned()))
    };
    inner.split("\",").filter_map(matcher).collect()
}

/// The expressions of the dashboard.
fn dashboard() -> anyhow::Result<Vec<String>> {
    let board: Value = serde_json::from_str(&read("deploy/grafana/berth.json")?)?;
    let panels = board["panels"].as_array().context("no panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    Ok(targets.filter_map(|target| target["expr"].as_str()).map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_alerts_and_dashboard_name_what_exists_from_the_start() -> anyhow::Result<()> {
    let berth = Berth::start().await?;
    let client = berth.client()?;
    let rows = table()?;
    let documented: BTreeSet<String> = rows.iter().map(|(metric, _)| metric.clone()).collect();
    ensure!(documented.len() == rows.len(), "a metric stands twice in the table: {:?}", doubled(&rows));
    // Nobody has asked for anything. What a job looks up comes with its first run.
    let scrape = eventually("every documented metric", WITHIN, || async {
        let scrape = Scrape::of(&client).await?;
        let missing: Vec<_> = documented.difference(&scrape.families()).cloned().collect();
        ensure!(missing.is_empty(), "documented, and not in /metrics: {missing:?}");
        Ok(Some(scrape))
    })
    .await?;
    let untold: Vec<_> = scrape.families().difference(&documented).cloned().collect();
    ensure!(untold.is_empty(), "in /metrics, and not documented: {untold:?}");
    // Prometheus would put its own in their place, and call ours exported_job.
    let taken = scrape.samples.iter().find(|sample| sample.labels.contains_key("job") || sample.labels.contains_key("instance"));
    ensure!(taken.is_none(), "labels of Prometheus's own: {taken:?}");
    let shown: BTreeSet<String> = named(&dashboard()?);
    ensure!(shown == documented, "the dashboard differs from the table: {:?}", shown.symmetric_difference(&documented));
    for alert in alerts()? {
        for (metric, matchers) in metrics_of(&alert.expr) {
            ensure!(metric == UP || documented.contains(family(&metric)), "{} asks for {metric}, which is not", alert.name);
            for (label, operator, value) in matchers.iter().filter(|(label, ..)| !OF_PROMETHEUS.contains(&label.as_str())) {
                let values: Vec<Option<&str>> = match operator.as_str() {
                    "=" => vec![Some(value)],
                    _ if value.chars().all(|letter| letter.is_ascii_lowercase() || letter == '|') => {
                        value.split('|').map(Some).collect()
                    }
                    _ => vec![None],
                };
                for value in values {
                    ensure!(
                        scrape.has(family(&metric), label, value),
                        "{}: {metric} has no {label} {value:?} before something happens",
                        alert.name
                    );
                }
            }
        }
    }
    Ok(())
}

fn doubled(rows: &[(String, String)]) -> Vec<&String> {
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    for (metric, _) in rows {
        *times.entry(metric).or_default() += 1;
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(metric, _)| metric).collect()
}

fn named(expressions: &[String]) -> BTreeSet<String> {
    expressions.iter().flat_map(|expr| metrics_of(expr)).map(|(metric, _)| family(&metric).to_owned()).collect()
}

#[test]
fn each_alert_has_a_runbook_and_a_row_and_each_runbook_an_alert() -> anyhow::Result<()> {
    let alerts = alerts()?;
    ensure!(alerts.len() >= 20, "{alerts:#?}");
    let runbooks = read("docs/RUNBOOKS.md")?;
    let headings: BTreeSet<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("## Berth")).collect();
    let names: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert.name.strip_prefix("Berth")).collect();
    ensure!(headings == names, "runbooks and alerts differ: {:?}", headings.symmetric_difference(&names));
    let rows: String = table()?.into_iter().map(|(_, alert)| alert + "\n").collect();
    let words: BTreeSet<&str> = rows.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
    let told: BTreeSet<&str> = words.into_iter().filter_map(|word| word.strip_prefix("Berth")).collect();
    ensure!(told == names, "the table and the alerts differ: {:?}", told.symmetric_difference(&names));
    for alert in &alerts {
        let runbook = format!("docs/RUNBOOKS.md#{}", alert.name.to_lowercase());
        ensure!(alert.runbook == runbook, "{} names {}", alert.name, alert.runbook);
        ensure!(["critical", "warning"].contains(&alert.severity.as_str()), "{alert:?}");
        ensure!(!alert.summary.is_empty(), "{alert:?}");
    }
    Ok(())
}

/// What of the alerts is looked at: those that depend on how fast a debug build is are left out.
const WATCHED: &[&str] = &[
    "BerthServiceUnavailable",
    "BerthServerErrors",
    "BerthCallsFail",
    "BerthHoldsFail",
    "BerthProviderFails",
    "BerthBusDown",
    "BerthOutboxLong",
    "BerthDeadLetters",
    "BerthNeedsAttention",
    "BerthGone",
];

async fn in_an_outage_the_alerts_fire(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let train = timetable::demo_train(&client, 3).await?;
    let idle = Scrape::of(&client).await?;
    ask(&client, &train.id, 20).await?;
    let well = Scrape::of(&client).await?;
    let calls = |scrape: &Scrape, outcome| scrape.sum("berth_peer_calls_total", &[("callee", "inventory"), ("outcome", outcome)]);
    ensure!(calls(&well, "ok") - calls(&idle, "ok") >= 20.0, "the calls of the router to inventory are not counted");
    let quiet = firing(&[("router-0".to_owned(), idle, well.clone())], WATCHED)?;
    ensure!(quiet.as_ref().is_none_or(BTreeSet::is_empty), "alerts fire though all is well: {quiet:?}");
    for number in 0..2 {
        berth.process("inventory", number)?.kill()?;
    }
    let unavailable = ask(&client, &train.id, 40).await?;
    ensure!(unavailable == 40, "{unavailable} of 40 were told SERVICE_UNAVAILABLE");
    let ill = Scrape::of(&client).await?;
    let grown = |name: &str, labels: &[(&str, &str)]| ill.sum(name, labels) - well.sum(name, labels);
    let told = grown("berth_refusals_total", &[("at", "door"), ("code", "SERVICE_UNAVAILABLE")]);
    let answered = grown("berth_http_requests_total", &[("role", "router")]);
    println!("{told} of {answered} requests are counted as SERVICE_UNAVAILABLE");
    ensure!(grown("berth_http_requests_total", &[("status", "503")]) < 1.0, "the router answers 200: 5xx tell nothing");
    ensure!((told - 40.0).abs() < 0.5, "each is counted once, not {told} times for 40");
    ensure!(told / answered > 0.01, "the expression of the alert is not true");
    let failed = ["failed", "open", "timeout"].map(|outcome| calls(&ill, outcome) - calls(&well, outcome)).iter().sum::<f64>();
    ensure!(failed >= 40.0, "only {failed} calls to inventory are counted as failed");
    let fire = firing(&[("router-0".to_owned(), well, ill)], WATCHED)?;
    let expected: BTreeSet<String> = ["BerthServiceUnavailable", "BerthCallsFail"].map(str::to_owned).into();
    ensure!(fire.as_ref().is_none_or(|fire| *fire == expected), "{fire:?} fire, not {expected:?}");
    Ok(())
}

/// Asks for a trip so many times; answers how often `SERVICE_UNAVAILABLE` came.
async fn ask(client: &Client, trip: &str, times: usize) -> anyhow::Result<usize> {
    let mut unavailable = 0;
    for _ in 0..times {
        let answer = client.send("query($id: ID!) { trip(id: $id) { id } }", json!({ "id": trip })).await?;
        ensure!(answer.status == 200, "{}", answer.text);
        unavailable += usize::from(answer.text.contains("SERVICE_UNAVAILABLE"));
    }
    Ok(unavailable)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_counts_each_error_that_it_tells_once() -> anyhow::Result<()> {
    let berth = Berth::start().await?;
    let client = berth.client()?;
    let before = Scrape::of(&client).await?;
    let mut told: BTreeMap<String, f64> = BTreeMap::new();
    for query in ["{", "{ nothing }", "{ me { id } }", "{ a: trip(id: \"x\") { id } b: trip(id: \"y\") { id } }"] {
        let answer = client.send(query, Value::Null).await?;
        count(&answer.body, &mut told);
    }
    let answer = client.with_token("nonsense").send("{ me { id } }", Value::Null).await?;
    count(&answer.body, &mut told);
    for accept in ["text/event-stream", "multipart/mixed"] {
        let request = client.request(reqwest::Method::POST, "/graphql").header("accept", accept);
        let text = request.json(&json!({ "query": "{" })).send().await?.text().await?;
        let start = text.find('{').context("no event")?;
        let event: Value = serde_json::Deserializer::from_str(&text[start..]).into_iter().next().context("no JSON")??;
        count(if event["payload"].is_object() { &event["payload"] } else { &event }, &mut told);
    }
    ensure!(told.len() >= 3, "too few kinds of errors: {told:?}");
    let after = Scrape::of(&client).await?;
    for (code, times) in &told {
        let labels = [("at", "door"), ("code", code.as_str())];
        let counted = after.sum("berth_refusals_total", &labels) - before.sum("berth_refusals_total", &labels);
        ensure!((counted - times).abs() < 0.5, "{code} was told {times} times and counted {counted} times");
    }
    println!("told: {told:?}");
    Ok(())
}

fn count(body: &Value, told: &mut BTreeMap<String, f64>) {
    for error in body["errors"].as_array().into_iter().flatten() {
        let code = error["extensions"]["code"].as_str().unwrap_or("none");
        *told.entry(code.to_owned()).or_default() += 1.0;
    }
}
