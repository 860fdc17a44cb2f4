//! Names of accounts beside their e-mail addresses.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::identifier::Kind;

/// Gives an account a name; `false` when somebody has it, or the account has another one of the kind.
pub async fn insert(tx: &Tx, kind: Kind, value: &str, account_id: Uuid, proved_at: Option<DateTime<Utc>>) -> Result<bool, DbErr> {
    let text = "INSERT INTO identifier (kind, value, account_id, proved_at_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let proved_at = proved_at.map(|at| at.timestamp_millis());
    let values = [kind.word().into(), value.into(), account_id.into(), proved_at.into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// Whose name it is.
pub async fn find(connection: &impl ConnectionTrait, kind: Kind, value: &str) -> Result<Option<Uuid>, DbErr> {
    let text = "SELECT account_id FROM identifier WHERE kind = $1 AND value = $2";
    let row = connection.query_one_raw(sql(connection, text, [kind.word().into(), value.into()])).await?;
    row.map(|row| row.try_get("", "account_id")).transpose()
}

/// The name of a kind that an account has.
pub async fn of_account(connection: &impl ConnectionTrait, account_id: Uuid, kind: Kind) -> Result<Option<String>, DbErr> {
    let text = "SELECT value FROM identifier WHERE account_id = $1 AND kind = $2";
    let row = connection.query_one_raw(sql(connection, text, [account_id.into(), kind.word().into()])).await?;
    row.map(|row| row.try_get("", "value")).transpose()
}

/// Takes a name of a kind from an account.
pub async fn delete(tx: &Tx, account_id: Uuid, kind: Kind) -> Result<(), DbErr> {
    let text = "DELETE FROM identifier WHERE account_id = $1 AND kind = $2";
    tx.execute_raw(sql(tx, text, [account_id.into(), kind.word().into()])).await.map(|_| ())
}
