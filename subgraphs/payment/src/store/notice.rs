//! The webhook inbox.

use berth_kernel::db::sql;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use crate::notices::Received;

/// A notice that came. `false`: the same body came before.
pub async fn insert(connection: &impl ConnectionTrait, notice: &Received) -> Result<bool, DbErr> {
    let text = "INSERT INTO webhook_inbox (id, digest, provider, order_id, payment_id, body, received_at_ms, attempts, next_attempt_at_ms) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $7) ON CONFLICT (digest) DO NOTHING";
    let values = [
        notice.id.into(),
        notice.digest.clone().into(),
        notice.provider.into(),
        notice.order_id.clone().into(),
        notice.payment_id.into(),
        notice.body.clone().into(),
        notice.at.timestamp_millis().into(),
    ];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// A notice that waits.
#[derive(Debug, Clone)]
pub struct Due {
    /// Key.
    pub id: Uuid,
    /// The order it tells of.
    pub order_id: String,
    /// The payment of that order.
    pub payment_id: Uuid,
    /// How often it was worked on.
    pub attempts: i64,
}

fn read(row: &QueryResult) -> Result<Due, DbErr> {
    Ok(Due {
        id: row.try_get("", "id")?,
        order_id: row.try_get("", "order_id")?,
        payment_id: row.try_get("", "payment_id")?,
        attempts: row.try_get("", "attempts")?,
    })
}

/// Notices to be worked on, oldest first.
pub async fn list_due(connection: &impl ConnectionTrait, now: DateTime<Utc>, limit: i64) -> Result<Vec<Due>, DbErr> {
    let text = "SELECT id, order_id, payment_id, attempts FROM webhook_inbox WHERE next_attempt_at_ms <= $1 ORDER BY next_attempt_at_ms LIMIT $2";
    let rows = connection.query_all_raw(sql(connection, text, [now.timestamp_millis().into(), limit.into()])).await?;
    rows.iter().map(read).collect()
}

/// Takes a notice for work until `again_at`. `false`: another worker took it.
pub async fn claim(connection: &impl ConnectionTrait, due: &Due, again_at: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE webhook_inbox SET attempts = attempts + 1, next_attempt_at_ms = $1 WHERE id = $2 AND attempts = $3 AND done_at_ms IS NULL";
    let values = [again_at.timestamp_millis().into(), due.id.into(), due.attempts.into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// Marks a notice as worked on. `false`: it already was.
pub async fn mark_done(connection: &impl ConnectionTrait, id: Uuid, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE webhook_inbox SET done_at_ms = $1, next_attempt_at_ms = NULL WHERE id = $2 AND done_at_ms IS NULL";
    let values = [now.timestamp_millis().into(), id.into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// Forgets notices that were worked on before an instant.
pub async fn delete_done(connection: &impl ConnectionTrait, before: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "DELETE FROM webhook_inbox WHERE done_at_ms <= $1";
    Ok(connection.execute_raw(sql(connection, text, [before.timestamp_millis().into()])).await?.rows_affected())
}
