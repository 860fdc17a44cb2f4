//! The user service through its schema, on SQLite.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod journey;
mod notifications;
mod passengers;
mod passwords;
mod sessions;
mod sign_up;
mod world;

/// See `user_postgres.rs`.
pub const ON_POSTGRES: bool = false;
