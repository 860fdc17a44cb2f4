//! The user service through its schema, on SQLite.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admins;
mod attacks;
mod audit_log;
mod authenticator;
mod avatars;
mod banks;
mod contacts;
mod floods;
mod journey;
mod letters;
mod limits;
mod names;
mod notifications;
mod passengers;
mod passkeys;
mod passwords;
mod privacy;
mod second_factor;
mod sessions;
mod sign_up;
mod work;
mod world;

/// See `user_postgres.rs`.
pub const ON_POSTGRES: bool = false;
