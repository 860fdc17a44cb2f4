//! What a process tells at `/metrics`, and what Prometheus would make of it: promtool judges the alerts of deploy/prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::client::Client;

/// One line: a series and its value.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The metric, with what a histogram puts behind it.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All lines of one reading.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    /// The series.
    pub samples: Vec<Sample>,
    /// Families that only go up.
    pub growing: BTreeSet<String>,
}

impl Scrape {
    /// Reads `/metrics`.
    pub async fn of(client: &Client) -> anyhow::Result<Self> {
        let (status, text) = client.get("/metrics").await?;
        ensure!(status == 200, "/metrics answers {status}");
        Self::read(&text)
    }

    /// Reads a text.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let mut scrape = Self::default();
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').context("a TYPE without a type")?;
                if kind != "gauge" {
                    scrape.growing.insert(name.to_owned());
                }
            } else if !line.starts_with('#') && !line.is_empty() {
                scrape.samples.push(sample(line).with_context(|| line.to_owned())?);
            }
        }
        Ok(scrape)
    }

    /// Names of its metrics.
    pub fn families(&self) -> BTreeSet<String> {
        self.samples.iter().map(|sample| family(&sample.name).to_owned()).collect()
    }

    /// The sum of the series of a name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            sample.name == name && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|is| is == value))
        };
        self.samples.iter().filter(fits).map(|sample| sample.value).sum()
    }

    /// Whether a series of this family has the label, with this value if one is given.
    pub fn has(&self, family_name: &str, label: &str, value: Option<&str>) -> bool {
        self.samples
            .iter()
            .filter(|sample| family(&sample.name) == family_name)
            .filter_map(|sample| sample.labels.get(label))
            .any(|is| value.is_none_or(|value| is == value))
    }
}

/// The name of a metric, without what histograms put behind it.
pub fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn sample(line: &str) -> anyhow::Result<Sample> {
    let (series, value) = line.rsplit_once(' ').context("no value")?;
    let (name, inner) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
    let labels = inner.split("\",").filter(|part| !part.is_empty()).map(|part| {
        let (label, value) = part.split_once("=\"").context("no label")?;
        Ok((label.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    Ok(Sample { name: name.to_owned(), labels: labels.collect::<anyhow::Result<_>>()?, value: value.parse()? })
}

/// The file of alerts.
pub fn alerts_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yml")
}

/// Which of these alerts fire when each process goes on for half an hour as it did between its two readings. `None`, loudly: there is
/// no promtool (tests/run brings it).
pub fn firing(readings: &[(String, Scrape, Scrape)], alerts: &[&str]) -> anyhow::Result<Option<BTreeSet<String>>> {
    let Some(promtool) = promtool() else {
        println!("NOT EVALUATED: there is no promtool on the PATH; tests/run brings it");
        return Ok(None);
    };
    let series: Vec<Value> =
        readings.iter().flat_map(|(instance, before, after)| lines(instance, before, after)).collect::<Vec<_>>();
    let mut fire = BTreeSet::new();
    for alert in alerts {
        let asked = format!("group(ALERTS{{alertstate=\"firing\", alertname=\"{alert}\"}})");
        let expected = json!([{ "labels": "{}", "value": 1 }]);
        let test = json!({
            "rule_files": [alerts_file().display().to_string()],
            "evaluation_interval": "1m",
            "tests": [{
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [{ "expr": asked, "eval_time": "30m", "exp_samples": expected }],
            }],
        });
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("readings.yml");
        fs::write(&file, test.to_string())?;
        let judged = Command::new(&promtool).args(["test", "rules"]).arg(&file).output()?;
        let said = String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
        if judged.status.success() {
            fire.insert((*alert).to_owned());
        } else {
            ensure!(said.contains("got:") && !said.contains("invalid"), "promtool can't judge {alert}: {said}");
        }
    }
    Ok(Some(fire))
}

/// The series of a process in promtool's words: what grows goes on growing, what does not stays as it is.
fn lines(instance: &str, before: &Scrape, after: &Scrape) -> Vec<Value> {
    let line = |sample: &Sample| {
        let was = before.samples.iter().find(|other| other.name == sample.name && other.labels == sample.labels);
        let grown = sample.value - was.map_or(0.0, |was| was.value);
        let step = if after.growing.contains(family(&sample.name)) { grown.max(0.0) } else { 0.0 };
        let mut series = format!("{}{{job=\"berth\", instance=\"{instance}\"", sample.name);
        for (label, value) in &sample.labels {
            let _ = write!(series, ", {label}=\"{value}\"");
        }
        json!({ "series": series + "}", "values": format!("{}+{step}x30", sample.value) })
    };
    after.samples.iter().map(line).collect()
}

fn promtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("promtool")).find(|program| program.is_file())
}
