//! What every service of Berth stands on. One deep crate, so that the services hold only what they are about.
//!
//! * [`db`]: SQLite or PostgreSQL; on SQLite one writer with group commit
//! * [`outbox`], [`bus`], [`dead`]: events in the transaction of their change, delivered at least once; those that nobody could handle
//! * [`idempotency`]: the same key, the same answer
//! * [`auth`]: access tokens and the viewer; [`ended`]: sessions whose tokens are refused; [`seal`]: encryption at rest and keyed hashes; [`canary`]: whether the key fits
//! * [`graphql`]: shared types, refusals, paging, SDL; [`server`]: the door of a subgraph
//! * [`service`]: which process asks; [`peer`]: calls from service to service over HTTP
//! * [`post`]: letters and text messages queued in a transaction; [`mail`], [`sms`]: where they go
//! * [`page`]: pages for people, with a policy of what a browser may run in them
//! * [`limits`]: attempts, counted by all replicas together
//! * [`secret`]: texts that nothing shows; [`urls`]: URLs of what a process talks to
//! * [`telemetry`], [`metrics`]: logs, traces and counters; [`jobs`]; [`failpoint`], [`sabotage`]
//! * [`clock`], [`random`]: the only sources of time and randomness; [`agreed_time`]: a fleet goes by one clock

pub mod agreed_time;
pub mod auth;
pub mod backup;
pub mod bus;
pub mod canary;
pub mod catcher;
pub mod clock;
pub mod db;
pub mod dead;
pub mod documents;
pub mod ended;
pub mod failpoint;
pub mod graphql;
pub mod idempotency;
pub mod jobs;
pub mod keyring;
pub mod limits;
pub mod mail;
pub mod metrics;
pub mod outbox;
pub mod page;
pub mod peer;
pub mod post;
pub mod random;
pub mod sabotage;
pub mod seal;
pub mod secret;
pub mod server;
pub mod service;
pub mod sms;
pub mod story;
pub mod telemetry;
mod tls;
pub mod urls;

use std::sync::Arc;

/// What every service gets.
#[derive(Clone)]
pub struct Deps {
    /// The service's own database, migrated.
    pub db: db::Db,
    /// The clock.
    pub clock: clock::Clock,
    /// Where events go.
    pub bus: bus::Bus,
    /// The service's outbox; its relay is started by who wires the service.
    pub outbox: outbox::Outbox,
    /// The service's letters.
    pub post: post::Post,
    /// Encrypts personal data at rest.
    pub sealer: seal::Sealer,
    /// What goes on beside the requests.
    pub background: jobs::Background,
}

impl Deps {
    /// Deps over a database; outbox and the queue of letters and text messages are made for it.
    pub fn new(
        db: db::Db,
        clock: clock::Clock,
        bus: bus::Bus,
        mail: Arc<mail::Mail>,
        sms: Arc<sms::Sms>,
        sealer: seal::Sealer,
        background: jobs::Background,
    ) -> Self {
        let outbox = outbox::Outbox::new(clock.clone());
        let post = post::Post::new(mail, sms, clock.clone(), bus.wake("post"));
        Self { db, clock, bus, outbox, post, sealer, background }
    }

    /// What wakes the work of this name in every process.
    pub fn wake(&self, name: &'static str) -> bus::Wake {
        self.bus.wake(name)
    }

    /// Starts the outbox's relay and the post. Inside a Tokio runtime.
    pub fn start(&self) {
        self.start_relay();
        self.start_post();
    }

    /// Starts the outbox's relay. Several processes may run one.
    pub fn start_relay(&self) {
        self.background.spawn(self.outbox.clone().relay(self.db.clone(), self.bus.clone(), self.background.clone()));
    }

    /// Starts the post.
    pub fn start_post(&self) {
        self.background.spawn(self.post.clone().run(self.db.clone(), self.background.clone()));
    }
}
