//! Sessions that were ended lately.

use berth_contracts::peer::EndedSession;
use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    ended_at_ms: i64,
}

/// Notes that a session was ended.
pub async fn note(tx: &Tx, id: Uuid, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO ended_session (id, ended_at_ms) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    tx.execute_raw(sql(tx, text, [id.into(), now.timestamp_millis().into()])).await.map(|_| ())
}

/// Notes that the open sessions of an account end with it.
pub async fn note_all_of(tx: &Tx, account_id: Uuid, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO ended_session (id, ended_at_ms) \
                SELECT id, $2 FROM session WHERE account_id = $1 AND revoked_at_ms IS NULL ON CONFLICT (id) DO NOTHING";
    tx.execute_raw(sql(tx, text, [account_id.into(), now.timestamp_millis().into()])).await.map(|_| ())
}

/// Those that were ended after `since`, the newest `count` of them, oldest first.
pub async fn list(connection: &impl ConnectionTrait, since: DateTime<Utc>, count: u64) -> Result<Vec<EndedSession>, DbErr> {
    let text = "SELECT id, ended_at_ms FROM ended_session WHERE ended_at_ms > $1 ORDER BY ended_at_ms DESC LIMIT $2";
    let values = [since.timestamp_millis().into(), i64::try_from(count).unwrap_or(i64::MAX).into()];
    let rows = Row::find_by_statement(sql(connection, text, values)).all(connection).await?;
    let ended = |row: Row| Ok(EndedSession { session_id: row.id, at: super::instant(row.ended_at_ms)? });
    rows.into_iter().rev().map(ended).collect()
}

/// Forgets those that were ended before `until`.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "DELETE FROM ended_session WHERE ended_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|_| ())
}
