//! Occurrences: the row per trip that exists once something was claimed on it, with the trip's version.

use std::collections::BTreeMap;

use berth_contracts::id::TripKey;
use berth_kernel::db::{Tx, sql, table};
use sea_orm::{ConnectionTrait, DbErr, Value};

/// A trip in the claim tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occurrence {
    /// Key of its claims.
    pub id: i64,
    /// The version after this change.
    pub version: i64,
}

/// Trips that a transaction changes, with their new versions.
pub type Occurrences = BTreeMap<TripKey, Occurrence>;

/// Makes the next version of each trip, and its row when there is none yet. Holds the rows until the transaction ends, so
/// the changes of one trip come one after the other; in the order of their keys, so no two transactions wait for each other.
pub async fn bump(tx: &Tx, trips: impl IntoIterator<Item = TripKey>) -> Result<Occurrences, DbErr> {
    let mut trips: Vec<TripKey> = trips.into_iter().collect();
    trips.sort_unstable();
    trips.dedup();
    if trips.is_empty() {
        return Ok(Occurrences::new());
    }
    let mut values = Vec::new();
    let asked = trips.iter().map(|trip| [Value::from(1_i64), trip.template.into(), i32::from(trip.day).into()]);
    let asked = table(tx, "v", asked, &mut values);
    let text = format!(
        "INSERT INTO occurrence (version, template, day) SELECT * FROM {asked} WHERE true ON CONFLICT (template, day) DO UPDATE \
         SET version = occurrence.version + 1 RETURNING id, version, template, day"
    );
    let rows = tx.query_all_raw(sql(tx, &text, values)).await?;
    let mut occurrences = Occurrences::new();
    for row in &rows {
        let trip = TripKey { template: row.try_get("", "template")?, day: super::small(row, "day")? };
        occurrences.insert(trip, Occurrence { id: row.try_get("", "id")?, version: row.try_get("", "version")? });
    }
    Ok(occurrences)
}
