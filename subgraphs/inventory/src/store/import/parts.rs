//! The immutable parts: a part with the same content is found again, another is written beside it.

use std::collections::HashMap;

use berth_kernel::{
    clock::Clock,
    db::{Tx, sql},
    idempotency::fingerprint,
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use serde::Serialize;
use uuid::Uuid;

use super::upsert;
use crate::{
    calendar::ServiceDays,
    import::{draft::Draft, schedule::PlannedCall},
    store::catalogue::{PartKind, StoredCall, StoredDays},
};

/// Keys of the draft's parts, in its order.
pub struct PartKeys {
    /// Stop patterns.
    pub patterns: Vec<Uuid>,
    /// Days of service.
    pub calendars: Vec<Uuid>,
    /// Layouts.
    pub layouts: Vec<Uuid>,
    /// Fares.
    pub tariffs: Vec<Uuid>,
}

/// Writes the parts that are not there yet.
pub async fn write(tx: &Tx, clock: &Clock, draft: &Draft, stations: &[Uuid]) -> Result<PartKeys, DbErr> {
    let patterns = draft.patterns.iter().map(|calls| stored_calls(calls, stations)).collect::<Vec<_>>();
    let calendars = draft.calendars.iter().map(stored_days).collect::<Vec<_>>();
    Ok(PartKeys {
        patterns: find_or_insert(tx, clock, PartKind::Pattern, &patterns).await?,
        calendars: find_or_insert(tx, clock, PartKind::Calendar, &calendars).await?,
        layouts: find_or_insert(tx, clock, PartKind::Layout, &draft.layouts).await?,
        tariffs: find_or_insert(tx, clock, PartKind::Tariff, &draft.tariffs).await?,
    })
}

/// The key of one calendar.
pub async fn calendar(tx: &Tx, clock: &Clock, days: &ServiceDays) -> Result<Uuid, DbErr> {
    let keys = find_or_insert(tx, clock, PartKind::Calendar, &[stored_days(days)]).await?;
    keys.first().copied().ok_or_else(|| DbErr::RecordNotFound("the calendar just written".to_owned()))
}

/// Deletes the parts that no template is made of any more.
pub async fn forget_unused(tx: &Tx) -> Result<(), DbErr> {
    let text = "DELETE FROM timetable_part WHERE id NOT IN (SELECT pattern_id FROM trip_template UNION SELECT calendar_id FROM \
                trip_template UNION SELECT layout_id FROM trip_template UNION SELECT tariff_id FROM trip_template)";
    tx.execute_raw(sql(tx, text, [])).await.map(|_| ())
}

fn stored_calls(calls: &[PlannedCall], stations: &[Uuid]) -> Vec<StoredCall> {
    let stored = |call: &PlannedCall| {
        let station = stations.get(call.station).copied().unwrap_or_default();
        let (arrival, departure) = (call.arrival_secs, call.departure_secs);
        StoredCall(station, arrival, departure, call.pickup, call.drop_off, call.distance_m, call.fare_zone.clone())
    };
    calls.iter().map(stored).collect()
}

fn stored_days(days: &ServiceDays) -> StoredDays {
    StoredDays(days.bits().0, days.hex())
}

#[derive(FromQueryResult)]
struct KnownRow {
    id: Uuid,
    fingerprint: String,
}

async fn find_or_insert<S: Serialize>(tx: &Tx, clock: &Clock, kind: PartKind, parts: &[S]) -> Result<Vec<Uuid>, DbErr> {
    let statement = sql(tx, "SELECT id, fingerprint FROM timetable_part WHERE kind = $1", [kind.word().into()]);
    let rows = KnownRow::find_by_statement(statement).all(tx).await?;
    let mut known: HashMap<String, Uuid> = rows.into_iter().map(|row| (row.fingerprint, row.id)).collect();
    let (mut keys, mut added): (Vec<Uuid>, Vec<Vec<Value>>) = (Vec::with_capacity(parts.len()), Vec::new());
    for part in parts {
        let content = serde_json::to_string(part).map_err(|error| DbErr::Custom(error.to_string()))?;
        let print = fingerprint(&content);
        let id = *known.entry(print.clone()).or_insert_with(|| {
            let id = clock.new_key();
            added.push(vec![id.into(), kind.word().into(), print.into(), content.into()]);
            id
        });
        keys.push(id);
    }
    upsert(tx, "timetable_part", &["id", "kind", "fingerprint", "content"], added).await?;
    Ok(keys)
}
