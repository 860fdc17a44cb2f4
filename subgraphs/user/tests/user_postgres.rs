//! The same suite on PostgreSQL, on the server that `BERTH_TEST_POSTGRES_URL` names; without one, once more on SQLite.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "user/admins.rs"]
mod admins;
#[path = "user/attacks.rs"]
mod attacks;
#[path = "user/audit_log.rs"]
mod audit_log;
#[path = "user/authenticator.rs"]
mod authenticator;
#[path = "user/banks.rs"]
mod banks;
#[path = "user/contacts.rs"]
mod contacts;
#[path = "user/journey.rs"]
mod journey;
#[path = "user/letters.rs"]
mod letters;
#[path = "user/limits.rs"]
mod limits;
#[path = "user/names.rs"]
mod names;
#[path = "user/notifications.rs"]
mod notifications;
#[path = "user/passengers.rs"]
mod passengers;
#[path = "user/passkeys.rs"]
mod passkeys;
#[path = "user/passwords.rs"]
mod passwords;
#[path = "user/privacy.rs"]
mod privacy;
#[path = "user/second_factor.rs"]
mod second_factor;
#[path = "user/sessions.rs"]
mod sessions;
#[path = "user/sign_up.rs"]
mod sign_up;
#[path = "user/work.rs"]
mod work;
#[path = "user/world.rs"]
mod world;

/// Whether the tests ask for PostgreSQL.
pub const ON_POSTGRES: bool = true;
