//! Where settings come from: `berth.toml`, variables of the environment, files that hold the values of such variables, arguments.

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use super::{
    Arguments, Config, Refusal, Refusals,
    written::{Written, assembled, fitting},
};
use crate::text_file;

/// Variables that other parts read (tests, sabotage builds).
const OTHERS: [&str; 1] = ["SABOTAGE"];
/// `BERTH_REDIS_URL_FILE` names a file that holds the value of `BERTH_REDIS_URL`: how containers get their secrets.
const FILE_SUFFIX: &str = "_FILE";
const TOML: &str = "berth.toml";
/// Lists that may be empty; elsewhere an empty value is a mistake of whoever filled it in.
const MAY_BE_EMPTY: [&str; 2] = ["roles", "allowed_origins"];
/// A value is not repeated beyond this.
const REPEATED_CHARS: usize = 60;

/// Values by key, in the form that each setting takes.
type Values = BTreeMap<String, Written>;

/// The effective configuration, unchecked: defaults, `berth.toml`, variables, files of variables, arguments. What can't be read
/// is left as it is by default, and noted.
pub fn read(arguments: &Arguments, problems: &mut Refusals) -> Config {
    let mut values = Values::new();
    let variables = variables(problems);
    let of_variable = variables.iter().find(|(key, _)| key == "data_dir").map(|(_, value)| value.into());
    let data_dir = arguments.data_dir.clone().or(of_variable).unwrap_or_else(|| Config::default().data_dir);
    let of_file = toml(&data_dir.join(TOML), problems);
    let of_arguments = problems.take(arguments.settings()).unwrap_or_default();
    for (key, text) in of_file.into_iter().chain(variables).chain(of_arguments) {
        match fitting(&key, &text) {
            _ if text.is_empty() && !MAY_BE_EMPTY.contains(&key.as_str()) => {
                problems.add(Refusal::new(&key, "is empty: give it a value, or leave it out", &example(&key)));
            }
            Ok(value) => {
                values.insert(key, value);
            }
            Err(wanted) => problems.add(Refusal::new(&key, format!("{} is not {wanted}", repeated(&text)), &example(&key))),
        }
    }
    match assembled(values) {
        Ok(config) => Config { data_dir, ..config },
        // Each value fits its setting, so all of them do; should that ever be wrong, nothing starts with defaults instead.
        Err(wanted) => {
            problems.add(Refusal::new("settings", format!("do not fit together: {wanted}"), "fewer of them"));
            Config { data_dir, ..Config::default() }
        }
    }
}

/// Every key.
pub fn known_keys() -> Vec<String> {
    let value = serde_json::to_value(Config::default()).unwrap_or_default();
    value.as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

/// What a setting may look like: its default, or something made up.
pub fn example(key: &str) -> String {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let default = defaults.get(key).filter(|value| !value.is_null()).map(|value| value.to_string().trim_matches('"').to_owned());
    let made_up = match key {
        key if key.starts_with("listen") => "127.0.0.1:4000",
        key if key.ends_with("_dir") || key.ends_with("_file") => "/var/lib/berth/...",
        "workers" => "4",
        "demo" => "false",
        _ => "...",
    };
    let value = default.filter(|value| !value.is_empty()).unwrap_or_else(|| made_up.to_owned());
    format!("BERTH_{}={value}", key.to_uppercase())
}

/// A value as a refusal may repeat it. Secrets are texts, and every text fits a secret: no secret gets here.
fn repeated(text: &str) -> String {
    let short: String = text.chars().take(REPEATED_CHARS).collect();
    format!("{short:?}")
}

/// The variables by key, those included whose value is in a file; an unknown one is refused.
fn variables(problems: &mut Refusals) -> Vec<(String, String)> {
    let known = known_keys();
    let mut found: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Some(variable) = name.to_str().and_then(|name| name.strip_prefix("BERTH_")) else { continue };
        if OTHERS.contains(&variable) {
            continue;
        }
        let Some((key, value)) = problems.take(value_of(variable, &value, &known)) else { continue };
        let name = format!("BERTH_{variable}");
        if let Some((other, _)) = found.insert(key.clone(), (name.clone(), value)) {
            let problem = format!("{other} and {name} are both set: only one of them can hold");
            problems.add(Refusal::new(&key, problem, &format!("leave {other} out")));
        }
    }
    found.into_iter().map(|(key, (_, value))| (key, value)).collect()
}

/// The key that a variable sets, and the value.
fn value_of(variable: &str, value: &OsStr, known: &[String]) -> Result<(String, String), Refusal> {
    let (name, key) = (format!("BERTH_{variable}"), variable.to_lowercase());
    if known.contains(&key) {
        let text = value.to_str().ok_or_else(|| Refusal::new(&name, "is no text in UTF-8", &example(&key)))?;
        return Ok((key, text.to_owned()));
    }
    let of_file = variable.strip_suffix(FILE_SUFFIX).map(str::to_lowercase).filter(|key| known.contains(key));
    let Some(key) = of_file else {
        let upper: Vec<String> = known.iter().map(|key| key.to_uppercase()).collect();
        let nearest = nearest(variable, &upper).map_or("", String::as_str);
        return Err(Refusal::new(&name, "no such setting", &format!("BERTH_{nearest}")));
    };
    let text = text_file::read(Path::new(value)).map_err(|error| {
        let problem = format!("{} can't be read: {error}", Path::new(value).display());
        Refusal::new(&name, problem, &format!("{name}=/run/secrets/value"))
    })?;
    Ok((key, text.trim().to_owned()))
}

/// The settings of `berth.toml`, if it is there.
fn toml(file: &Path, problems: &mut Refusals) -> Vec<(String, String)> {
    let text = match text_file::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            let key = file.display().to_string();
            problems.add(Refusal::new(&key, format!("can't be read: {error}"), "a file that this process may read"));
            return Vec::new();
        }
    };
    let table: toml::Table = match toml::from_str(&text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
            // The message alone: the rest of the error repeats the line, which may hold a secret.
            problems.add(Refusal::new(&format!("{}, line {line}", file.display()), error.message(), "profile = \"production\""));
            return Vec::new();
        }
    };
    let known = known_keys();
    let mut values = Vec::new();
    for (key, value) in table {
        let place = format!("{key} ({}, line {})", file.display(), line_of(&text, &key));
        let plain = match value {
            toml::Value::String(text) => Some(text),
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Boolean(flag) => Some(flag.to_string()),
            _ => None,
        };
        match plain {
            _ if !known.contains(&key) => {
                problems.add(Refusal::new(&place, "no such setting", nearest(&key, &known).map_or("", String::as_str)));
            }
            _ if key == "data_dir" => {
                problems.add(Refusal::new(&place, "is where this file lies", "BERTH_DATA_DIR=/var/lib/berth"));
            }
            Some(text) => values.push((key, text)),
            None => problems.add(Refusal::new(&place, "must be a text, a whole number, true or false", &example(&key))),
        }
    }
    values
}

/// The line in which a key is set, counted from 1.
fn line_of(text: &str, key: &str) -> usize {
    let sets =
        |line: &str| line.trim_start().trim_start_matches('[').strip_prefix(key).is_some_and(|rest| !rest.starts_with('_'));
    text.lines().position(sets).map_or(1, |at| at + 1)
}

fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    known.iter().min_by_key(|candidate| strsim::levenshtein(key, candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named() {
        assert_eq!(nearest("hold_ttl_sec", &known_keys()).map(String::as_str), Some("hold_ttl_secs"));
    }

    #[test]
    fn a_number_can_be_a_secret_and_a_text_no_number() {
        assert!(matches!(fitting("sms_token", "0012345678"), Ok(Written::Text(text)) if text == "0012345678"));
        assert!(matches!(fitting("payment_poll_secs", "3600"), Ok(Written::Text(_))));
        assert!(matches!(fitting("hold_ttl_secs", "900"), Ok(Written::Number(900))));
        assert_eq!(fitting("hold_ttl_secs", "15m").unwrap_err(), "a whole number from 0 to 4294967295");
        assert_eq!(fitting("hold_sweeper", "on").unwrap_err(), "true or false");
        assert_eq!(fitting("listen", "4711").unwrap_err(), "an address with a port");
        assert_eq!(fitting("profile", "prod").unwrap_err(), "development or production");
        assert_eq!(fitting("workers", "-1").unwrap_err(), "a whole number that is not negative");
    }
}
