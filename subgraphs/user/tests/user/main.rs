//! The user service through its schema, on SQLite.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod authenticator;
mod journey;
mod limits;
mod passengers;
mod passkeys;
mod passwords;
mod second_factor;
mod sessions;
mod sign_up;
mod work;
mod world;

/// See `user_postgres.rs`.
pub const ON_POSTGRES: bool = false;
