//! Sessions and their refresh tokens.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::ended_session;
use crate::session::OpenSession;

/// A refresh token.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Token {
    /// The session it belongs to.
    pub session_id: Uuid,
    /// Hash of the token it was given for; empty for the first of a session.
    pub parent: String,
}

/// A session as stored.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Session {
    /// Whose it is.
    pub account_id: Uuid,
    /// When somebody signed in, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When it ends unless refreshed.
    pub expires_at_ms: i64,
    /// When it was ended.
    pub revoked_at_ms: Option<i64>,
}

/// A new session.
pub async fn insert(tx: &Tx, session: &OpenSession, account_id: Uuid) -> Result<(), DbErr> {
    let text = "INSERT INTO session (id, account_id, head, created_at_ms, expires_at_ms, device, seen_at_ms) \
                VALUES ($1, $2, '', $3, $4, $5, $6)";
    let values: [Value; 6] = [
        session.id.into(),
        account_id.into(),
        session.created_at.timestamp_millis().into(),
        session.expires_at.timestamp_millis().into(),
        session.device.clone().into(),
        session.seen_at.timestamp_millis().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    device: Option<String>,
    created_at_ms: i64,
    seen_at_ms: Option<i64>,
    expires_at_ms: i64,
}

/// The open sessions of an account, newest first: at most `count` before `before`.
pub async fn list(
    connection: &impl ConnectionTrait,
    account_id: Uuid,
    before: Uuid,
    now: DateTime<Utc>,
    count: u64,
) -> Result<Vec<OpenSession>, DbErr> {
    let text = "SELECT id, device, created_at_ms, seen_at_ms, expires_at_ms FROM session \
                WHERE account_id = $1 AND id < $2 AND revoked_at_ms IS NULL AND expires_at_ms > $3 ORDER BY id DESC LIMIT $4";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let values = [account_id.into(), before.into(), now.timestamp_millis().into(), count.into()];
    let rows = Row::find_by_statement(sql(connection, text, values)).all(connection).await?;
    rows.into_iter().map(OpenSession::try_from).collect()
}

impl TryFrom<Row> for OpenSession {
    type Error = DbErr;

    fn try_from(row: Row) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            device: row.device,
            created_at: super::instant(row.created_at_ms)?,
            seen_at: super::instant(row.seen_at_ms.unwrap_or(row.created_at_ms))?,
            expires_at: super::instant(row.expires_at_ms)?,
        })
    }
}

/// Whether a session of the account that is remembered, open or not, has this name of a device.
pub async fn knows_device(tx: &Tx, account_id: Uuid, device: Option<&str>) -> Result<bool, DbErr> {
    let text = "SELECT 1 AS one FROM session WHERE account_id = $1 AND COALESCE(device, '') = $2 LIMIT 1";
    let values = [account_id.into(), device.unwrap_or_default().into()];
    tx.query_one_raw(sql(tx, text, values)).await.map(|row| row.is_some())
}

/// A new refresh token, given for `parent`.
pub async fn insert_token(tx: &Tx, hash: &str, session_id: Uuid, parent: &str, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO refresh_token (hash, session_id, parent, issued_at_ms) VALUES ($1, $2, $3, $4)";
    let values = [hash.into(), session_id.into(), parent.into(), now.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// The token with this hash.
pub async fn find_token(tx: &Tx, hash: &str) -> Result<Option<Token>, DbErr> {
    let statement = sql(tx, "SELECT session_id, parent FROM refresh_token WHERE hash = $1", [hash.into()]);
    Token::find_by_statement(statement).one(tx).await
}

/// Consumes a token of a live session and moves the session's end, in one statement. It works for a successor of the token
/// consumed last, and for that token itself again (its answer was lost: no successor of it was ever used). `false` otherwise.
pub async fn advance(tx: &Tx, token: &Token, hash: &str, now: DateTime<Utc>, expires_at: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE session SET head = $2, expires_at_ms = $5, seen_at_ms = $4 WHERE id = $1 AND (head = $3 OR head = $2) \
                AND revoked_at_ms IS NULL AND expires_at_ms > $4";
    let values = [
        token.session_id.into(),
        hash.into(),
        token.parent.clone().into(),
        now.timestamp_millis().into(),
        expires_at.timestamp_millis().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// The session with this key.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Session>, DbErr> {
    let text = "SELECT account_id, created_at_ms, expires_at_ms, revoked_at_ms FROM session WHERE id = $1";
    Session::find_by_statement(sql(connection, text, [id.into()])).one(connection).await
}

/// Ends a session of an account, and notes it; `false` when it had ended before or is somebody else's.
pub async fn revoke(tx: &Tx, id: Uuid, account_id: Uuid, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE session SET revoked_at_ms = $3 WHERE id = $1 AND account_id = $2 AND revoked_at_ms IS NULL";
    let values = [id.into(), account_id.into(), now.timestamp_millis().into()];
    let ended = tx.execute_raw(sql(tx, text, values)).await?.rows_affected() == 1;
    if ended {
        ended_session::note(tx, id, now).await?;
    }
    Ok(ended)
}

/// Ends every session of an account, but the kept one if there is one, and notes them; answers how many.
pub async fn revoke_all(tx: &Tx, account_id: Uuid, kept: Option<Uuid>, now: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "UPDATE session SET revoked_at_ms = $3 WHERE account_id = $1 AND id <> $2 AND revoked_at_ms IS NULL \
                AND expires_at_ms > $3 RETURNING id";
    let values = [account_id.into(), kept.unwrap_or_default().into(), now.timestamp_millis().into()];
    let rows = tx.query_all_raw(sql(tx, text, values)).await?;
    for row in &rows {
        ended_session::note(tx, row.try_get("", "id")?, now).await?;
    }
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

/// Forgets sessions that ended before `until`, with their tokens.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "DELETE FROM session WHERE expires_at_ms <= $1 OR revoked_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|done| done.rows_affected())
}
