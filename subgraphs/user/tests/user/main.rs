//! The user service through its schema, on a real database.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod journey;
mod passengers;
mod sessions;
mod sign_up;
mod world;
