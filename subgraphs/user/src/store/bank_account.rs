//! Bank accounts. Every statement names the account, so nobody reaches one that is not theirs.

use berth_kernel::{
    db::{Tx, sql},
    seal::Sealer,
};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    bank_account::{BankAccount, BankNumber},
    error::Error,
};

/// A new bank account of somebody.
pub async fn insert(tx: &Tx, sealer: &Sealer, account_id: Uuid, bank: &BankAccount, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO bank_account (id, account_id, bank_code, holder_name, number_sealed, created_at_ms) \
                VALUES ($1, $2, $3, $4, $5, $6)";
    let values = [
        bank.id.into(),
        account_id.into(),
        bank.bank_code.clone().into(),
        bank.holder_name.clone().into(),
        sealer.seal(bank.number.as_str()).into(),
        now.timestamp_millis().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// How many somebody has.
pub async fn count(tx: &Tx, account_id: Uuid) -> Result<i64, DbErr> {
    let text = "SELECT COUNT(*) AS total FROM bank_account WHERE account_id = $1";
    let row = tx.query_one_raw(sql(tx, text, [account_id.into()])).await?;
    row.map_or(Ok(0), |row| row.try_get("", "total"))
}

/// All of somebody, oldest first.
pub async fn list(connection: &impl ConnectionTrait, sealer: &Sealer, account_id: Uuid) -> Result<Vec<BankAccount>, Error> {
    let text = "SELECT id, bank_code, holder_name, number_sealed FROM bank_account WHERE account_id = $1 ORDER BY id";
    let rows = connection.query_all_raw(sql(connection, text, [account_id.into()])).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let sealed: String = row.try_get("", "number_sealed")?;
        found.push(BankAccount {
            id: row.try_get("", "id")?,
            bank_code: row.try_get("", "bank_code")?,
            holder_name: row.try_get("", "holder_name")?,
            number: BankNumber::stored(sealer.open(&sealed)?),
        });
    }
    Ok(found)
}

/// Removes one; `false` when it is not the account's.
pub async fn delete(tx: &Tx, account_id: Uuid, id: Uuid) -> Result<bool, DbErr> {
    let text = "DELETE FROM bank_account WHERE account_id = $1 AND id = $2";
    tx.execute_raw(sql(tx, text, [account_id.into(), id.into()])).await.map(|done| done.rows_affected() == 1)
}
