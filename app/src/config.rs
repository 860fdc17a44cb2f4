//! The effective configuration: defaults, then `berth.toml` in the data directory, then `BERTH_...` variables, then arguments.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use serde::{Deserialize, Serialize};

/// A reason not to start: which key, what is wrong, and what would be right. Exit code 78 (`EX_CONFIG`).
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem} (example: {example})")]
pub struct Refusal {
    /// The key or thing.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub example: String,
}

impl Refusal {
    /// A refusal from its three parts.
    pub fn new(key: &str, problem: impl std::fmt::Display, example: &str) -> Self {
        Self { key: key.to_owned(), problem: format!("{problem}"), example: example.to_owned() }
    }
}

/// For whom this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For people who develop: GraphiQL, sandbox payments, mail catcher, `/dev` pages.
    Development,
    /// For the public: none of these.
    Production,
}

/// How the router reaches the subgraphs of its own process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// By a call.
    InProcess,
    /// Over loopback HTTP, as a fleet does.
    Http,
}

/// Every setting. A key `hold_ttl_secs` is the variable `BERTH_HOLD_TTL_SECS`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where databases, keys and caught mail live.
    pub data_dir: PathBuf,
    /// Public address.
    pub listen: SocketAddr,
    /// How the public reaches it, for links in mails and QR codes; derived from `listen` when absent.
    pub public_url: Option<String>,
    /// For whom it runs.
    pub profile: Profile,
    /// Life of a hold, 5 to 7200 seconds.
    pub hold_ttl_secs: u32,
    /// Whether expired holds are swept. Expiry holds without it; live views then learn of it late.
    pub hold_sweeper: bool,
    /// Mail server: `smtp://user:password@host:587`. Without it letters are caught.
    pub smtp_url: Option<String>,
    /// Sender of letters.
    pub mail_from: String,
    /// Base URL of the payment provider (Midtrans Core API). Without it the sandbox plays the provider.
    pub provider_url: Option<String>,
    /// The provider's server key. Needed with `provider_url`.
    pub provider_server_key: Option<String>,
    /// How payments are polled: seconds after the start of a payment, separated by commas.
    #[serde(deserialize_with = "list_or_number")]
    pub payment_poll_secs: String,
    /// Whether the sandbox provider sends its notifications. Without them payments are found by polling.
    pub sandbox_webhooks: bool,
    /// How the router reaches the subgraphs.
    pub subgraph_transport: Transport,
    /// Imports the demo timetable into an empty inventory, and extends it at each start.
    pub demo: bool,
    /// Browser origins that may call `/graphql`, separated by commas. Never `*`.
    pub allowed_origins: String,
    /// Router threads; as many as cores when absent.
    pub workers: Option<usize>,
    /// Log filter, as of tracing's `EnvFilter`.
    pub log: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 4000)),
            public_url: None,
            profile: Profile::Development,
            hold_ttl_secs: 900,
            hold_sweeper: true,
            smtp_url: None,
            mail_from: "Berth <no-reply@berth.example>".to_owned(),
            provider_url: None,
            provider_server_key: None,
            payment_poll_secs: "60,120,300,600,1800".to_owned(),
            sandbox_webhooks: true,
            subgraph_transport: Transport::InProcess,
            demo: true,
            allowed_origins: String::new(),
            workers: None,
            log: "warn,berth=info".to_owned(),
        }
    }
}

/// A list of one element looks like a number to the reader of variables.
fn list_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        List(String),
        Number(u32),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::List(list) => list,
        Either::Number(number) => number.to_string(),
    })
}

/// What the command line may set.
#[derive(Debug, Default, Clone)]
pub struct Arguments {
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
}

/// Variables that other parts read (tests, sabotage builds).
const OTHERS: [&str; 1] = ["SABOTAGE"];

impl Config {
    /// Reads the effective configuration and checks it.
    pub fn load(arguments: &Arguments) -> Result<Self, Refusal> {
        refuse_unknown_variables()?;
        let data_dir = arguments.data_dir.clone().or_else(|| std::env::var_os("BERTH_DATA_DIR").map(PathBuf::from));
        let file = data_dir.clone().unwrap_or_else(|| Self::default().data_dir).join("berth.toml");
        let mut figment = Figment::from(Serialized::defaults(Self::default())).merge(Toml::file(file));
        figment = figment.merge(Env::prefixed("BERTH_").ignore(&["sabotage"]));
        if let Some(data_dir) = data_dir {
            figment = figment.merge(("data_dir", data_dir));
        }
        if let Some(listen) = &arguments.listen {
            figment = figment.merge(("listen", listen));
        }
        let config: Self = figment.extract().map_err(|error| explain(&error))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Refusal> {
        if !(5..=7200).contains(&self.hold_ttl_secs) {
            return Err(Refusal::new("hold_ttl_secs", "must be between 5 and 7200", "BERTH_HOLD_TTL_SECS=900"));
        }
        if self.allowed_origins.split(',').any(|origin| origin.trim() == "*") {
            return Err(Refusal::new("allowed_origins", "a wildcard is refused", "BERTH_ALLOWED_ORIGINS=https://shop.example"));
        }
        if self.provider_url.is_some() {
            self.check_provider_key()?;
        }
        self.poll_after_secs()?;
        self.check_production()
    }

    fn check_provider_key(&self) -> Result<(), Refusal> {
        let key = self.provider_server_key.as_deref().unwrap_or_default();
        let placeholder = ["changeme", "change-me", "secret", "password", "placeholder"];
        let weak = key.len() < 16 || placeholder.iter().any(|word| key.eq_ignore_ascii_case(word));
        let example = "BERTH_PROVIDER_SERVER_KEY=<the key of your account, 16 characters or more>";
        if weak { Err(Refusal::new("provider_server_key", "is empty, short or a placeholder", example)) } else { Ok(()) }
    }

    fn check_production(&self) -> Result<(), Refusal> {
        if self.profile == Profile::Production && self.provider_url.is_none() {
            let example = "BERTH_PROVIDER_URL=https://provider.example";
            return Err(Refusal::new("provider_url", "production takes no sandbox payments", example));
        }
        if self.profile == Profile::Production && self.smtp_url.is_none() {
            let example = "BERTH_SMTP_URL=smtps://user:password@mail.example";
            return Err(Refusal::new("smtp_url", "production sends real mail", example));
        }
        Ok(())
    }

    /// Seconds after which a payment is polled.
    pub fn poll_after_secs(&self) -> Result<Vec<u32>, Refusal> {
        let parsed: Result<Vec<u32>, _> = self.payment_poll_secs.split(',').map(|part| part.trim().parse()).collect();
        let problem = "must be whole seconds separated by commas";
        parsed.map_err(|_| Refusal::new("payment_poll_secs", problem, "BERTH_PAYMENT_POLL_SECS=60,120,300"))
    }

    /// Browser origins that may call.
    pub fn origins(&self) -> Vec<String> {
        self.allowed_origins.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(str::to_owned).collect()
    }

    /// Creates the data directory if need be, and proves that it can be written.
    pub fn prepare_data_dir(&self) -> Result<(), Refusal> {
        let probe = self.data_dir.join(".writable");
        let written = std::fs::create_dir_all(&self.data_dir)
            .and_then(|()| std::fs::write(&probe, b""))
            .and_then(|()| std::fs::remove_file(&probe));
        written.map_err(|error| {
            Refusal::new("data_dir", format!("{} can't be written: {error}", self.data_dir.display()), "--data-dir ./data")
        })
    }

    /// A file in the data directory.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.data_dir.join(name)
    }

    /// The configuration as TOML with secrets hidden.
    pub fn redacted(&self) -> Result<String, toml::ser::Error> {
        let mut shown = self.clone();
        shown.provider_server_key = shown.provider_server_key.map(|_| "(hidden)".to_owned());
        shown.smtp_url = shown.smtp_url.map(|url| hide_password(&url));
        toml::to_string_pretty(&shown)
    }
}

fn hide_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}(hidden){}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

fn known_keys() -> Vec<String> {
    let value = serde_json::to_value(Config::default()).unwrap_or_default();
    value.as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

fn refuse_unknown_variables() -> Result<(), Refusal> {
    let known: Vec<String> = known_keys().iter().map(|key| key.to_uppercase()).collect();
    for (name, _) in std::env::vars_os() {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix("BERTH_")) else { continue };
        if !OTHERS.contains(&key) && !known.iter().any(|known| known == key) {
            let nearest = nearest(key, &known).map_or("", String::as_str);
            return Err(Refusal::new(&format!("BERTH_{key}"), "no such setting", &format!("BERTH_{nearest}")));
        }
    }
    Ok(())
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
    fn passwords_are_hidden() {
        assert_eq!(hide_password("smtp://me:pw@mail.example:25"), "smtp://(hidden)@mail.example:25");
        assert_eq!(hide_password("smtp://mail.example"), "smtp://mail.example");
    }

    #[test]
    fn production_refuses_the_sandbox() {
        let config = Config { profile: Profile::Production, ..Config::default() };
        assert_eq!(config.check().err().map(|refusal| refusal.key), Some("provider_url".to_owned()));
    }

    #[test]
    fn a_wildcard_origin_and_a_short_hold_are_refused() {
        assert!(Config { allowed_origins: "*".to_owned(), ..Config::default() }.check().is_err());
        assert!(Config { hold_ttl_secs: 4, ..Config::default() }.check().is_err());
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn one_moment_of_polling_is_a_list_too() {
        let read = |value: serde_json::Value| {
            let figment = Figment::from(Serialized::defaults(Config::default())).merge(("payment_poll_secs", value));
            figment.extract::<Config>().unwrap().poll_after_secs().unwrap()
        };
        assert_eq!(read(3600.into()), [3600]);
        assert_eq!(read("60, 120".into()), [60, 120]);
    }

    #[test]
    fn the_nearest_key_is_named() {
        assert_eq!(nearest("hold_ttl_sec", &known_keys()).map(String::as_str), Some("hold_ttl_secs"));
    }
}
