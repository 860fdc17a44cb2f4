//! The payment service on real databases, with the real sandbox provider over real HTTP.

mod create;
mod faults;
mod journey;
mod refunds;
mod webhooks;
mod world;
