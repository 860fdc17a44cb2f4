//! Booking: turns a hold into a booking, waits for its money, sells the seats, issues tickets; gives money back when there is
//! nothing left to sell.
//!
//! * nouns, pure: `booking`, `course` (what a booking needs next), `place`, `passenger`, `contact`, `ticket`, `repayment`
//! * use cases: `bookings` (create, cancel, find, list), `tickets`, `saga` (the one `step`), `erasure` (people who left)
//! * `change` writes one transition; `letter` writes mails; `store` holds the rows
//! * `graphql` is the door for people, `peer` for payment, `records` for user, `events` for the bus, `routes` for QR pictures, `jobs` the reconciler
//!
//! To add a state: name it in `booking::State` with its transitions, say in `course` what it needs, carry that out in `saga`.

pub mod audit;
mod booking;
mod bookings;
mod change;
mod config;
mod contact;
mod course;
mod erasure;
mod error;
mod events;
mod graphql;
mod jobs;
pub mod letter;
#[cfg(test)]
mod model;
mod passenger;
mod peer;
mod place;
mod records;
mod repayment;
mod routes;
mod sabotage;
mod saga;
mod store;
pub mod story;
mod ticket;
mod tickets;

use std::sync::{Arc, OnceLock};

use berth_contracts::peer::{BookingPeer, InventoryPeer, PaymentPeer, PeerError, RecordsPeer, UserPeer};
use berth_kernel::{Deps, bus::Wake, server::Prepare};

pub use booking::Status;
pub use config::BookingConfig;
pub use error::{Error, Refusal};
pub use graphql::BookingSchema;

/// The booking service. Cheap to clone.
#[derive(Clone)]
pub struct Bookings {
    pub(crate) deps: Deps,
    pub(crate) config: Arc<BookingConfig>,
    pub(crate) inventory: Arc<dyn InventoryPeer>,
    pub(crate) user: Arc<dyn UserPeer>,
    payment: Arc<OnceLock<Arc<dyn PaymentPeer>>>,
    /// Tells the reconciler that something is due.
    pub(crate) due: Wake,
}

impl Bookings {
    /// The service over its database and the services it asks. Payment is introduced by [`Bookings::set_payment`].
    pub fn new(deps: Deps, config: BookingConfig, inventory: Arc<dyn InventoryPeer>, user: Arc<dyn UserPeer>) -> Self {
        let (payment, due) = (Arc::new(OnceLock::new()), deps.wake("booking.reconcile"));
        Self { deps, config: Arc::new(config), inventory, user, payment, due }
    }

    /// Introduces payment, which itself needs [`Bookings::peer`]. Only the first call counts.
    pub fn set_payment(&self, payment: Arc<dyn PaymentPeer>) {
        if self.payment.set(payment).is_err() {
            tracing::error!("booking.payment.introduced_twice");
        }
    }

    pub(crate) fn payment(&self) -> Result<&dyn PaymentPeer, PeerError> {
        let payment = self.payment.get().map(AsRef::as_ref);
        payment.ok_or_else(|| PeerError::Unavailable("payment is not wired yet".to_owned()))
    }

    /// The executable schema.
    pub fn schema(&self) -> BookingSchema {
        graphql::builder().data(self.clone()).finish()
    }

    /// Puts the loaders, which hold the viewer, into a request.
    pub fn prepare(&self) -> Prepare {
        graphql::prepare(self.clone())
    }

    /// The SDL for composition; needs no database.
    pub fn sdl() -> String {
        berth_kernel::graphql::federation_sdl(&graphql::builder().finish())
    }

    /// What payment may ask.
    pub fn peer(&self) -> Arc<dyn BookingPeer> {
        Arc::new(self.clone())
    }

    /// What user may ask about people.
    pub fn records(&self) -> Arc<dyn RecordsPeer> {
        Arc::new(self.clone())
    }

    /// Registers the consumers on the bus and starts the reconciler. Inside a Tokio runtime, after [`Bookings::set_payment`] and
    /// before the relays start.
    pub fn start(&self) {
        self.deps.bus.register(Arc::new(events::PaymentNews(self.clone())));
        self.deps.bus.register(Arc::new(events::Departures(self.clone())));
        self.start_jobs();
    }

    /// `GET /tickets/{id}/qr.svg`
    pub fn public_routes(&self) -> axum::Router {
        routes::router(self.clone())
    }
}
