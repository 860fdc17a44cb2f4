//! The payment service: takes money for bookings through a provider, believes only what the provider itself says when asked,
//! books every movement twice, and gives money back once.
//!
//! * nouns and their pure rules: [`payment`], [`refund`], [`ledger`], [`qris`]
//! * use cases: `payments` (create, read, close), `looks` (ask the provider and apply), `notices` (webhook inbox), `refunds`,
//!   `peer` (what booking asks), `records` (what user asks), `turns` (one at a time per payment); the steps they share inside a transaction are `books`
//! * adapters: [`provider`] (the seam, and Midtrans behind it), `webhook` (public HTTP), `graphql`, `store`, `jobs`
//! * [`sandbox`]: a payment provider for development that speaks Midtrans's protocol over HTTP, with a database of its own
//!
//! To add a payment method: a variant in `graphql/types.rs::PaymentMethodInput`, a field in [`provider::Charge`], and its body in
//! the adapter. To add a provider: implement [`provider::Provider`] and choose it in [`Payments::new`].

pub mod audit;
mod books;
pub mod config;
mod error;
mod graphql;
mod jobs;
pub mod ledger;
mod looks;
mod notices;
pub mod payment;
mod payments;
mod peer;
pub mod provider;
pub mod qris;
mod records;
pub mod refund;
mod refunds;
mod sabotage;
pub mod sandbox;
mod store;
pub mod story;
mod turns;
mod webhook;

use std::{sync::Arc, time::Duration};

use berth_contracts::peer::{BookingPeer, PaymentPeer, RecordsPeer};
use berth_kernel::{Deps, bus::Wake, server::Prepare, telemetry::Throttle};
use moka::sync::Cache;
use tokio::sync::Mutex;
use uuid::Uuid;

pub use config::{PaymentConfig, Polling};
pub use error::{Error, Refusal};
pub use graphql::PaymentSchema;
pub use payments::CreatePayment;
pub use sandbox::Sandbox;

use books::Books;
use provider::{Provider, midtrans::Midtrans};

/// How long the right to work on one payment is remembered after its last use.
const TURN_IDLE: Duration = Duration::from_mins(2);

/// The payment service. Cheap to clone.
#[derive(Clone)]
pub struct Payments {
    deps: Deps,
    config: Arc<PaymentConfig>,
    booking: Arc<dyn BookingPeer>,
    provider: Arc<dyn Provider>,
    books: Books,
    /// Where the tasks of this process queue for their turn.
    turns: Cache<Uuid, Arc<Mutex<()>>>,
    wake: Wakes,
    /// Lines about refused notices, by client.
    refused_notices: Arc<Throttle<String>>,
}

/// Wakes the workers; losing a call only delays them.
#[derive(Clone)]
struct Wakes {
    notices: Wake,
    looks: Wake,
    refunds: Wake,
}

impl Wakes {
    fn new(deps: &Deps) -> Self {
        let [notices, looks, refunds] = ["payment.notices", "payment.looks", "payment.refunds"].map(|name| deps.wake(name));
        Self { notices, looks, refunds }
    }
}

impl Payments {
    /// The service over its migrated database, with Midtrans (or what speaks like it) at the configured address.
    pub fn new(deps: Deps, config: PaymentConfig, booking: Arc<dyn BookingPeer>) -> Result<Self, reqwest::Error> {
        let provider = Arc::new(Midtrans::new(&config)?);
        Ok(Self::with_provider(deps, config, booking, provider))
    }

    /// The service with another provider.
    pub fn with_provider(deps: Deps, config: PaymentConfig, booking: Arc<dyn BookingPeer>, provider: Arc<dyn Provider>) -> Self {
        let books = Books::new(&deps, config.polling.clone());
        let turns = Cache::builder().time_to_idle(TURN_IDLE).build();
        let wake = Wakes::new(&deps);
        let refused_notices = Arc::new(Throttle::new(notices::REFUSALS_WINDOW));
        Self { deps, config: Arc::new(config), booking, provider, books, turns, wake, refused_notices }
    }

    /// The subgraph's schema.
    pub fn schema(&self) -> PaymentSchema {
        graphql::schema().data(self.clone()).finish()
    }

    /// Puts the loaders of a request into it.
    pub fn prepare(&self) -> Prepare {
        graphql::prepare(self.clone())
    }

    /// The subgraph's SDL. Needs no database.
    pub fn sdl() -> String {
        berth_kernel::graphql::federation_sdl(&graphql::schema().finish())
    }

    /// What booking calls.
    pub fn peer(&self) -> Arc<dyn PaymentPeer> {
        Arc::new(self.clone())
    }

    /// What user may ask about people.
    pub fn records(&self) -> Arc<dyn RecordsPeer> {
        Arc::new(self.clone())
    }

    /// Starts the workers: webhook inbox, looks at the provider, refunds. They end with the deps' cancellation.
    pub fn start(&self) {
        jobs::start(self);
    }

    /// `POST /webhooks/payments/{provider}` and `GET /payments/{paymentId}/qr.svg`, for the public port.
    pub fn public_routes(&self) -> axum::Router {
        webhook::routes(self.clone())
    }
}
