//! Deleted accounts, exports, and what only an export shows.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::instant;
use crate::session::OpenSession;

/// A session, ended or not.
#[derive(Debug, Clone)]
pub struct KeptSession {
    /// Its facts.
    pub session: OpenSession,
    /// When it was ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The key was an account's until now.
pub async fn note_deleted(tx: &Tx, id: Uuid, by: &str, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO deleted_account (id, deleted_at_ms, deleted_by) VALUES ($1, $2, $3)";
    tx.execute_raw(sql(tx, text, [id.into(), now.timestamp_millis().into(), by.into()])).await.map(|_| ())
}

/// The keys of all deleted accounts.
pub async fn list_deleted(connection: &impl ConnectionTrait) -> Result<Vec<Uuid>, DbErr> {
    let rows = connection.query_all_raw(sql(connection, "SELECT id FROM deleted_account", [])).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// Somebody takes a copy of the account's data.
pub async fn note_export(tx: &Tx, id: Uuid, account_id: Uuid, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO data_export (id, account_id, at_ms) VALUES ($1, $2, $3)";
    tx.execute_raw(sql(tx, text, [id.into(), account_id.into(), now.timestamp_millis().into()])).await.map(|_| ())
}

/// When copies were taken, oldest first.
pub async fn exports_since(
    connection: &impl ConnectionTrait,
    account_id: Uuid,
    since: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>, DbErr> {
    let text = "SELECT at_ms FROM data_export WHERE account_id = $1 AND at_ms > $2 ORDER BY at_ms";
    let values = [account_id.into(), since.timestamp_millis().into()];
    let rows = connection.query_all_raw(sql(connection, text, values)).await?;
    rows.iter().map(|row| instant(row.try_get("", "at_ms")?)).collect()
}

/// Forgets copies taken before `until`: they are counted no more.
pub async fn forget_exports(tx: &Tx, until: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "DELETE FROM data_export WHERE at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|done| done.rows_affected())
}

/// When the account was made, and when it changed last.
pub async fn times(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, DbErr> {
    let text = "SELECT created_at_ms, changed_at_ms FROM account WHERE id = $1";
    let row = connection.query_one_raw(sql(connection, text, [account_id.into()])).await?;
    let read = |row: QueryResult| Ok((instant(row.try_get("", "created_at_ms")?)?, instant(row.try_get("", "changed_at_ms")?)?));
    row.map(read).transpose()
}

/// When the link for a new password was asked for that is still good.
pub async fn reset_asked_at(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<DateTime<Utc>>, DbErr> {
    let text = "SELECT mailed_at_ms FROM password_reset WHERE account_id = $1";
    let row = connection.query_one_raw(sql(connection, text, [account_id.into()])).await?;
    row.map(|row| instant(row.try_get("", "mailed_at_ms")?)).transpose()
}

/// Every session of the account that is remembered, oldest first.
pub async fn sessions(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Vec<KeptSession>, DbErr> {
    let text = "SELECT id, device, created_at_ms, COALESCE(seen_at_ms, created_at_ms) AS seen_at_ms, expires_at_ms, revoked_at_ms \
                FROM session WHERE account_id = $1 ORDER BY id";
    let rows = connection.query_all_raw(sql(connection, text, [account_id.into()])).await?;
    rows.iter().map(session).collect()
}

fn session(row: &QueryResult) -> Result<KeptSession, DbErr> {
    let session = OpenSession {
        id: row.try_get("", "id")?,
        device: row.try_get("", "device")?,
        created_at: instant(row.try_get("", "created_at_ms")?)?,
        seen_at: instant(row.try_get("", "seen_at_ms")?)?,
        expires_at: instant(row.try_get("", "expires_at_ms")?)?,
    };
    let ended_at: Option<i64> = row.try_get("", "revoked_at_ms")?;
    Ok(KeptSession { session, ended_at: ended_at.map(instant).transpose()? })
}
