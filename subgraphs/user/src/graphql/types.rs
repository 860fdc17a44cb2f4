//! Types of the schema, by noun.

pub mod admin;
pub mod audit;
pub mod avatar;
pub mod bank;
pub mod contact;
pub mod node;
pub mod notification;
pub mod passenger;
pub mod passkey;
pub mod password;
pub mod privacy;
pub mod refusal;
pub mod second_factor;
pub mod session;
pub mod setting;
pub mod user;
pub mod work;
