//! The effective configuration: defaults, then `berth.toml` in the data directory, then `BERTH_...` variables, then arguments.

use std::{net::SocketAddr, path::PathBuf};

use berth_kernel::secret::Secret;
use serde::{Deserialize, Serialize};

mod arguments;
mod checks;
mod defaults;
mod derived;
mod limits;
mod production;
mod refusal;
mod shown;
#[cfg(test)]
mod tests;
mod variables;
mod written;

pub use arguments::Arguments;
pub use refusal::{Refusal, Refusals};

/// For whom this process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// For people who develop: GraphiQL, sandbox payments, mail catcher, `/dev` pages.
    Development,
    /// For the public: none of these.
    Production,
}

impl Profile {
    /// Its name, as the setting takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
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
#[serde(default, deny_unknown_fields)]
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
    pub database_url: Option<Secret>,
    /// PostgreSQL of user alone.
    pub database_url_user: Option<Secret>,
    /// PostgreSQL of inventory alone.
    pub database_url_inventory: Option<Secret>,
    /// PostgreSQL of booking alone.
    pub database_url_booking: Option<Secret>,
    /// PostgreSQL of payment alone.
    pub database_url_payment: Option<Secret>,
    /// Connections of this process to each service's PostgreSQL.
    pub database_max_connections: u32,
    /// PostgreSQL gives a statement up after this time.
    pub database_statement_timeout_ms: u64,
    /// PostgreSQL gives waiting for a lock up after this time.
    pub database_lock_timeout_ms: u64,
    /// How long a process that starts waits for a PostgreSQL that does not answer yet.
    pub database_wait_secs: u32,
    /// Redis: `redis://host:6379`. Without it events stay in the process.
    pub redis_url: Option<Secret>,
    /// Where the keys are; `keys` in the data directory when absent.
    pub keys_dir: Option<PathBuf>,
    /// Collector of traces (OTLP over HTTP): `http://collector:4318`. Without it none are sent.
    pub otlp_url: Option<Secret>,
    /// How the public reaches it, for links in mails and QR codes; derived from `listen` when absent.
    pub public_url: Option<String>,
    /// For whom it runs.
    pub profile: Profile,
    /// Life of a hold, 5 to 7200 seconds.
    pub hold_ttl_secs: u32,
    /// Whether expired holds are swept. Expiry holds without it; live views then learn of it late.
    pub hold_sweeper: bool,
    /// Mail server: `smtp://user:password@host:587`. Without it letters are caught.
    pub smtp_url: Option<Secret>,
    /// Sender of letters.
    pub mail_from: String,
    /// SMS gateway: where messages are posted. Without it text messages are caught, and in production there are none.
    pub sms_url: Option<Secret>,
    /// The gateway's bearer token. Needed with `sms_url`.
    pub sms_token: Option<Secret>,
    /// Where caught letters are kept; `mail.jsonl` in the data directory when absent. Caught text messages lie beside it in `sms.jsonl`.
    pub mail_file: Option<PathBuf>,
    /// A file through which processes share a clock that was moved. Development only.
    pub clock_file: Option<PathBuf>,
    /// How far this process's clock is off. Development only.
    pub clock_offset_secs: i64,
    /// Base URL of the payment provider (Midtrans Core API). Without it the sandbox plays the provider.
    pub provider_url: Option<String>,
    /// The provider's server key. Needed with `provider_url`.
    pub provider_server_key: Option<Secret>,
    /// How payments are polled: seconds after the start of a payment, separated by commas.
    pub payment_poll_secs: String,
    /// Whether the sandbox provider sends its notifications. Without them payments are found by polling.
    pub sandbox_webhooks: bool,
    /// How the router reaches the subgraphs.
    pub subgraph_transport: Transport,
    /// Imports the demo timetable into an empty inventory, and extends it at each start; in development when absent.
    pub demo: Option<bool>,
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
    /// Log filter, levels by target: `warn,berth=info`.
    pub log: String,
}

impl Config {
    /// Reads the effective configuration for a command and checks it: all that is wrong is told at once.
    pub fn load(arguments: &Arguments) -> Result<Self, Refusals> {
        let (config, problems) = Self::read(arguments);
        problems.end()?;
        Ok(config)
    }

    /// The same for a process that serves: in production everything that its roles use must be there.
    pub fn load_to_serve(arguments: &Arguments) -> Result<Self, Refusals> {
        let (config, mut problems) = Self::read(arguments);
        config.check_production(&mut problems);
        problems.end()?;
        Ok(config)
    }

    fn read(arguments: &Arguments) -> (Self, Refusals) {
        let mut problems = Refusals::default();
        let config = variables::read(arguments, &mut problems);
        config.check(&mut problems);
        (config, problems)
    }
}
