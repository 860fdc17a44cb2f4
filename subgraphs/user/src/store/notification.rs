//! Notifications.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::notification::{Facts, Kind, Notice, Notification};

const SELECT: &str = "SELECT id, kind, facts, created_at_ms, read_at_ms FROM notification WHERE account_id = $1 AND ";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    kind: String,
    facts: String,
    created_at_ms: i64,
    read_at_ms: Option<i64>,
}

impl Row {
    /// `None` for a kind that a newer program wrote.
    fn read(self) -> Result<Option<Notification>, DbErr> {
        let Some(kind) = Kind::parse(&self.kind) else { return Ok(None) };
        Ok(Some(Notification {
            id: self.id,
            kind,
            facts: serde_json::from_str::<Facts>(&self.facts).map_err(|_| super::unreadable("the facts of a notification"))?,
            created_at: super::instant(self.created_at_ms)?,
            read_at: self.read_at_ms.map(super::instant).transpose()?,
        }))
    }
}

async fn some(connection: &impl ConnectionTrait, condition: &str, values: Vec<Value>) -> Result<Vec<Notification>, DbErr> {
    let rows = Row::find_by_statement(sql(connection, &format!("{SELECT}{condition}"), values)).all(connection).await?;
    rows.into_iter().filter_map(|row| row.read().transpose()).collect()
}

/// A new notification; `false` when its cause was told before.
pub async fn insert(tx: &Tx, id: Uuid, account_id: Uuid, notice: &Notice, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let facts = serde_json::to_string(&notice.facts).map_err(|error| DbErr::Custom(error.to_string()))?;
    let text = "INSERT INTO notification (id, account_id, cause, kind, facts, created_at_ms) VALUES ($1, $2, $3, $4, $5, $6) \
                ON CONFLICT (account_id, cause) DO NOTHING";
    let values: [Value; 6] = [
        id.into(),
        account_id.into(),
        notice.cause.as_str().into(),
        notice.kind.rule().name.into(),
        facts.into(),
        now.timestamp_millis().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// Whether an account was told of this cause.
pub async fn was_told(tx: &Tx, account_id: Uuid, cause: &str) -> Result<bool, DbErr> {
    let text = "SELECT 1 AS one FROM notification WHERE account_id = $1 AND cause = $2";
    tx.query_one_raw(sql(tx, text, [account_id.into(), cause.into()])).await.map(|row| row.is_some())
}

/// A page of an account's list, newest first: at most `count` before `before`.
pub async fn list(
    connection: &impl ConnectionTrait,
    account_id: Uuid,
    before: Uuid,
    unread_only: bool,
    count: u64,
) -> Result<Vec<Notification>, DbErr> {
    let unread = if unread_only { "read_at_ms IS NULL AND " } else { "" };
    let values = vec![account_id.into(), before.into(), i64::try_from(count).unwrap_or(i64::MAX).into()];
    some(connection, &format!("{unread}id < $2 ORDER BY id DESC LIMIT $3"), values).await
}

/// What came to an account's list after a key, oldest first.
pub async fn list_after(
    connection: &impl ConnectionTrait,
    account_id: Uuid,
    after: Uuid,
    count: u64,
) -> Result<Vec<Notification>, DbErr> {
    let values = vec![account_id.into(), after.into(), i64::try_from(count).unwrap_or(i64::MAX).into()];
    some(connection, "id > $2 ORDER BY id LIMIT $3", values).await
}

/// How many notifications an account has: in all, or unread.
pub async fn count(connection: &impl ConnectionTrait, account_id: Uuid, unread_only: bool) -> Result<i64, DbErr> {
    let unread = if unread_only { " AND read_at_ms IS NULL" } else { "" };
    let text = format!("SELECT COUNT(*) AS count FROM notification WHERE account_id = $1{unread}");
    let row = connection.query_one_raw(sql(connection, &text, [account_id.into()])).await?;
    row.map_or(Ok(0), |row| row.try_get("", "count"))
}

/// How many of these are the account's.
pub async fn count_of(tx: &Tx, account_id: Uuid, ids: &[Uuid]) -> Result<usize, DbErr> {
    let text = format!("SELECT id FROM notification WHERE account_id = $1 AND id IN ({})", places(ids.len(), 2));
    let values = std::iter::once(account_id).chain(ids.iter().copied()).map(Value::from);
    tx.query_all_raw(sql(tx, &text, values)).await.map(|rows| rows.len())
}

/// Marks these as read.
pub async fn mark_some(tx: &Tx, account_id: Uuid, ids: &[Uuid], now: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = format!(
        "UPDATE notification SET read_at_ms = $2 WHERE account_id = $1 AND read_at_ms IS NULL AND id IN ({})",
        places(ids.len(), 3)
    );
    let begin: [Value; 2] = [account_id.into(), now.timestamp_millis().into()];
    let values = begin.into_iter().chain(ids.iter().copied().map(Value::from));
    tx.execute_raw(sql(tx, &text, values)).await.map(|done| done.rows_affected())
}

/// Marks everything up to a key as read.
pub async fn mark_up_to(tx: &Tx, account_id: Uuid, last: Uuid, now: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "UPDATE notification SET read_at_ms = $2 WHERE account_id = $1 AND read_at_ms IS NULL AND id <= $3";
    let values = [account_id.into(), now.timestamp_millis().into(), last.into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected())
}

/// Forgets what was read before `until`.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "DELETE FROM notification WHERE read_at_ms IS NOT NULL AND read_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|done| done.rows_affected())
}

/// `$2, $3, ...`
fn places(count: usize, first: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}
