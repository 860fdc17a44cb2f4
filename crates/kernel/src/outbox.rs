//! Outbox: an event is a row in the transaction of its change. The relay delivers rows in order and deletes them
//! after delivery, so an event arrives at least once even when the process dies in between.

use std::{sync::Arc, time::Duration};

use berth_contracts::event::{Envelope, Event};
use sea_orm::{ConnectionTrait, DbErr, Value};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bus::Bus,
    clock::Clock,
    db::{Db, Tx, rows_placeholder, sql},
    failpoint,
};

const BATCH: u64 = 512;
/// How long the relay sleeps when nothing wakes it.
const IDLE: Duration = Duration::from_millis(500);

/// One service's outbox: where changes are announced.
#[derive(Clone)]
pub struct Outbox {
    clock: Clock,
    wake: Arc<Notify>,
}

impl Outbox {
    /// An outbox; its relay must be started with [`Outbox::relay`].
    pub fn new(clock: Clock) -> Self {
        Self { clock, wake: Arc::new(Notify::new()) }
    }

    /// Writes the event in the caller's transaction. Call [`Outbox::wake`] after the commit.
    pub async fn append(&self, tx: &Tx, event: &Event) -> Result<(), DbErr> {
        self.append_all(tx, std::slice::from_ref(event)).await
    }

    /// Writes several events in the caller's transaction, in one statement. Call [`Outbox::wake`] after the commit.
    pub async fn append_all(&self, tx: &Tx, events: &[Event]) -> Result<(), DbErr> {
        if events.is_empty() {
            return Ok(());
        }
        let mut values: Vec<Value> = Vec::with_capacity(events.len() * 3);
        for event in events {
            let envelope = Envelope { id: self.clock.new_key(), at: self.clock.now(), event: event.clone() };
            let payload = serde_json::to_string(&envelope).map_err(|error| DbErr::Custom(error.to_string()))?;
            values.extend([envelope.id.into(), event.kind().into(), payload.into()]);
        }
        let text = format!("INSERT INTO outbox (id, kind, payload) VALUES {}", rows_placeholder(events.len(), 3, 1));
        tx.execute_raw(sql(tx, &text, values)).await?;
        failpoint::at("outbox.appended");
        Ok(())
    }

    /// Tells the relay that rows wait. Losing this call only delays delivery.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Delivers rows to the bus until cancelled.
    pub async fn relay(self, db: Db, bus: Bus, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            match deliver_batch(&db, &bus).await {
                Ok(0) => {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep(IDLE) => {}
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = %error, "outbox.relay.failed");
                    tokio::time::sleep(IDLE).await;
                }
            }
        }
    }
}

/// Delivers every waiting row once (tests, and the relay). Returns how many.
pub async fn deliver_batch(db: &Db, bus: &Bus) -> Result<usize, DbErr> {
    let rows =
        db.read().query_all_raw(sql(db.read(), "SELECT seq, payload FROM outbox ORDER BY seq LIMIT $1", [BATCH.into()])).await?;
    let mut sequences: Vec<i64> = Vec::with_capacity(rows.len());
    let mut undelivered: Vec<(Uuid, String, String)> = Vec::new();
    for row in &rows {
        let payload: String = row.try_get("", "payload")?;
        sequences.push(row.try_get("", "seq")?);
        match serde_json::from_str::<Envelope>(&payload) {
            Ok(envelope) => {
                if let Err(reason) = bus.deliver(&Arc::new(envelope.clone())).await {
                    undelivered.push((envelope.id, payload, reason));
                }
            }
            Err(error) => tracing::error!(error = %error, "outbox.row.unreadable"),
        }
    }
    let count = rows.len();
    if count > 0 {
        failpoint::at("outbox.delivered");
    }
    if let (Some(first), Some(last)) = (sequences.first().copied(), sequences.last().copied()) {
        forget(db, first, last, sequences, undelivered).await?;
    }
    Ok(count)
}

async fn forget(
    db: &Db,
    first: i64,
    last: i64,
    sequences: Vec<i64>,
    undelivered: Vec<(Uuid, String, String)>,
) -> Result<(), DbErr> {
    let dense = usize::try_from(last - first).is_ok_and(|span| span + 1 == sequences.len());
    db.write(move |tx| {
        Box::pin(async move {
            for (id, payload, reason) in undelivered {
                let text = "INSERT INTO dead_letter (id, payload, reason) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
                tx.execute_raw(sql(tx, text, [id.into(), payload.into(), reason.into()])).await?;
            }
            if dense {
                let text = "DELETE FROM outbox WHERE seq >= $1 AND seq <= $2";
                tx.execute_raw(sql(tx, text, [first.into(), last.into()])).await?;
            } else {
                for seq in sequences {
                    tx.execute_raw(sql(tx, "DELETE FROM outbox WHERE seq = $1", [seq.into()])).await?;
                }
            }
            Ok(())
        })
    })
    .await
}

/// Marks the event as handled by the consumer; `false` when it already was. Call it in the transaction of the effect.
pub async fn first_time(tx: &Tx, consumer: &str, event_id: Uuid, clock: &Clock) -> Result<bool, DbErr> {
    let text = "INSERT INTO inbox (consumer, event_id, at) VALUES ($1, $2, $3) ON CONFLICT (consumer, event_id) DO NOTHING";
    let done = tx.execute_raw(sql(tx, text, [consumer.into(), event_id.into(), clock.now().timestamp_millis().into()])).await?;
    Ok(done.rows_affected() == 1)
}
