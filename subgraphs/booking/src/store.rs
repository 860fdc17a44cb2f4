//! Rows. The only place that speaks SQL; every statement runs on SQLite and PostgreSQL alike.

pub mod audit;
pub mod booking;
pub mod erasure;
pub mod part;
pub mod repayment;
pub mod story;
pub mod ticket;

use berth_contracts::{Currency, Money};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

/// A position in a list that is sorted by time and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The key, for rows of the same millisecond.
    pub id: Uuid,
}

impl Position {
    /// The text in a cursor.
    pub fn text(self) -> String {
        format!("{}.{}", self.at_ms, self.id.simple())
    }

    /// Reads the text of a cursor.
    pub fn parse(text: &str) -> Option<Self> {
        let (at_ms, id) = text.split_once('.')?;
        Some(Self { at_ms: at_ms.parse().ok()?, id: Uuid::try_parse(id).ok()? })
    }
}

fn corrupt(what: &str) -> DbErr {
    DbErr::Custom(format!("a stored {what} can't be read"))
}

fn instant(ms: i64) -> Result<DateTime<Utc>, DbErr> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| corrupt("instant"))
}

fn money(amount_minor: i64, currency: &str) -> Result<Money, DbErr> {
    Currency::parse(currency).map(|currency| Money::new(amount_minor, currency)).map_err(|_| corrupt("currency"))
}
