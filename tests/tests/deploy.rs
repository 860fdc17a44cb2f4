//! The container files speak of settings, roles and ports that the program knows.
#![allow(clippy::expect_used, reason = "a test may stop at the first surprise")]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, ensure};
use berth_tests::process::program;

/// What is shipped around the program and names settings, with the sign between a name and its value.
const FILES: [(&str, char); 7] = [
    ("docker-compose.yml", ':'),
    ("docker-compose.override.yml", ':'),
    ("docker-compose.production.yml", ':'),
    ("Dockerfile", '='),
    ("deploy/production.env.example", '='),
    ("deploy/systemd/berth@.service", '='),
    ("deploy/systemd/berth.env.example", '='),
];

/// Each setting and its value in these files. Of a `${NAME:-value}` the value.
fn settings() -> anyhow::Result<Vec<(String, Option<String>)>> {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for (name, sign) in FILES {
        let text = without_substitutions(&read(name)?);
        for (line, sign) in text.lines().map(|line| (line, sign)).filter_map(code) {
            // What a build is told is no setting.
            found.extend(pairs(line, sign).into_iter().filter(|(name, _)| !name.starts_with("BERTH_BUILD_")));
        }
    }
    Ok(found)
}

fn code((line, sign): (&str, char)) -> Option<(&str, char)> {
    (!line.trim_start().starts_with('#')).then_some((line, sign))
}

fn pairs(line: &str, sign: char) -> Vec<(String, Option<String>)> {
    let mut pairs = Vec::new();
    for (at, _) in line.match_indices("BERTH_") {
        let rest = &line[at..];
        let name: String = rest.chars().take_while(|letter| letter.is_ascii_uppercase() || *letter == '_').collect();
        let Some(value) = rest[name.len()..].strip_prefix(sign) else { continue };
        let value = value.trim_start();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or_default(),
            None => value.split([' ', '}', '\\']).next().unwrap_or_default().trim_end_matches(", "),
        };
        pairs.push((name, Some(value.trim_end_matches(',').to_owned()).filter(|value| !value.is_empty())));
    }
    pairs
}

fn without_substitutions(text: &str) -> String {
    let mut parts = text.split("${");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once('}').unwrap_or((part, ""));
        plain.push_str(inner.split_once(":-").map_or("", |(_, default)| default));
        plain.push_str(rest);
    }
    plain
}

fn read(name: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn secret_like(name: &str) -> &'static str {
    match name {
        "BERTH_REDIS_URL_FILE" => "redis://127.0.0.1:1",
        "BERTH_SMTP_URL_FILE" => "smtps://user:pass%2Fword@127.0.0.1:1",
        "BERTH_PROVIDER_SERVER_KEY_FILE" => "Mid-server-0123456789abcdef",
        _ => "postgres://127.0.0.1:1/berth",
    }
}

#[test]
fn every_variable_of_the_container_files_is_a_setting_with_a_fitting_value() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = settings()?;
    ensure!(settings.len() >= 15, "only {} settings were found", settings.len());
    for (name, value) in settings {
        let value = match value {
            _ if name.ends_with("_FILE") => {
                let secret = folder.path().join(&name);
                fs::write(&secret, secret_like(&name))?;
                secret.display().to_string()
            }
            Some(value) => value,
            None => continue,
        };
        let mut command = Command::new(program()?);
        command.arg("config").env_clear().env("BERTH_DATA_DIR", folder.path()).env(&name, &value);
        let output = command.output()?;
        ensure!(output.status.success(), "{name}={value}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[test]
fn a_variable_that_is_no_setting_would_be_seen() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let output = Command::new(program()?)
        .arg("config")
        .env_clear()
        .env("BERTH_DATA_DIR", folder.path())
        .env("BERTH_LISTEN_KITCHEN", "0.0.0.0:4101")
        .output()?;
    ensure!(output.status.code() == Some(78), "{output:?}");
    Ok(())
}

#[test]
fn ports_are_those_of_the_supergraph() -> anyhow::Result<()> {
    let settings: BTreeMap<String, String> = settings()?.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let port = |url: &str| url.trim_end_matches("/graphql").rsplit(':').next().map(str::to_owned);
    let supergraph = read("supergraph.yaml")?;
    let exposed = read("Dockerfile")?;
    let exposed = exposed.lines().find(|line| line.starts_with("EXPOSE")).context("EXPOSE")?;
    for service in ["user", "inventory", "booking", "payment"] {
        let (_, rest) = supergraph.split_once(&format!("  {service}:\n    routing_url: ")).context(service)?;
        let expected = port(rest.lines().next().unwrap_or_default()).context("a port")?;
        let upper = service.to_uppercase();
        let listen = settings.get(&format!("BERTH_LISTEN_{upper}")).with_context(|| format!("where {service} listens"))?;
        ensure!(port(listen).as_ref() == Some(&expected), "{service} listens on {listen}, the supergraph says {expected}");
        let urls = settings.get(&format!("BERTH_SUBGRAPH_{upper}")).with_context(|| format!("where {service} is found"))?;
        ensure!(urls.split(',').count() == 2, "{service} has two replicas, not {urls}");
        for (index, url) in urls.split(',').enumerate() {
            ensure!(*url == format!("http://{service}-{}:{expected}", index + 1), "{service} is not found at {url}");
        }
        ensure!(exposed.contains(&expected), "the image does not expose {expected}");
    }
    Ok(())
}
