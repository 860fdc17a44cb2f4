//! What the disk and SQLite alone allow: the rows of one hold, without any of Berth around them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait, Value,
};

use super::{
    cast::{LEGS, SEATS},
    measure::as_float,
};

/// Holds that a group commit writes at once: as many as clients wait.
const BATCH: usize = 64;

/// The tables that one hold touches, as the inventory has them.
const TABLES: &str = "
CREATE TABLE seat_claim (occurrence_id BIGINT NOT NULL, spot_no INTEGER NOT NULL, leg_no INTEGER NOT NULL, state INTEGER NOT NULL,
  hold_id BLOB NOT NULL, booking_id BLOB, expires_at_ms BIGINT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (occurrence_id, spot_no, leg_no));
CREATE INDEX claim_hold ON seat_claim (hold_id);
CREATE TABLE hold (id BLOB PRIMARY KEY NOT NULL, user_id BLOB NOT NULL, status INTEGER NOT NULL, expires_at_ms BIGINT NOT NULL, total BIGINT NOT NULL);
CREATE INDEX hold_user ON hold (user_id, status);
CREATE TABLE hold_item (id BLOB PRIMARY KEY NOT NULL, hold_id BLOB NOT NULL, spot_no INTEGER NOT NULL, price BIGINT NOT NULL);
CREATE INDEX item_hold ON hold_item (hold_id);
CREATE TABLE occurrence (id INTEGER PRIMARY KEY, version BIGINT NOT NULL);
CREATE TABLE idempotency (user_id BLOB NOT NULL, mutation TEXT NOT NULL, key TEXT NOT NULL, answer TEXT NOT NULL, expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (user_id, mutation, key));
CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL);
INSERT INTO occurrence (id, version) VALUES (1, 0);";

/// Holds in a second.
pub struct Limit {
    /// One transaction, one fsync, one hold.
    pub single: f64,
    /// One transaction with the rows of [`BATCH`] holds.
    pub batched: f64,
}

/// Writes the rows of holds for a while, to a new database in a folder.
pub async fn limit(folder: &Path, lasts: Duration) -> anyhow::Result<Limit> {
    let file = folder.join("probe.sqlite");
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options.max_connections(1).sqlx_logging(false);
    let database = Database::connect(options).await?;
    for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON"] {
        database.execute_unprepared(pragma).await?;
    }
    database.execute_unprepared(TABLES).await?;
    let mut next = 0;
    let single = written(&database, 1, lasts / 2, &mut next).await?;
    let batched = written(&database, BATCH, lasts / 2, &mut next).await?;
    database.close().await?;
    Ok(Limit { single, batched })
}

async fn written(database: &DatabaseConnection, batch: usize, lasts: Duration, next: &mut i64) -> anyhow::Result<f64> {
    let (started, mut holds) = (Instant::now(), 0);
    while started.elapsed() < lasts {
        let tx = database.begin().await?;
        for _ in 0..batch {
            *next += 1;
            write_hold(&tx, *next).await?;
        }
        tx.commit().await?;
        holds += batch;
    }
    Ok(as_float(holds) / started.elapsed().as_secs_f64())
}

/// The rows of one hold: its claims in one statement, the hold, its items, the trip's version, the answer, the event.
async fn write_hold(tx: &impl ConnectionTrait, number: i64) -> Result<(), DbErr> {
    let hold_id = key(number);
    let rows: Vec<String> = (0..SEATS)
        .flat_map(|seat| (0..LEGS).map(move |leg| format!("(1, $2 + {seat}, {leg}, 0, $1, NULL, 4000000000000, $2)")))
        .collect();
    let claims = format!(
        "INSERT INTO seat_claim (occurrence_id, spot_no, leg_no, state, hold_id, booking_id, expires_at_ms, version) VALUES {} \
         ON CONFLICT (occurrence_id, spot_no, leg_no) DO UPDATE SET state = excluded.state, hold_id = excluded.hold_id \
         WHERE seat_claim.state = 0 AND seat_claim.expires_at_ms <= 0",
        rows.join(",")
    );
    run(tx, &claims, vec![hold_id.clone().into(), (number * 2).into()]).await?;
    run(tx, "INSERT INTO hold VALUES ($1, $1, 0, 4000000000000, 30000000)", vec![hold_id.clone().into()]).await?;
    for item in 0..2 {
        let id = key(-(number * 2 + item));
        run(tx, "INSERT INTO hold_item VALUES ($1, $2, $3, 15000000)", vec![id.into(), hold_id.clone().into(), item.into()])
            .await?;
    }
    run(tx, "UPDATE occurrence SET version = version + 1 WHERE id = 1", vec![]).await?;
    let answer = "x".repeat(200);
    run(
        tx,
        "INSERT INTO idempotency VALUES ($1, 'placeHold', 'key', $2, 4000000000000)",
        vec![hold_id.clone().into(), answer.clone().into()],
    )
    .await?;
    run(tx, "INSERT INTO outbox (id, kind, payload) VALUES ($1, 'SeatsChanged', $2)", vec![hold_id.into(), answer.into()]).await
}

/// Sixteen bytes, like a UUID, in the order of time.
fn key(number: i64) -> Vec<u8> {
    [number.to_be_bytes(), number.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()).to_be_bytes()].concat()
}

async fn run(tx: &impl ConnectionTrait, text: &str, values: Vec<Value>) -> Result<(), DbErr> {
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, text, values)).await.map(|_| ())
}
