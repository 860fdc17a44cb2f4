//! The payment service on real databases, with the real sandbox provider over real HTTP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod create;
mod faults;
mod fleet;
mod journey;
mod refunds;
mod sabotage;
mod webhooks;
mod world;
