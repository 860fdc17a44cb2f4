//! The tables of this service; the only files that speak SQL. Functions over a connection, so that a use case decides what
//! belongs into one transaction.

pub mod account;
pub mod flow;
pub mod notification;
pub mod passenger;
pub mod reset;
pub mod session;
pub mod setting;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::DbErr;

use crate::document::IdType;

fn instant(ms: i64) -> Result<DateTime<Utc>, DbErr> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| unreadable("a time"))
}

fn date(text: &str) -> Result<NaiveDate, DbErr> {
    text.parse().map_err(|_| unreadable("a date"))
}

fn id_type(word: &str) -> Result<IdType, DbErr> {
    IdType::from_word(word).ok_or_else(|| unreadable("a kind of document"))
}

fn unreadable(what: &str) -> DbErr {
    DbErr::Type(format!("{what} in the database can't be read"))
}
