//! Where settings come from: variables of the environment, and files that hold the values of such variables.

use std::{io, path::Path};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};

use super::{Arguments, Config, Refusal};
use crate::files;

/// Variables that other parts read (tests, sabotage builds).
const OTHERS: [&str; 1] = ["SABOTAGE"];
/// `BERTH_REDIS_URL_FILE` names a file that holds the value of `BERTH_REDIS_URL`: how containers get their secrets.
const FILE_SUFFIX: &str = "_FILE";

/// The effective configuration, unchecked: defaults, `berth.toml`, variables, files of variables, arguments.
pub fn read(arguments: &Arguments) -> Result<Config, Refusal> {
    let known = known_keys();
    let files = files_of_variables(&known)?;
    let data_dir = arguments.data_dir.clone().or_else(|| std::env::var_os("BERTH_DATA_DIR").map(Into::into));
    let folder = data_dir.clone().unwrap_or_else(|| Config::default().data_dir);
    let ignored: Vec<String> = files.iter().map(|(key, _)| format!("{key}_file")).chain(["sabotage".to_owned()]).collect();
    let ignored: Vec<&str> = ignored.iter().map(String::as_str).collect();
    let mut figment = Figment::from(Serialized::defaults(Config::default())).merge(Toml::string(&own_file(&folder)?));
    figment = figment.merge(Env::prefixed("BERTH_").ignore(&ignored));
    for (key, value) in &files {
        figment = figment.merge((key.as_str(), value));
    }
    for (key, value) in arguments.settings()? {
        figment = figment.merge((key.as_str(), value));
    }
    if let Some(data_dir) = data_dir {
        figment = figment.merge(("data_dir", data_dir));
    }
    figment.extract().map_err(|error| explain(&error))
}

/// The settings of a data directory; none when it has no such file.
fn own_file(folder: &Path) -> Result<String, Refusal> {
    let file = folder.join("berth.toml");
    match files::read_text(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Refusal::new(&file.display().to_string(), format!("can't be read: {error}"), "hold_ttl_secs = 900"))
        }
        read => Ok(read.unwrap_or_default()),
    }
}

/// Every key.
pub fn known_keys() -> Vec<String> {
    let value = serde_json::to_value(Config::default()).unwrap_or_default();
    value.as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

/// Reads the files that variables name, and refuses a variable that nobody reads.
fn files_of_variables(known: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let mut files = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(variable) = name.to_str().and_then(|name| name.strip_prefix("BERTH_")) else { continue };
        let key = variable.to_lowercase();
        if OTHERS.contains(&variable) || known.contains(&key) {
            continue;
        }
        let of_file = variable.strip_suffix(FILE_SUFFIX).map(str::to_lowercase).filter(|key| known.contains(key));
        let Some(key) = of_file else {
            let upper: Vec<String> = known.iter().map(|key| key.to_uppercase()).collect();
            let nearest = nearest(variable, &upper).map_or("", String::as_str);
            return Err(Refusal::new(&format!("BERTH_{variable}"), "no such setting", &format!("BERTH_{nearest}")));
        };
        files.push((key, content(variable, Path::new(&value))?));
    }
    Ok(files)
}

fn content(variable: &str, file: &Path) -> Result<String, Refusal> {
    let text = files::read_text(file).map(|text| text.trim().to_owned());
    text.map_err(|error| {
        let key = format!("BERTH_{variable}");
        Refusal::new(&key, format!("{} can't be read: {error}", file.display()), &format!("{key}=/run/secrets/value"))
    })
}

fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    known.iter().min_by_key(|candidate| strsim::levenshtein(key, candidate))
}

fn explain(error: &figment::Error) -> Refusal {
    use figment::error::Kind;
    let key = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(field, _) => {
            let known = known_keys();
            Refusal::new(field, "no such setting", nearest(field, &known).map_or("", String::as_str))
        }
        kind => {
            let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
            Refusal::new(&key, kind, &format!("{key} = {}", defaults.get(&key).unwrap_or(&serde_json::Value::Null)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named() {
        assert_eq!(nearest("hold_ttl_sec", &known_keys()).map(String::as_str), Some("hold_ttl_secs"));
    }
}
