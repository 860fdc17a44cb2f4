//! The relay: from the outbox to the bus.
//!
//! Several processes may relay the same outbox. Each takes its own rows, in their order; rows that stay with another owner
//! are adopted, so that nothing depends on a process that died. An event may be delivered twice, never not at all.

use std::{sync::Arc, time::Duration};

use berth_contracts::event::Envelope;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::Outbox;
use crate::{
    bus::{Bus, Parcel},
    db::{Db, Tx, now_ms, relax_commit, service_name, skip_locked, sql},
    failpoint,
    jobs::Background,
    metrics,
};

const BATCH: u64 = 512;
/// How long the relay sleeps when nothing wakes it.
const IDLE: Duration = Duration::from_millis(500);
/// A row that another owner did not deliver within this time is adopted.
const ABANDONED_AFTER: Duration = Duration::from_secs(2);
const ROUNDS: Duration = Duration::from_secs(2);
const TIDY: Duration = Duration::from_mins(1);
/// How long delivered events are kept, so that an empty Redis can be filled again.
const KEEP_MS: i64 = 24 * 3_600_000;
/// Older events reached the replicas long before their master was lost.
const RECENT_MS: i64 = 10 * 60_000;
/// How long a consumer recognises an event.
const KEEP_INBOX_MS: i64 = 7 * 24 * 3_600_000;
/// Nobody consumes it: it is lost with whoever was not listening, and a gap in versions tells them.
const LIVE_ONLY: &str = "SeatsChanged";

pub async fn run(outbox: Outbox, db: Db, bus: Bus, background: Background) {
    let service = service_name(&db).await.unwrap_or_default();
    let now = Instant::now();
    let mut relay = Relay { outbox, db, bus, service, foreign: None, rounds_at: now, tidy_at: now + TIDY };
    while !background.is_stopped() {
        match relay.turn().await {
            Ok(BATCH..) => {}
            Ok(_) => {
                tokio::select! {
                    () = background.stopped() => {}
                    () = relay.outbox.wake.wanted() => {}
                    () = tokio::time::sleep(IDLE) => {}
                }
            }
            Err(error) => {
                tracing::error!(service = relay.service, error = %error, "outbox.relay.failed");
                tokio::select! {
                    () = background.stopped() => {}
                    () = tokio::time::sleep(IDLE) => {}
                }
            }
        }
    }
}

/// A row of the outbox.
struct Row {
    seq: i64,
    kind: String,
    payload: String,
}

struct Relay {
    outbox: Outbox,
    db: Db,
    bus: Bus,
    service: String,
    /// The newest row seen, and when: older ones of other owners are abandoned some time later. No clock has to be right for it.
    foreign: Option<(Instant, i64)>,
    rounds_at: Instant,
    tidy_at: Instant,
}

impl Relay {
    /// Delivers a batch; returns how many rows left.
    async fn turn(&mut self) -> Result<u64, DbErr> {
        if Instant::now() >= self.rounds_at {
            self.rounds_at = Instant::now() + ROUNDS;
            self.make_rounds().await?;
        }
        // One writer is one process: all rows are its own.
        let owner = (!self.db.has_one_writer()).then_some(self.outbox.owner);
        let rows = take(&self.db, owner, takes_all(&self.bus)).await?;
        let count = deliver(&self.db, &self.bus, rows).await?;
        metrics::events_relayed(&self.service, count);
        Ok(count as u64)
    }

    async fn make_rounds(&mut self) -> Result<(), DbErr> {
        self.measure().await?;
        if takes_all(&self.bus) {
            if !self.db.has_one_writer() {
                self.adopt_abandoned().await?;
            }
            self.refill().await?;
        }
        if Instant::now() >= self.tidy_at {
            self.tidy_at = Instant::now() + TIDY;
            tidy(&self.db).await?;
        }
        Ok(())
    }

    async fn measure(&self) -> Result<(), DbErr> {
        let read = self.db.read();
        let counted = read.query_one_raw(sql(read, "SELECT COUNT(*) AS waiting FROM outbox", [])).await?;
        let waiting: i64 = counted.map_or(Ok(0), |row| row.try_get("", "waiting"))?;
        let oldest = read.query_one_raw(sql(read, "SELECT id FROM outbox ORDER BY seq LIMIT 1", [])).await?;
        let oldest: Option<Uuid> = oldest.map(|row| row.try_get("", "id")).transpose()?;
        let made = oldest.and_then(|id| id.get_timestamp()).map(|made| made.to_unix());
        let age = made.map_or(Duration::ZERO, |(secs, nanos)| {
            let now = self.outbox.clock.now().timestamp_millis();
            Duration::from_millis(u64::try_from(now).unwrap_or(0)).saturating_sub(Duration::new(secs, nanos))
        });
        metrics::outbox_waits(&self.service, waiting, age);
        Ok(())
    }

    /// Makes rows its own that other processes should have delivered long ago.
    async fn adopt_abandoned(&mut self) -> Result<(), DbErr> {
        let due = self.foreign.filter(|(seen_at, _)| seen_at.elapsed() >= ABANDONED_AFTER);
        if let Some((_, up_to)) = due {
            adopt(&self.db, self.outbox.owner, up_to).await?;
        }
        if due.is_some() || self.foreign.is_none() {
            let read = self.db.read();
            let text = "SELECT MAX(seq) AS newest FROM outbox WHERE owner IS NULL OR owner <> $1";
            let row = read.query_one_raw(sql(read, text, [self.outbox.owner.into()])).await?;
            let newest: Option<i64> = row.map_or(Ok(None), |row| row.try_get("", "newest"))?;
            self.foreign = newest.map(|newest| (Instant::now(), newest));
        }
        Ok(())
    }

    /// Brings the events of the last day back when Redis lost them, and those of the last minutes when a replica took its place: what had
    /// not reached that one is lost with the master.
    async fn refill(&self) -> Result<(), DbErr> {
        let Bus::Redis(bus) = &self.bus else { return Ok(()) };
        let refill = match bus.must_refill(&self.service).await {
            Ok(Some(refill)) => refill,
            Ok(None) => return Ok(()),
            Err(error) => return quietly(&error),
        };
        let since_ms = if refill.is_recent { RECENT_MS } else { KEEP_MS };
        let mut after = i64::MIN;
        let mut count = 0;
        loop {
            let rows = kept(&self.db, after, since_ms).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq;
            count += rows.len();
            let texts: Vec<(String, String)> = rows.into_iter().map(|row| (row.kind, row.payload)).collect();
            if let Err(error) = bus.refill(&texts).await {
                return quietly(&error);
            }
        }
        tracing::info!(service = self.service, count, "outbox.redis.filled");
        bus.filled(&self.service, &refill).await.or_else(|error| quietly(&error))
    }
}

/// Redis comes back or it does not; the bus has told it already.
#[expect(clippy::unnecessary_wraps, reason = "what a caller returns")]
fn quietly(error: &impl std::fmt::Display) -> Result<(), DbErr> {
    tracing::debug!(error = %error, "outbox.redis.lost");
    Ok(())
}

/// Whether the bus takes consumed events now. When not, only those for live views leave, and the others wait in their table.
fn takes_all(bus: &Bus) -> bool {
    match bus {
        Bus::Local(_) => true,
        Bus::Redis(bus) => bus.answers(),
    }
}

/// Delivers a batch of rows, whoever owns them. Returns how many left.
pub async fn deliver_batch(db: &Db, bus: &Bus) -> Result<usize, DbErr> {
    let rows = take(db, None, takes_all(bus)).await?;
    deliver(db, bus, rows).await
}

async fn take(db: &Db, owner: Option<Uuid>, all_kinds: bool) -> Result<Vec<Row>, DbErr> {
    let mut text = "SELECT seq, kind, payload FROM outbox WHERE ".to_owned();
    let mut values: Vec<Value> = vec![BATCH.into()];
    match owner {
        Some(owner) => {
            text.push_str("owner = $2");
            values.push(owner.into());
        }
        None => text.push_str("1 = 1"),
    }
    if !all_kinds {
        text = format!("{text} AND kind = '{LIVE_ONLY}'");
    }
    text.push_str(" ORDER BY seq LIMIT $1");
    db.read().query_all_raw(sql(db.read(), &text, values)).await?.iter().map(row).collect()
}

fn row(row: &QueryResult) -> Result<Row, DbErr> {
    Ok(Row { seq: row.try_get("", "seq")?, kind: row.try_get("", "kind")?, payload: row.try_get("", "payload")? })
}

async fn deliver(db: &Db, bus: &Bus, rows: Vec<Row>) -> Result<usize, DbErr> {
    let parcels: Vec<Parcel> = rows.iter().filter_map(parcel).collect();
    if rows.is_empty() {
        return Ok(0);
    }
    let taken = bus.deliver_all(&parcels).await;
    failpoint::at("outbox.delivered");
    let keep = matches!(bus, Bus::Redis(_));
    let left: Vec<Row> = match taken {
        Ok(()) => rows,
        // The bus was there a moment ago. Whoever cannot hear of seats now will read them afresh.
        Err(error) if keep => {
            tracing::debug!(error = %error, "outbox.bus.lost");
            rows.into_iter().filter(|row| row.kind == LIVE_ONLY).collect()
        }
        Err(error) => return Err(DbErr::Custom(error.to_string())),
    };
    let count = left.len();
    if count > 0 {
        let dense = db.has_one_writer() && !keep;
        db.write(move |tx| Box::pin(async move { forget(tx, &left, keep, dense).await })).await?;
    }
    Ok(count)
}

fn parcel(row: &Row) -> Option<Parcel> {
    match serde_json::from_str::<Envelope>(&row.payload) {
        Ok(envelope) => Some(Parcel { envelope: Arc::new(envelope), payload: row.payload.clone() }),
        Err(error) => {
            tracing::error!(seq = row.seq, error = %error, "outbox.row.unreadable");
            None
        }
    }
}

/// Deletes delivered rows; those that an empty Redis would need are kept elsewhere, so that the outbox stays small.
async fn forget(tx: &Tx, rows: &[Row], keep: bool, dense: bool) -> Result<(), DbErr> {
    relax_commit(tx).await?;
    let (first, last) = (rows.first().map_or(0, |row| row.seq), rows.last().map_or(0, |row| row.seq));
    if dense && usize::try_from(last - first).is_ok_and(|span| span + 1 == rows.len()) {
        let text = "DELETE FROM outbox WHERE seq >= $1 AND seq <= $2";
        return tx.execute_raw(sql(tx, text, [first.into(), last.into()])).await.map(|_| ());
    }
    let consumed: Vec<i64> = rows.iter().filter(|row| row.kind != LIVE_ONLY).map(|row| row.seq).collect();
    if keep && !consumed.is_empty() {
        let text = format!(
            "INSERT INTO outbox_kept (seq, id, kind, payload, delivered_at_ms) SELECT seq, id, kind, payload, {} FROM outbox \
             WHERE seq IN ({}) ON CONFLICT (seq) DO NOTHING",
            now_ms(tx),
            placeholders(consumed.len())
        );
        tx.execute_raw(sql(tx, &text, padded(&consumed))).await?;
    }
    let all: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let text = format!("DELETE FROM outbox WHERE seq IN ({})", placeholders(all.len()));
    tx.execute_raw(sql(tx, &text, padded(&all))).await.map(|_| ())
}

/// Lists have a length of 1, 2, 4 ..., so that the database meets few different statements.
fn placeholders(count: usize) -> String {
    (1..=count.next_power_of_two()).map(|number| format!("${number}")).collect::<Vec<_>>().join(",")
}

fn padded(numbers: &[i64]) -> Vec<Value> {
    let last = numbers.last().copied().unwrap_or_default();
    numbers.iter().copied().chain(std::iter::repeat(last)).take(numbers.len().next_power_of_two()).map(Into::into).collect()
}

async fn adopt(db: &Db, owner: Uuid, up_to: i64) -> Result<(), DbErr> {
    let adopted = db.write(move |tx| {
        Box::pin(async move {
            relax_commit(tx).await?;
            let text = format!(
                "WITH abandoned AS (SELECT seq AS number FROM outbox WHERE (owner IS NULL OR owner <> $1) AND seq <= $2 \
                 ORDER BY seq LIMIT $3 {}) UPDATE outbox SET owner = $1 FROM abandoned WHERE seq = abandoned.number",
                skip_locked(tx)
            );
            let values = [owner.into(), up_to.into(), BATCH.into()];
            tx.execute_raw(sql(tx, &text, values)).await.map(|done| done.rows_affected()) as Result<u64, DbErr>
        })
    });
    let count = adopted.await?;
    if count > 0 {
        tracing::info!(count, "outbox.adopted");
    }
    Ok(())
}

async fn kept(db: &Db, after: i64, since_ms: i64) -> Result<Vec<Row>, DbErr> {
    let text = format!(
        "SELECT seq, kind, payload FROM outbox_kept WHERE seq > $1 AND delivered_at_ms > {} - $2 ORDER BY seq LIMIT $3",
        now_ms(db.read())
    );
    db.read().query_all_raw(sql(db.read(), &text, [after.into(), since_ms.into(), BATCH.into()])).await?.iter().map(row).collect()
}

/// Forgets delivered events and handled ones that are past their time.
async fn tidy(db: &Db) -> Result<(), DbErr> {
    db.write(move |tx| {
        Box::pin(async move {
            relax_commit(tx).await?;
            let text = format!("DELETE FROM outbox_kept WHERE delivered_at_ms <= {} - $1", now_ms(tx));
            tx.execute_raw(sql(tx, &text, [KEEP_MS.into()])).await?;
            let text = format!("DELETE FROM inbox WHERE at <= {} - $1", now_ms(tx));
            tx.execute_raw(sql(tx, &text, [KEEP_INBOX_MS.into()])).await.map(|_| ())
        })
    })
    .await
}
