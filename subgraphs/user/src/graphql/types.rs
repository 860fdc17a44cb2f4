//! Types of the schema, by noun.

pub mod node;
pub mod notification;
pub mod passenger;
pub mod password;
pub mod refusal;
pub mod session;
pub mod setting;
pub mod user;
