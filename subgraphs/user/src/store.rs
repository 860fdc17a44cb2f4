//! The tables of this service; the only files that speak SQL. Functions over a connection, so that a use case decides what
//! belongs into one transaction.

pub mod account;
pub mod admin;
pub mod audit;
pub mod avatar;
pub mod bank_account;
pub mod contact_change;
pub mod ended_session;
pub mod flow;
pub mod identifier;
pub mod notification;
pub mod passenger;
pub mod passkey;
pub mod privacy;
pub mod reset;
pub mod second_factor;
pub mod session;
pub mod setting;
pub mod story;
pub mod work;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::DbErr;

use crate::{account::Standing, document::IdType, role::Role};

/// The address of an account; empty when what stands in its place is none.
fn address(stored: String) -> String {
    if stored.contains('@') { stored } else { String::new() }
}

fn instant(ms: i64) -> Result<DateTime<Utc>, DbErr> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| unreadable("a time"))
}

fn date(text: &str) -> Result<NaiveDate, DbErr> {
    text.parse().map_err(|_| unreadable("a date"))
}

fn id_type(word: &str) -> Result<IdType, DbErr> {
    IdType::from_word(word).ok_or_else(|| unreadable("a kind of document"))
}

fn standing(role: &str, suspended_at_ms: Option<i64>) -> Result<Standing, DbErr> {
    let role = Role::from_word(role).ok_or_else(|| unreadable("a role"))?;
    Ok(Standing { role, suspended_at: suspended_at_ms.map(instant).transpose()? })
}

fn unreadable(what: &str) -> DbErr {
    DbErr::Type(format!("{what} in the database can't be read"))
}
