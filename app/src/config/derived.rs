//! What follows from the settings: addresses, places, lists.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use berth_kernel::{clock::Clock, secret::Secret};
use chrono::TimeDelta;

use super::{Config, Profile, Refusal};
use crate::role::{Role, Roles, Service};

impl Config {
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
    pub fn database(&self, service: Service) -> Option<&Secret> {
        let own = match service {
            Service::User => &self.database_url_user,
            Service::Inventory => &self.database_url_inventory,
            Service::Booking => &self.database_url_booking,
            Service::Payment => &self.database_url_payment,
        };
        own.as_ref().or(self.database_url.as_ref())
    }

    /// Seconds after which a payment is polled.
    pub fn poll_after_secs(&self) -> Result<Vec<u32>, Refusal> {
        let parsed: Result<Vec<u32>, _> = self.payment_poll_secs.split(',').map(|part| part.trim().parse()).collect();
        let parsed = parsed.ok().filter(|secs| secs.first() > Some(&0) && secs.is_sorted_by(|one, next| one < next));
        let problem = "must be whole seconds separated by commas, each more than the one before";
        parsed.ok_or_else(|| Refusal::new("payment_poll_secs", problem, "BERTH_PAYMENT_POLL_SECS=60,120,300"))
    }

    /// Whether the demo timetable is imported: never into a timetable of the public.
    pub fn imports_demo(&self) -> bool {
        self.demo.unwrap_or(self.profile == Profile::Development)
    }

    /// Browser origins that may call.
    pub fn origins(&self) -> Vec<String> {
        self.allowed_origins.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(str::to_owned).collect()
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
}
