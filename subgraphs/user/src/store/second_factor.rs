//! Second factors, recovery codes, and sign-ins that wait for one.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

/// A second factor as stored.
#[derive(Debug, Clone, FromQueryResult)]
pub struct SecondFactor {
    /// The secret, sealed.
    pub secret_sealed: String,
    /// Since when it counts; `None` while it is being set up.
    pub confirmed_at_ms: Option<i64>,
    /// The step of the newest code that was used.
    pub last_step: i64,
}

/// A sign-in that waits.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Challenge {
    /// Whose.
    pub account_id: Uuid,
    /// What the client called its device.
    pub device: Option<String>,
    /// Codes tried so far.
    pub tries: i32,
}

/// Keeps a new secret in place of one that was never confirmed; `false` when the account has a second factor.
pub async fn put(tx: &Tx, account_id: Uuid, secret_sealed: &str) -> Result<bool, DbErr> {
    let text = "INSERT INTO second_factor (account_id, secret_sealed, last_step) VALUES ($1, $2, 0) \
                ON CONFLICT (account_id) DO UPDATE SET secret_sealed = excluded.secret_sealed \
                WHERE second_factor.confirmed_at_ms IS NULL";
    changed(tx, text, vec![account_id.into(), secret_sealed.into()]).await
}

/// The second factor of an account, confirmed or not.
pub async fn find(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<SecondFactor>, DbErr> {
    let text = "SELECT secret_sealed, confirmed_at_ms, last_step FROM second_factor WHERE account_id = $1";
    SecondFactor::find_by_statement(sql(connection, text, [account_id.into()])).one(connection).await
}

/// Lets a secret count from now on; `false` when it was replaced, removed or confirmed meanwhile.
pub async fn confirm(tx: &Tx, account_id: Uuid, secret_sealed: &str, step: i64, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE second_factor SET confirmed_at_ms = $4, last_step = $3 \
                WHERE account_id = $1 AND secret_sealed = $2 AND confirmed_at_ms IS NULL";
    let values = vec![account_id.into(), secret_sealed.into(), step.into(), now.timestamp_millis().into()];
    changed(tx, text, values).await
}

/// Uses the code of a step up; `false` when it, or a later one, was used before. Of racing calls one gets it.
pub async fn use_step(tx: &Tx, account_id: Uuid, step: i64) -> Result<bool, DbErr> {
    let text = "UPDATE second_factor SET last_step = $2 WHERE account_id = $1 AND last_step < $2 AND confirmed_at_ms IS NOT NULL";
    changed(tx, text, vec![account_id.into(), step.into()]).await
}

/// Removes the second factor with its recovery codes, and ends the sign-ins that wait for it; `false` when there was none.
pub async fn delete(tx: &Tx, account_id: Uuid) -> Result<bool, DbErr> {
    for table in ["recovery_code", "sign_in_challenge"] {
        tx.execute_raw(sql(tx, &format!("DELETE FROM {table} WHERE account_id = $1"), [account_id.into()])).await?;
    }
    changed(tx, "DELETE FROM second_factor WHERE account_id = $1", vec![account_id.into()]).await
}

/// Keeps new recovery codes (their hashes) in place of all before.
pub async fn put_recovery_codes(tx: &Tx, account_id: Uuid, hashes: &[String]) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "DELETE FROM recovery_code WHERE account_id = $1", [account_id.into()])).await?;
    for hash in hashes {
        let text = "INSERT INTO recovery_code (hash, account_id) VALUES ($1, $2)";
        tx.execute_raw(sql(tx, text, [hash.clone().into(), account_id.into()])).await?;
    }
    Ok(())
}

/// Uses a recovery code up; `false` when it is not one of the account's.
pub async fn use_recovery_code(tx: &Tx, account_id: Uuid, hash: &str) -> Result<bool, DbErr> {
    let text = "DELETE FROM recovery_code WHERE hash = $1 AND account_id = $2";
    changed(tx, text, vec![hash.into(), account_id.into()]).await
}

/// How many recovery codes an account has left.
pub async fn recovery_codes(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<i64, DbErr> {
    let text = "SELECT COUNT(*) AS left_over FROM recovery_code WHERE account_id = $1";
    let row = connection.query_one_raw(sql(connection, text, [account_id.into()])).await?;
    row.map_or(Ok(0), |row| row.try_get("", "left_over"))
}

/// A sign-in that waits for its second factor.
pub async fn insert_challenge(
    tx: &Tx,
    id: Uuid,
    account_id: Uuid,
    device: Option<String>,
    expires_at: DateTime<Utc>,
) -> Result<(), DbErr> {
    let text = "INSERT INTO sign_in_challenge (id, account_id, device, tries, expires_at_ms) VALUES ($1, $2, $3, 0, $4)";
    let values: [Value; 4] = [id.into(), account_id.into(), device.into(), expires_at.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// The sign-in that waits with this key, ended or not.
pub async fn find_challenge(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Challenge>, DbErr> {
    let text = "SELECT account_id, device, tries FROM sign_in_challenge WHERE id = $1";
    Challenge::find_by_statement(sql(connection, text, [id.into()])).one(connection).await
}

/// Counts a try before the code is looked at; `false` when no try is left or the time is over.
pub async fn count_try(tx: &Tx, id: Uuid, limit: i32, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE sign_in_challenge SET tries = tries + 1 WHERE id = $1 AND tries < $2 AND expires_at_ms > $3";
    changed(tx, text, vec![id.into(), limit.into(), now.timestamp_millis().into()]).await
}

/// Ends a sign-in that waited; `false` when another call did.
pub async fn delete_challenge(tx: &Tx, id: Uuid) -> Result<bool, DbErr> {
    changed(tx, "DELETE FROM sign_in_challenge WHERE id = $1", vec![id.into()]).await
}

/// Forgets sign-ins that waited until before `until`.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "DELETE FROM sign_in_challenge WHERE expires_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|_| ())
}

async fn changed(tx: &Tx, text: &str, values: Vec<Value>) -> Result<bool, DbErr> {
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}
