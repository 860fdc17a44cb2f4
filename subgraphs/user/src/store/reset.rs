//! Links that set a new password: one for an account, the newest.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

/// Keeps the hash of a new link's token in place of the one before; `false` when that one was mailed after `paused_until`.
pub async fn put(
    tx: &Tx,
    account_id: Uuid,
    token_hash: &str,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    paused_until: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let text = "INSERT INTO password_reset (account_id, token_hash, expires_at_ms, mailed_at_ms) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (account_id) DO UPDATE SET token_hash = excluded.token_hash, \
                expires_at_ms = excluded.expires_at_ms, mailed_at_ms = excluded.mailed_at_ms \
                WHERE password_reset.mailed_at_ms <= $5";
    let values = [
        account_id.into(),
        token_hash.into(),
        expires_at.timestamp_millis().into(),
        now.timestamp_millis().into(),
        paused_until.timestamp_millis().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// Whose a link with this hash is, as long as it is good.
pub async fn owner(connection: &impl ConnectionTrait, token_hash: &str, now: DateTime<Utc>) -> Result<Option<Uuid>, DbErr> {
    let text = "SELECT account_id FROM password_reset WHERE token_hash = $1 AND expires_at_ms > $2";
    let values = [token_hash.into(), now.timestamp_millis().into()];
    let row = connection.query_one_raw(sql(connection, text, values)).await?;
    row.map(|row| row.try_get("", "account_id")).transpose()
}

/// Uses a link up; answers whose it was. Of racing calls one gets it.
pub async fn take(tx: &Tx, token_hash: &str, now: DateTime<Utc>) -> Result<Option<Uuid>, DbErr> {
    let text = "DELETE FROM password_reset WHERE token_hash = $1 AND expires_at_ms > $2 RETURNING account_id";
    let row = tx.query_one_raw(sql(tx, text, [token_hash.into(), now.timestamp_millis().into()])).await?;
    row.map(|row| row.try_get("", "account_id")).transpose()
}

/// Forgets the link of an account: its password was set in another way.
pub async fn delete(tx: &Tx, account_id: Uuid) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "DELETE FROM password_reset WHERE account_id = $1", [account_id.into()])).await.map(|_| ())
}

/// Forgets links that ended before `until`.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "DELETE FROM password_reset WHERE expires_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|done| done.rows_affected())
}
