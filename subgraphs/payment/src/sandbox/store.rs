//! The sandbox's tables.

use berth_kernel::db::sql;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::transaction::{Refund, Status, Transaction};

const COLUMNS: &str = "order_id, transaction_id, status, gross_amount, acquirer, qr_string, label, created_at_ms, expires_at_ms, settled_at_ms, version";

fn instant(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::UNIX_EPOCH)
}

fn read(row: &QueryResult) -> Result<Transaction, DbErr> {
    let status: String = row.try_get("", "status")?;
    let settled_at_ms: Option<i64> = row.try_get("", "settled_at_ms")?;
    Ok(Transaction {
        order_id: row.try_get("", "order_id")?,
        transaction_id: row.try_get("", "transaction_id")?,
        status: Status::parse(&status).ok_or_else(|| DbErr::Type(format!("status can't be {status}")))?,
        gross_amount: row.try_get("", "gross_amount")?,
        acquirer: row.try_get("", "acquirer")?,
        qr_string: row.try_get("", "qr_string")?,
        label: row.try_get("", "label")?,
        created_at: instant(row.try_get("", "created_at_ms")?),
        expires_at: instant(row.try_get("", "expires_at_ms")?),
        settled_at: settled_at_ms.map(instant),
        version: row.try_get("", "version")?,
    })
}

async fn list(connection: &impl ConnectionTrait, rest: &str, values: Vec<Value>) -> Result<Vec<Transaction>, DbErr> {
    let text = format!("SELECT {COLUMNS} FROM sandbox_transaction {rest}");
    connection.query_all_raw(sql(connection, &text, values)).await?.iter().map(read).collect()
}

/// By the merchant's name of it.
pub async fn find(connection: &impl ConnectionTrait, order_id: &str) -> Result<Option<Transaction>, DbErr> {
    Ok(list(connection, "WHERE order_id = $1", vec![order_id.into()]).await?.pop())
}

/// The newest order of a payment: its id, or its id with the number of an attempt.
pub async fn find_newest(connection: &impl ConnectionTrait, payment_id: &str) -> Result<Option<Transaction>, DbErr> {
    let rest = "WHERE order_id = $1 OR (order_id > $2 AND order_id < $3) ORDER BY created_at_ms, order_id";
    let (from, to) = (format!("{payment_id}-"), format!("{payment_id}."));
    Ok(list(connection, rest, vec![payment_id.into(), from.into(), to.into()]).await?.pop())
}

/// Pending ones past their deadline.
pub async fn list_overdue(connection: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Vec<Transaction>, DbErr> {
    let rest = "WHERE status = 'pending' AND expires_at_ms <= $1 LIMIT 500";
    list(connection, rest, vec![now.timestamp_millis().into()]).await
}

/// A new transaction; `false` when the order id was used before.
pub async fn insert(connection: &impl ConnectionTrait, new: &Transaction) -> Result<bool, DbErr> {
    let text = format!(
        "INSERT INTO sandbox_transaction ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT (order_id) DO NOTHING"
    );
    let values: [Value; 11] = [
        new.order_id.clone().into(),
        new.transaction_id.into(),
        new.status.name().into(),
        new.gross_amount.into(),
        new.acquirer.clone().into(),
        new.qr_string.clone().into(),
        new.label.clone().into(),
        new.created_at.timestamp_millis().into(),
        new.expires_at.timestamp_millis().into(),
        new.settled_at.map(|at| at.timestamp_millis()).into(),
        new.version.into(),
    ];
    Ok(connection.execute_raw(sql(connection, &text, values)).await?.rows_affected() == 1)
}

/// Stores the state, unless somebody else changed it since it was read.
pub async fn save(connection: &impl ConnectionTrait, changed: &mut Transaction) -> Result<bool, DbErr> {
    let text = "UPDATE sandbox_transaction SET status = $1, settled_at_ms = $2, version = version + 1 WHERE order_id = $3 AND version = $4";
    let settled = changed.settled_at.map(|at| at.timestamp_millis());
    let values: [Value; 4] =
        [changed.status.name().into(), settled.into(), changed.order_id.clone().into(), changed.version.into()];
    changed.version += 1;
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// What was given back of an order, oldest first.
pub async fn list_refunds(connection: &impl ConnectionTrait, order_id: &str) -> Result<Vec<Refund>, DbErr> {
    let text = "SELECT refund_key, amount, reason, at_ms FROM sandbox_refund WHERE order_id = $1 ORDER BY at_ms, refund_key";
    let rows = connection.query_all_raw(sql(connection, text, [order_id.into()])).await?;
    let refund = |row: &QueryResult| {
        Ok(Refund {
            refund_key: row.try_get("", "refund_key")?,
            amount: row.try_get("", "amount")?,
            reason: row.try_get("", "reason")?,
            at: instant(row.try_get("", "at_ms")?),
        })
    };
    rows.iter().map(refund).collect()
}

/// A refund; its key is unique within the order.
pub async fn insert_refund(connection: &impl ConnectionTrait, order_id: &str, refund: &Refund) -> Result<(), DbErr> {
    let text = "INSERT INTO sandbox_refund (order_id, refund_key, amount, reason, at_ms) VALUES ($1, $2, $3, $4, $5)";
    let values: [Value; 5] = [
        order_id.into(),
        refund.refund_key.clone().into(),
        refund.amount.into(),
        refund.reason.clone().into(),
        refund.at.timestamp_millis().into(),
    ];
    connection.execute_raw(sql(connection, text, values)).await.map(|_| ())
}

/// A notification on its way.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Key.
    pub id: Uuid,
    /// The signed body.
    pub body: String,
    /// How often it was sent.
    pub attempts: i64,
}

/// A notification to be sent at once.
pub async fn insert_notification(
    connection: &impl ConnectionTrait,
    id: Uuid,
    order_id: &str,
    body: &str,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let text = "INSERT INTO sandbox_notification (id, order_id, body, attempts, next_attempt_at_ms) VALUES ($1, $2, $3, 0, $4)";
    let values: [Value; 4] = [id.into(), order_id.into(), body.into(), now.timestamp_millis().into()];
    connection.execute_raw(sql(connection, text, values)).await.map(|_| ())
}

/// Notifications to be sent, in the order of their making.
pub async fn list_due_notifications(connection: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Vec<Notification>, DbErr> {
    let text = "SELECT id, body, attempts FROM sandbox_notification WHERE next_attempt_at_ms <= $1 ORDER BY id LIMIT 256";
    let rows = connection.query_all_raw(sql(connection, text, [now.timestamp_millis().into()])).await?;
    let notification = |row: &QueryResult| {
        Ok(Notification { id: row.try_get("", "id")?, body: row.try_get("", "body")?, attempts: row.try_get("", "attempts")? })
    };
    rows.iter().map(notification).collect()
}

/// Takes a notification for sending; it is sent again at `again_at` if nothing comes of it. `false`: another process took it.
pub async fn claim_notification(
    connection: &impl ConnectionTrait,
    due: &Notification,
    again_at: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let text = "UPDATE sandbox_notification SET attempts = attempts + 1, next_attempt_at_ms = $1 \
                WHERE id = $2 AND attempts = $3 AND next_attempt_at_ms IS NOT NULL";
    let values: [Value; 3] = [again_at.timestamp_millis().into(), due.id.into(), due.attempts.into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// What becomes of a claimed notification after it was sent: again at an instant, or never. Nothing, when somebody asked for it
/// anew meanwhile.
pub async fn mark_sent(
    connection: &impl ConnectionTrait,
    sent: &Notification,
    again_at: Option<DateTime<Utc>>,
) -> Result<(), DbErr> {
    let text = "UPDATE sandbox_notification SET next_attempt_at_ms = $1 WHERE id = $2 AND attempts = $3";
    let values: [Value; 3] = [again_at.map(|at| at.timestamp_millis()).into(), sent.id.into(), (sent.attempts + 1).into()];
    connection.execute_raw(sql(connection, text, values)).await.map(|_| ())
}

/// Sends every notification of an order once more.
pub async fn resend(connection: &impl ConnectionTrait, order_id: &str, now: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "UPDATE sandbox_notification SET attempts = 0, next_attempt_at_ms = $1 WHERE order_id = $2";
    let values: [Value; 2] = [now.timestamp_millis().into(), order_id.into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected())
}
