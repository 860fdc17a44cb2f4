//! Dead letters: events that a consumer gave up, kept in the database of its service until somebody replays them.

use berth_contracts::event::Envelope;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    db::{Db, Tx, now_ms, sql},
    metrics,
};

/// An event that a consumer gave up.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Names it for a replay.
    pub id: Uuid,
    /// What kind of event; empty when it can't be read.
    pub kind: String,
    /// Who gave it up.
    pub consumer: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Keeps an event that a consumer gave up. The same event of the same consumer is kept once.
pub async fn bury(db: &Db, consumer: &'static str, payload: &str, reason: &str) -> Result<(), DbErr> {
    metrics::event_dead(consumer);
    let envelope = serde_json::from_str::<Envelope>(payload).ok();
    let kind = envelope.as_ref().map_or("", |envelope| envelope.event.kind());
    let event_id = envelope.as_ref().map(|envelope| envelope.id.to_string());
    let id = id_of(consumer, envelope.as_ref().map_or(payload.to_owned(), |envelope| envelope.id.to_string()).as_str());
    tracing::error!(consumer, event.kind = kind, event.id = event_id, dead.id = %id, reason, "bus.consumer.gave_up");
    let (payload, reason) = (payload.to_owned(), reason.to_owned());
    db.write(move |tx| {
        Box::pin(async move {
            let text = format!(
                "INSERT INTO dead_letter (id, payload, reason, kind, consumer, at_ms) VALUES ($1, $2, $3, $4, $5, {}) \
                 ON CONFLICT (id) DO NOTHING",
                now_ms(tx)
            );
            let values = [id.into(), payload.into(), reason.into(), kind.into(), consumer.into()];
            tx.execute_raw(sql(tx, &text, values)).await.map(|_| ())
        })
    })
    .await
}

/// The same for the same event of the same consumer.
fn id_of(consumer: &str, event: &str) -> Uuid {
    let digest = Sha256::digest(format!("{consumer}\n{event}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(bytes)
}

/// Every dead letter of a service, the oldest first.
pub async fn list(db: &Db) -> Result<Vec<DeadLetter>, DbErr> {
    let text = "SELECT id, kind, consumer, reason, at_ms FROM dead_letter ORDER BY at_ms, id";
    db.read().query_all_raw(sql(db.read(), text, [])).await?.iter().map(letter).collect()
}

fn letter(row: &QueryResult) -> Result<DeadLetter, DbErr> {
    Ok(DeadLetter {
        id: row.try_get("", "id")?,
        kind: row.try_get("", "kind")?,
        consumer: row.try_get("", "consumer")?,
        reason: row.try_get("", "reason")?,
        at: DateTime::from_timestamp_millis(row.try_get("", "at_ms")?).unwrap_or_default(),
    })
}

/// Puts one dead letter, or all of them, into the outbox of the same service: its relay delivers the event again, to every
/// consumer. Those that cannot be read stay. Returns how many were put there.
pub async fn replay(db: &Db, id: Option<Uuid>) -> Result<usize, DbErr> {
    db.write(move |tx| Box::pin(async move { replay_in(tx, id).await })).await
}

async fn replay_in(tx: &Tx, id: Option<Uuid>) -> Result<usize, DbErr> {
    let rows = match id {
        Some(id) => tx.query_all_raw(sql(tx, "SELECT id, payload FROM dead_letter WHERE id = $1", [id.into()])).await?,
        None => tx.query_all_raw(sql(tx, "SELECT id, payload FROM dead_letter ORDER BY at_ms, id", [])).await?,
    };
    let mut replayed = 0;
    for row in rows {
        let (id, payload): (Uuid, String) = (row.try_get("", "id")?, row.try_get("", "payload")?);
        let Ok(envelope) = serde_json::from_str::<Envelope>(&payload) else { continue };
        // A racing replay may have been first.
        let gone = tx.execute_raw(sql(tx, "DELETE FROM dead_letter WHERE id = $1", [id.into()])).await?;
        if gone.rows_affected() == 1 {
            let text = "INSERT INTO outbox (id, kind, payload) VALUES ($1, $2, $3)";
            tx.execute_raw(sql(tx, text, [envelope.id.into(), envelope.event.kind().into(), payload.into()])).await?;
            replayed += 1;
        }
    }
    Ok(replayed)
}
