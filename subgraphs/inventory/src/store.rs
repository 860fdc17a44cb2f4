//! The database of inventory. The only files that speak SQL.

pub mod audit;
pub mod catalogue;
pub mod claim;
pub mod hold;
pub mod import;
pub mod occupancy;
pub mod occurrence;
pub mod story;

use sea_orm::{DbErr, QueryResult};

/// A number that was written from 16 bits.
fn small(row: &QueryResult, column: &str) -> Result<u16, DbErr> {
    let number: i32 = row.try_get("", column)?;
    u16::try_from(number).map_err(|_| DbErr::Type(format!("{column} is {number}")))
}
