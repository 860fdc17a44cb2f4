//! The effective configuration: defaults, then `berth.toml` in the data directory, then `BERTH_...` variables, then arguments.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use berth_kernel::clock::Clock;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::role::{Role, Roles, Service};

mod checks;
mod limits;
mod variables;

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
    /// What this process does, separated by commas: router, user, inventory, booking, payment, worker. Empty: everything.
    pub roles: String,
    /// Address of the front door; of the only role, in a process without the front door.
    pub listen: Option<SocketAddr>,
    /// Address of the router.
    pub listen_router: Option<SocketAddr>,
    /// Address of user.
    pub listen_user: Option<SocketAddr>,
    /// Address of inventory.
    pub listen_inventory: Option<SocketAddr>,
    /// Address of booking.
    pub listen_booking: Option<SocketAddr>,
    /// Address of payment.
    pub listen_payment: Option<SocketAddr>,
    /// Address of the worker.
    pub listen_worker: Option<SocketAddr>,
    /// Base URLs of user's replicas, separated by commas.
    pub subgraph_user: Option<String>,
    /// Base URLs of inventory's replicas.
    pub subgraph_inventory: Option<String>,
    /// Base URLs of booking's replicas.
    pub subgraph_booking: Option<String>,
    /// Base URLs of payment's replicas.
    pub subgraph_payment: Option<String>,
    /// PostgreSQL: each service has a schema of its name in it. Without it each service has a SQLite file.
    pub database_url: Option<String>,
    /// PostgreSQL of user alone.
    pub database_url_user: Option<String>,
    /// PostgreSQL of inventory alone.
    pub database_url_inventory: Option<String>,
    /// PostgreSQL of booking alone.
    pub database_url_booking: Option<String>,
    /// PostgreSQL of payment alone.
    pub database_url_payment: Option<String>,
    /// Connections of this process to each service's PostgreSQL.
    pub database_max_connections: u32,
    /// PostgreSQL gives a statement up after this time.
    pub database_statement_timeout_ms: u64,
    /// PostgreSQL gives waiting for a lock up after this time.
    pub database_lock_timeout_ms: u64,
    /// Redis: `redis://host:6379`. Without it events stay in the process.
    pub redis_url: Option<String>,
    /// Where the keys are; `keys` in the data directory when absent.
    pub keys_dir: Option<PathBuf>,
    /// Collector of traces (OTLP over HTTP): `http://collector:4318`. Without it none are sent.
    pub otlp_url: Option<String>,
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
    /// SMS gateway: where messages are posted. Without it text messages are caught, and in production there are none.
    pub sms_url: Option<String>,
    /// The gateway's bearer token. Needed with `sms_url`.
    pub sms_token: Option<String>,
    /// Where caught letters are kept; `mail.jsonl` in the data directory when absent. Caught text messages lie beside it in `sms.jsonl`.
    pub mail_file: Option<PathBuf>,
    /// A file through which processes share a clock that was moved. Development only.
    pub clock_file: Option<PathBuf>,
    /// How far this process's clock is off. Development only.
    pub clock_offset_secs: i64,
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
    /// Proxies and balancers before the router that add to `X-Forwarded-For`. 0: the header is not looked at.
    pub trusted_proxies: usize,
    /// Whether private addresses are clients with limits of their own, where no proxy stands before the router.
    pub private_clients: bool,
    /// Milliseconds of work a second for the clients of one address that are not signed in. 0: as much as they like.
    pub client_work_ms: u32,
    /// Connections of one client to the public port; also its open sockets, and its open streams.
    pub client_connections: usize,
    /// Connections to the public port.
    pub max_connections: usize,
    /// Work that a sign-up costs its client: leading zero bits of a SHA-256, 0 to 30. 0: none.
    pub sign_up_work: u32,
    /// Limits of a document that differ from the defaults: `tokens=3000,cost=4000`.
    pub document_limits: String,
    /// Router threads; as many as cores when absent.
    pub workers: Option<usize>,
    /// Log filter, as of tracing's `EnvFilter`.
    pub log: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            roles: String::new(),
            listen: None,
            listen_router: None,
            listen_user: None,
            listen_inventory: None,
            listen_booking: None,
            listen_payment: None,
            listen_worker: None,
            subgraph_user: None,
            subgraph_inventory: None,
            subgraph_booking: None,
            subgraph_payment: None,
            database_url: None,
            database_url_user: None,
            database_url_inventory: None,
            database_url_booking: None,
            database_url_payment: None,
            database_max_connections: 10,
            database_statement_timeout_ms: 5_000,
            database_lock_timeout_ms: 2_000,
            redis_url: None,
            keys_dir: None,
            otlp_url: None,
            public_url: None,
            profile: Profile::Development,
            hold_ttl_secs: 900,
            hold_sweeper: true,
            smtp_url: None,
            mail_from: "Berth <no-reply@berth.example>".to_owned(),
            sms_url: None,
            sms_token: None,
            mail_file: None,
            clock_file: None,
            clock_offset_secs: 0,
            provider_url: None,
            provider_server_key: None,
            payment_poll_secs: "60,120,300,600,1800".to_owned(),
            sandbox_webhooks: true,
            subgraph_transport: Transport::InProcess,
            demo: true,
            allowed_origins: String::new(),
            trusted_proxies: 0,
            private_clients: false,
            client_work_ms: 200,
            client_connections: 1_000,
            max_connections: 20_000,
            sign_up_work: 0,
            document_limits: String::new(),
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
    /// `--role`
    pub roles: Vec<String>,
    /// `--subgraph NAME=URL[,URL...]`
    pub subgraphs: Vec<String>,
}

impl Arguments {
    /// Settings by key, as a configuration file would have them.
    fn settings(&self) -> Result<Vec<(String, String)>, Refusal> {
        let mut settings = Vec::new();
        settings.extend(self.listen.clone().map(|listen| ("listen".to_owned(), listen)));
        if !self.roles.is_empty() {
            settings.push(("roles".to_owned(), self.roles.join(",")));
        }
        for subgraph in &self.subgraphs {
            let named = subgraph.split_once('=');
            let known = named.filter(|(name, _)| Service::ALL.iter().any(|service| service.name() == *name));
            let (name, urls) = known.ok_or_else(|| {
                Refusal::new("--subgraph", format!("{subgraph:?} names no service"), "--subgraph inventory=http://127.0.0.1:4102")
            })?;
            settings.push((format!("subgraph_{name}"), urls.to_owned()));
        }
        Ok(settings)
    }
}

impl Config {
    /// Reads the effective configuration and checks it.
    pub fn load(arguments: &Arguments) -> Result<Self, Refusal> {
        let config = variables::read(arguments)?;
        config.check()?;
        Ok(config)
    }

    /// What this process does.
    pub fn roles(&self) -> Result<Roles, Refusal> {
        let example = "--role router, --role user,worker";
        Roles::parse(&self.roles).map_err(|problem| Refusal::new("roles", problem, example))
    }

    /// Where a role of this process listens.
    pub fn address(&self, role: Role) -> SocketAddr {
        let own = match role {
            Role::Router => self.listen_router,
            Role::Worker => self.listen_worker,
            Role::Service(Service::User) => self.listen_user,
            Role::Service(Service::Inventory) => self.listen_inventory,
            Role::Service(Service::Booking) => self.listen_booking,
            Role::Service(Service::Payment) => self.listen_payment,
        };
        let is_front = self.roles().is_ok_and(|roles| roles.front() == Some(role));
        own.or(self.listen.filter(|_| is_front)).unwrap_or_else(|| role.default_address())
    }

    /// Base URLs of a service's replicas.
    pub fn subgraph(&self, service: Service) -> Vec<String> {
        let set = match service {
            Service::User => &self.subgraph_user,
            Service::Inventory => &self.subgraph_inventory,
            Service::Booking => &self.subgraph_booking,
            Service::Payment => &self.subgraph_payment,
        };
        let default = || format!("http://{}", Role::Service(service).default_address());
        let text = set.clone().unwrap_or_else(default);
        let bases = text.split(',').map(|url| url.trim().trim_end_matches('/').trim_end_matches("/graphql").to_owned());
        bases.filter(|url| !url.is_empty()).collect()
    }

    /// The PostgreSQL of a service; absent: its SQLite file.
    pub fn database(&self, service: Service) -> Option<&str> {
        let own = match service {
            Service::User => &self.database_url_user,
            Service::Inventory => &self.database_url_inventory,
            Service::Booking => &self.database_url_booking,
            Service::Payment => &self.database_url_payment,
        };
        own.as_deref().or(self.database_url.as_deref())
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
        let probe = self.data_dir.join(format!(".writable-{}", std::process::id()));
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

    /// Where caught text messages are kept: beside the letters, as processes that share those share these.
    pub fn sms_file(&self) -> PathBuf {
        self.mail_file.as_ref().map_or_else(|| self.file("sms.jsonl"), |mail| mail.with_file_name("sms.jsonl"))
    }

    /// The SQLite file of the database with this name.
    pub fn sqlite_file(&self, name: &str) -> PathBuf {
        self.file(format!("{name}.sqlite"))
    }

    /// The clock of this process.
    pub fn clock(&self) -> Clock {
        Clock::shifted(TimeDelta::seconds(self.clock_offset_secs))
    }

    /// A file in the directory of keys.
    pub fn key_file(&self, name: &str) -> PathBuf {
        self.keys_dir.clone().unwrap_or_else(|| self.file("keys")).join(name)
    }

    /// The configuration as TOML with secrets hidden. Keys without a value stand as comments.
    pub fn redacted(&self) -> Result<String, toml::ser::Error> {
        let mut shown = self.clone();
        shown.provider_server_key = shown.provider_server_key.map(|_| "(hidden)".to_owned());
        shown.sms_token = shown.sms_token.map(|_| "(hidden)".to_owned());
        let urls = [
            &mut shown.smtp_url,
            &mut shown.sms_url,
            &mut shown.redis_url,
            &mut shown.database_url,
            &mut shown.database_url_user,
            &mut shown.database_url_inventory,
            &mut shown.database_url_booking,
            &mut shown.database_url_payment,
        ];
        for url in urls.into_iter().flatten() {
            *url = hide_password(url);
        }
        let text = toml::to_string_pretty(&shown)?;
        let unset =
            variables::known_keys().into_iter().filter(|key| !text.lines().any(|line| line.starts_with(&format!("{key} ="))));
        let unset: String = unset.map(|key| format!("# {key} =\n")).collect();
        Ok(text + &unset)
    }
}

fn hide_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}(hidden){}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use figment::{Figment, providers::Serialized};

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
    fn a_gateway_needs_its_token() {
        let gateway = |url: &str, token: Option<&str>| Config {
            sms_url: Some(url.to_owned()),
            sms_token: token.map(str::to_owned),
            ..Config::default()
        };
        let refused = |config: Config| config.check().err().map(|refusal| refusal.key);
        assert_eq!(refused(gateway("https://sms.example", None)), Some("sms_token".to_owned()));
        assert_eq!(refused(gateway("https://sms.example", Some(" "))), Some("sms_token".to_owned()));
        assert_eq!(refused(gateway("sms.example", Some("a-long-token"))), Some("sms_url".to_owned()));
        assert_eq!(refused(gateway("https://sms.example", Some("a-long-token"))), None);
        assert!(!gateway("https://sms.example", Some("a-long-token")).redacted().unwrap().contains("a-long-token"));
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
    fn one_address_each() {
        let router = Config { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9))), ..Config::default() };
        assert_eq!((router.address(Role::Router).port(), router.address(Role::Worker).port()), (9, 4105));
        let booking = Config { roles: "booking".to_owned(), ..router.clone() };
        assert_eq!(booking.address(Role::Service(Service::Booking)).port(), 9);
        let two = Config { roles: "booking,worker".to_owned(), ..router };
        assert_eq!(two.address(Role::Service(Service::Booking)).port(), 4103);
    }

    #[test]
    fn replicas_are_listed() {
        let config = Config { subgraph_user: Some("http://a:1/graphql, http://b:2/".to_owned()), ..Config::default() };
        assert_eq!(config.subgraph(Service::User), ["http://a:1", "http://b:2"]);
        assert_eq!(config.subgraph(Service::Inventory), ["http://127.0.0.1:4102"]);
    }

    #[test]
    fn every_key_is_shown_and_no_password() {
        let config = Config { database_url: Some("postgres://me:pw@db/berth".to_owned()), ..Config::default() };
        let text = config.redacted().unwrap();
        assert!(variables::known_keys().iter().all(|key| text.contains(key)), "{text}");
        assert!(!text.contains("pw"), "{text}");
    }
}
