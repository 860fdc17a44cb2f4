//! The tables of this service. Statements are written out because nearly all of them are conditional: the affected-row count
//! tells whether a change was ours.

pub mod audit;
pub mod ledger;
pub mod notice;
pub mod payment;
pub mod refund;
pub mod story;
pub mod turn;

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, QueryResult};

fn ms(instant: Option<DateTime<Utc>>) -> Option<i64> {
    instant.map(|instant| instant.timestamp_millis())
}

fn instant(row: &QueryResult, column: &str) -> Result<DateTime<Utc>, DbErr> {
    instant_null(row, column)?.ok_or_else(|| unreadable(column, "null"))
}

fn instant_null(row: &QueryResult, column: &str) -> Result<Option<DateTime<Utc>>, DbErr> {
    let ms: Option<i64> = row.try_get("", column)?;
    Ok(ms.and_then(DateTime::from_timestamp_millis))
}

fn unreadable(column: &str, value: &str) -> DbErr {
    DbErr::Type(format!("{column} can't be {value}"))
}
