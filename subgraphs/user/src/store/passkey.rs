//! Passkeys, and the challenges that were given out for them.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::passkeys::Passkey;

const SELECT: &str = "SELECT id, account_id, credential_id, public_key, name, created_at_ms, used_at_ms FROM passkey WHERE ";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    account_id: Uuid,
    credential_id: String,
    public_key: String,
    name: String,
    created_at_ms: i64,
    used_at_ms: Option<i64>,
}

impl Row {
    fn read(self) -> Result<Passkey, DbErr> {
        Ok(Passkey {
            id: self.id,
            account_id: self.account_id,
            credential_id: self.credential_id,
            public_key: self.public_key,
            name: self.name,
            created_at: super::instant(self.created_at_ms)?,
            used_at: self.used_at_ms.map(super::instant).transpose()?,
        })
    }
}

async fn some(connection: &impl ConnectionTrait, condition: &str, values: Vec<Value>) -> Result<Vec<Passkey>, DbErr> {
    let statement = sql(connection, &format!("{SELECT}{condition} ORDER BY id"), values);
    Row::find_by_statement(statement).all(connection).await?.into_iter().map(Row::read).collect()
}

/// The passkeys of an account, oldest first.
pub async fn list(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Vec<Passkey>, DbErr> {
    some(connection, "account_id = $1", vec![account_id.into()]).await
}

/// The passkey with this credential id.
pub async fn find(connection: &impl ConnectionTrait, credential_id: &str) -> Result<Option<Passkey>, DbErr> {
    Ok(some(connection, "credential_id = $1", vec![credential_id.into()]).await?.pop())
}

/// A new passkey; `false` when its credential id is known.
pub async fn insert(tx: &Tx, passkey: &Passkey, sign_count: u32) -> Result<bool, DbErr> {
    let text = "INSERT INTO passkey (id, account_id, credential_id, public_key, sign_count, name, created_at_ms) \
                VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (credential_id) DO NOTHING";
    let values = vec![
        passkey.id.into(),
        passkey.account_id.into(),
        passkey.credential_id.clone().into(),
        passkey.public_key.clone().into(),
        i64::from(sign_count).into(),
        passkey.name.clone().into(),
        passkey.created_at.timestamp_millis().into(),
    ];
    changed(tx, text, values).await
}

/// Notes that a passkey signed. Its counter must have risen, unless it has none: `false` says that somebody has a copy of it, or
/// that it was removed.
pub async fn used(tx: &Tx, id: Uuid, sign_count: u32, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text =
        "UPDATE passkey SET sign_count = $2, used_at_ms = $3 WHERE id = $1 AND (sign_count < $2 OR ($2 = 0 AND sign_count = 0))";
    changed(tx, text, vec![id.into(), i64::from(sign_count).into(), now.timestamp_millis().into()]).await
}

/// Gives a passkey another name; `false` when it is not the account's.
pub async fn rename(tx: &Tx, account_id: Uuid, id: Uuid, name: &str) -> Result<bool, DbErr> {
    let text = "UPDATE passkey SET name = $3 WHERE account_id = $1 AND id = $2";
    changed(tx, text, vec![account_id.into(), id.into(), name.into()]).await
}

/// Removes a passkey; `false` when it is not the account's.
pub async fn delete(tx: &Tx, account_id: Uuid, id: Uuid) -> Result<bool, DbErr> {
    changed(tx, "DELETE FROM passkey WHERE account_id = $1 AND id = $2", vec![account_id.into(), id.into()]).await
}

/// Keeps a challenge (its hash) that was given out: to an account for a new passkey, or to anybody for a sign-in.
pub async fn put_challenge(tx: &Tx, hash: &str, account_id: Option<Uuid>, expires_at: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO passkey_challenge (hash, account_id, expires_at_ms) VALUES ($1, $2, $3)";
    let values: [Value; 3] = [hash.into(), account_id.into(), expires_at.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// Uses a challenge up; `false` when it was not given out to this account, was answered, or is over.
pub async fn take_challenge(tx: &Tx, hash: &str, account_id: Option<Uuid>, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let mut values: Vec<Value> = vec![hash.into(), now.timestamp_millis().into()];
    values.extend(account_id.map(Value::from));
    let whose = if account_id.is_some() { "account_id = $3" } else { "account_id IS NULL" };
    changed(tx, &format!("DELETE FROM passkey_challenge WHERE hash = $1 AND expires_at_ms > $2 AND {whose}"), values).await
}

/// Forgets challenges that ended before `until`.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "DELETE FROM passkey_challenge WHERE expires_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|_| ())
}

async fn changed(tx: &Tx, text: &str, values: Vec<Value>) -> Result<bool, DbErr> {
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}
