//! The ledger: entries are only ever added.

use berth_kernel::db::sql;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::ledger::{AT_PROVIDER, Balance, Posting};

/// Books a posting: both sides, or an error. A posting that was booked before is a unique violation.
pub async fn insert(connection: &impl ConnectionTrait, posting: &Posting) -> Result<(), DbErr> {
    let text = "INSERT INTO ledger_entry (posting, account, payment_id, debit_minor, credit_minor, currency, at_ms) \
                VALUES ($1, $2, $3, $4, 0, $5, $6), ($1, $7, $3, 0, $4, $5, $6)";
    let values = [
        posting.key.clone().into(),
        posting.debit.into(),
        posting.payment_id.into(),
        posting.amount.amount_minor.into(),
        posting.amount.currency.code().into(),
        posting.at.timestamp_millis().into(),
        posting.credit.into(),
    ];
    connection.execute_raw(sql(connection, text, values)).await.map(|_| ())
}

/// What a payment's entries add up to.
pub async fn balance(connection: &impl ConnectionTrait, payment_id: Uuid) -> Result<Balance, DbErr> {
    let text = "SELECT CAST(COALESCE(SUM(debit_minor), 0) AS BIGINT) AS debits, CAST(COALESCE(SUM(credit_minor), 0) AS BIGINT) AS credits, \
                CAST(COALESCE(SUM(CASE WHEN account = $2 THEN debit_minor - credit_minor ELSE 0 END), 0) AS BIGINT) AS held, COUNT(*) AS entries \
                FROM ledger_entry WHERE payment_id = $1";
    let row = connection.query_one_raw(sql(connection, text, [payment_id.into(), AT_PROVIDER.into()])).await?;
    let Some(row) = row else { return Ok(Balance::default()) };
    Ok(Balance {
        debits: row.try_get("", "debits")?,
        credits: row.try_get("", "credits")?,
        held: row.try_get("", "held")?,
        entries: row.try_get("", "entries")?,
    })
}
