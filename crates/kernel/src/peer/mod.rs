//! Calls from process to process: the peer traits of `berth-contracts` over HTTP.
//!
//! * [`passed`](Passed): what travels along with a request from service to service
//! * [`Replicas`]: several addresses of one service, balanced, each with a breaker
//! * [`Line`]: one request to one of them, repeated only where that is safe
//! * [`Bundler`](bundle::Bundler): the router's requests that begin together, in one
//! * [`Standing`]: how the other processes receive this one, and what time they have
//! * [`client`], [`server`]: the two ends; `calls` is the table of methods that both are made from

pub mod bundle;
mod calls;
pub mod client;
mod line;
mod passed;
mod replicas;
pub mod server;
pub mod standing;

pub use line::{Answer, Call, Failure, Line, Repeat};
pub use passed::Passed;
pub use replicas::{Replica, Replicas};
pub use standing::Standing;
