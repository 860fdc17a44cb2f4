//! What Berth's services say to each other: ids, money, events and peer traits. No I/O.
//!
//! * [`id`]: opaque prefixed ids (`hold_...`) over UUID v7, and the derived ids of trips, stops and seats
//! * [`locale`]: the languages in which people are written to
//! * [`money`]: integer minor units with an ISO 4217 currency
//! * [`event`]: domain events that travel through the outbox and the bus
//! * [`network`]: what counts as one client
//! * [`peer`]: one trait per service that others call; in process or over HTTP behind the same trait

pub mod event;
pub mod id;
pub mod locale;
pub mod money;
pub mod network;
pub mod peer;

pub use id::{IdError, Kind};
pub use locale::Locale;
pub use money::{Currency, Money, MoneyError};
pub use network::Network;
