//! Occurrences: the row per trip that exists once something was claimed on it, with the trip's version.

use berth_contracts::id::TripKey;
use berth_kernel::db::{Tx, sql};
use sea_orm::{ConnectionTrait, DbErr};

/// A trip in the claim tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// Key of its claims.
    pub id: i64,
    /// The version after this change.
    pub version: i64,
}

/// Makes the next version of a trip, and the row when there is none yet. Holds the row until the transaction ends, so the
/// changes of one trip come one after the other. Lock several trips in the order of their keys.
pub async fn bump(tx: &Tx, trip: TripKey) -> Result<Occurrence, DbErr> {
    let text = "INSERT INTO occurrence (template, day, version) VALUES ($1, $2, 1) \
                ON CONFLICT (template, day) DO UPDATE SET version = occurrence.version + 1 RETURNING id, version";
    let row = tx.query_one_raw(sql(tx, text, [trip.template.into(), i32::from(trip.day).into()])).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("occurrence".to_owned()))?;
    Ok(Occurrence { id: row.try_get("", "id")?, version: row.try_get("", "version")? })
}
