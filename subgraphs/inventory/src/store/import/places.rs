//! Operators and stations of a feed: new ones get keys, changed ones keep theirs.

use std::collections::HashMap;

use berth_kernel::{
    clock::Clock,
    db::{Tx, sql},
};
use sea_orm::{DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::upsert;
use crate::import::{
    Summary,
    draft::{Draft, DraftStation},
};

#[derive(FromQueryResult)]
struct OperatorRow {
    id: Uuid,
    source_id: String,
    name: String,
}

/// Keys of the draft's operators, in its order.
pub async fn write_operators(
    tx: &Tx,
    clock: &Clock,
    feed_id: Uuid,
    draft: &Draft,
    summary: &mut Summary,
) -> Result<Vec<Uuid>, DbErr> {
    let statement = sql(tx, "SELECT id, source_id, name FROM operator WHERE feed_id = $1", [feed_id.into()]);
    let rows = OperatorRow::find_by_statement(statement).all(tx).await?;
    let known: HashMap<String, (Uuid, String)> = rows.into_iter().map(|row| (row.source_id, (row.id, row.name))).collect();
    let (mut keys, mut changed) = (Vec::new(), Vec::new());
    for (source_id, name) in &draft.operators {
        let existing = known.get(source_id);
        let id = existing.map_or_else(|| clock.new_key(), |(id, _)| *id);
        if existing.is_none_or(|(_, known)| known != name) {
            changed.push(vec![id.into(), feed_id.into(), source_id.clone().into(), name.clone().into()]);
        }
        keys.push(id);
    }
    summary.places_changed += changed.len() as u64;
    upsert(tx, "operator", &["id", "feed_id", "source_id", "name"], changed).await?;
    Ok(keys)
}

#[derive(FromQueryResult)]
struct StationRow {
    id: Uuid,
    source_id: String,
    name: String,
    code: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    time_zone: String,
}

impl StationRow {
    fn holds(&self, station: &DraftStation) -> bool {
        self.name == station.name
            && self.code == station.code
            && self.latitude.zip(self.longitude) == station.position
            && self.time_zone == station.time_zone.name()
    }
}

/// Keys of the draft's stations, in its order.
pub async fn write_stations(
    tx: &Tx,
    clock: &Clock,
    feed_id: Uuid,
    draft: &Draft,
    summary: &mut Summary,
) -> Result<Vec<Uuid>, DbErr> {
    let text = "SELECT id, source_id, name, code, latitude, longitude, time_zone FROM station WHERE feed_id = $1";
    let rows = StationRow::find_by_statement(sql(tx, text, [feed_id.into()])).all(tx).await?;
    let known: HashMap<String, StationRow> = rows.into_iter().map(|row| (row.source_id.clone(), row)).collect();
    let (mut keys, mut changed) = (Vec::new(), Vec::new());
    for station in &draft.stations {
        let existing = known.get(&station.source_id);
        let id = existing.map_or_else(|| clock.new_key(), |row| row.id);
        if existing.is_none_or(|row| !row.holds(station)) {
            changed.push(values(id, feed_id, station));
        }
        keys.push(id);
    }
    summary.places_changed += changed.len() as u64;
    let columns = ["id", "feed_id", "source_id", "name", "code", "latitude", "longitude", "time_zone"];
    upsert(tx, "station", &columns, changed).await?;
    Ok(keys)
}

fn values(id: Uuid, feed_id: Uuid, station: &DraftStation) -> Vec<Value> {
    vec![
        id.into(),
        feed_id.into(),
        station.source_id.clone().into(),
        station.name.clone().into(),
        station.code.clone().into(),
        station.position.map(|position| position.0).into(),
        station.position.map(|position| position.1).into(),
        station.time_zone.name().into(),
    ]
}
