//! Refunds.

use berth_kernel::db::sql;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::{instant, instant_null, ms, unreadable};
use crate::refund::{Refund, Status};

const COLUMNS: &str = "id, payment_id, reason, amount_minor, status, attempts, next_attempt_at_ms, created_at_ms";

fn read(row: &QueryResult) -> Result<Refund, DbErr> {
    let status: String = row.try_get("", "status")?;
    Ok(Refund {
        id: row.try_get("", "id")?,
        payment_id: row.try_get("", "payment_id")?,
        reason: row.try_get("", "reason")?,
        amount_minor: row.try_get("", "amount_minor")?,
        status: Status::parse(&status).ok_or_else(|| unreadable("status", &status))?,
        attempts: row.try_get("", "attempts")?,
        next_attempt_at: instant_null(row, "next_attempt_at_ms")?,
        created_at: instant(row, "created_at_ms")?,
    })
}

async fn list(connection: &impl ConnectionTrait, rest: &str, values: Vec<Value>) -> Result<Vec<Refund>, DbErr> {
    let text = format!("SELECT {COLUMNS} FROM refund {rest}");
    connection.query_all_raw(sql(connection, &text, values)).await?.iter().map(read).collect()
}

/// Every refund of a payment, oldest first.
pub async fn list_of(connection: &impl ConnectionTrait, payment_id: Uuid) -> Result<Vec<Refund>, DbErr> {
    list(connection, "WHERE payment_id = $1 ORDER BY created_at_ms, id", vec![payment_id.into()]).await
}

/// Refunds the provider must be told of.
pub async fn list_due(connection: &impl ConnectionTrait, now: DateTime<Utc>, limit: i64) -> Result<Vec<Refund>, DbErr> {
    let rest = "WHERE next_attempt_at_ms <= $1 ORDER BY next_attempt_at_ms LIMIT $2";
    list(connection, rest, vec![now.timestamp_millis().into(), limit.into()]).await
}

/// A new refund; `false` when there is one for this payment and reason.
pub async fn insert(connection: &impl ConnectionTrait, refund: &Refund) -> Result<bool, DbErr> {
    let text = format!(
        "INSERT INTO refund ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (payment_id, reason) DO NOTHING"
    );
    let values = [
        refund.id.into(),
        refund.payment_id.into(),
        refund.reason.clone().into(),
        refund.amount_minor.into(),
        refund.status.name().into(),
        refund.attempts.into(),
        ms(refund.next_attempt_at).into(),
        refund.created_at.timestamp_millis().into(),
    ];
    Ok(connection.execute_raw(sql(connection, &text, values)).await?.rows_affected() == 1)
}

/// Takes a due refund for telling the provider, again at `again_at` if nothing comes of it. `false`: another worker took it.
pub async fn claim(connection: &impl ConnectionTrait, refund: &Refund, again_at: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE refund SET status = 'SUBMITTED', attempts = attempts + 1, next_attempt_at_ms = $1 \
                WHERE id = $2 AND attempts = $3 AND status IN ('REQUESTED', 'SUBMITTED')";
    let values = [again_at.timestamp_millis().into(), refund.id.into(), refund.attempts.into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// Ends an unfinished refund. `false`: it has ended already.
pub async fn mark_ended(
    connection: &impl ConnectionTrait,
    id: Uuid,
    status: Status,
    error: Option<String>,
) -> Result<bool, DbErr> {
    let text = "UPDATE refund SET status = $1, next_attempt_at_ms = NULL, last_error = $2 WHERE id = $3 AND status IN ('REQUESTED', 'SUBMITTED')";
    let values = [status.name().into(), error.into(), id.into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}
