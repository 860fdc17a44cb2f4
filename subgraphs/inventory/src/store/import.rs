//! Makes the catalogue hold a draft: what is equal stays as it is, what is new or different is written in large
//! statements, what is gone is removed. Seats that are sold or held stand above every change of the timetable.

mod parts;
mod places;
mod templates;

use std::collections::HashMap;

use berth_kernel::{
    clock::Clock,
    db::{Tx, rows_placeholder, sql},
};
use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use crate::{
    calendar::{ServiceDays, date_of},
    import::{Progress, ProgressFn, Stage, Summary, draft::Draft},
};

/// Rows of one statement: few statements, and far from the limits on parameters.
const ROWS: usize = 400;

/// Writes a draft in the caller's transaction.
pub async fn write(tx: &Tx, clock: &Clock, draft: Draft, progress: &ProgressFn) -> Result<Summary, DbErr> {
    let mut summary = count(&draft);
    let feed_id = upsert_feed(tx, clock, &draft).await?;
    let operators = places::write_operators(tx, clock, feed_id, &draft, &mut summary).await?;
    let stations = places::write_stations(tx, clock, feed_id, &draft, &mut summary).await?;
    let parts = parts::write(tx, clock, &draft, &stations).await?;
    let report = |done| progress(Progress { stage: Stage::Write, done, total: Some(summary_total(&draft)) });
    report(0);
    templates::write(tx, clock, feed_id, &draft, &operators, &parts, &mut summary, &report).await?;
    if summary.changed() {
        parts::forget_unused(tx).await?;
        bump_version(tx).await?;
    }
    summary.timetable_version = super::catalogue::version(tx).await?;
    Ok(summary)
}

fn summary_total(draft: &Draft) -> u64 {
    draft.templates.len() as u64
}

fn count(draft: &Draft) -> Summary {
    let spans: Vec<(u16, u16)> = draft.calendars.iter().filter_map(ServiceDays::span).collect();
    Summary {
        feed: draft.name.clone(),
        feed_version: draft.version.clone(),
        stations: draft.stations.len() as u64,
        routes: draft.route_count,
        trips: draft.trip_count,
        templates: draft.templates.len() as u64,
        stop_times: draft.stop_time_count,
        services: draft.calendars.len() as u64,
        first_date: spans.iter().map(|span| span.0).min().map(date_of),
        last_date: spans.iter().map(|span| span.1).max().map(date_of),
        skipped: draft.skipped,
        ..Summary::default()
    }
}

async fn upsert_feed(tx: &Tx, clock: &Clock, draft: &Draft) -> Result<Uuid, DbErr> {
    let text = "INSERT INTO feed (id, source_key, name, version, imported_at_ms) VALUES ($1,$2,$3,$4,$5) \
                ON CONFLICT (source_key) DO UPDATE SET name = excluded.name, version = excluded.version, \
                imported_at_ms = excluded.imported_at_ms";
    let values = [
        clock.new_key().into(),
        draft.source_key.clone().into(),
        draft.name.clone().into(),
        draft.version.clone().into(),
        clock.now().timestamp_millis().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await?;
    let found = sql(tx, "SELECT id FROM feed WHERE source_key = $1", [draft.source_key.clone().into()]);
    let row = tx.query_one_raw(found).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("the feed just written".to_owned()))?.try_get("", "id")
}

async fn bump_version(tx: &Tx) -> Result<(), DbErr> {
    let text = "INSERT INTO timetable_version (id, version) VALUES (1, 1) \
                ON CONFLICT (id) DO UPDATE SET version = timetable_version.version + 1";
    tx.execute_raw(sql(tx, text, [])).await.map(|_| ())
}

/// Inserts rows, or updates those whose id is there already. The first column is `id`.
async fn upsert(tx: &Tx, table: &str, columns: &[&str], rows: Vec<Vec<Value>>) -> Result<(), DbErr> {
    let updates: Vec<String> = columns[1..].iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let head = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
    let tail = format!(" ON CONFLICT (id) DO UPDATE SET {}", updates.join(", "));
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<Vec<Value>> = rows.by_ref().take(ROWS).collect();
        let text = format!("{head}{}{tail}", rows_placeholder(chunk.len(), columns.len(), 1));
        tx.execute_raw(sql(tx, &text, chunk.into_iter().flatten())).await?;
    }
    Ok(())
}

/// Days with sold or held seats, by template.
type ClaimedDays = HashMap<Uuid, Vec<u16>>;

async fn claimed_days(tx: &Tx, clock: &Clock) -> Result<ClaimedDays, DbErr> {
    let mut claimed = ClaimedDays::new();
    for trip in super::occupancy::claimed_trips(tx, clock.now().timestamp_millis()).await? {
        claimed.entry(trip.template).or_default().push(trip.day);
    }
    Ok(claimed)
}
