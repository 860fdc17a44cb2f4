//! The same suite on PostgreSQL, on the server that `BERTH_TEST_POSTGRES_URL` names; without one, once more on SQLite.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "user/attacks.rs"]
mod attacks;
#[path = "user/journey.rs"]
mod journey;
#[path = "user/notifications.rs"]
mod notifications;
#[path = "user/passengers.rs"]
mod passengers;
#[path = "user/passwords.rs"]
mod passwords;
#[path = "user/sessions.rs"]
mod sessions;
#[path = "user/sign_up.rs"]
mod sign_up;
#[path = "user/world.rs"]
mod world;

/// Whether the tests ask for PostgreSQL.
pub const ON_POSTGRES: bool = true;
