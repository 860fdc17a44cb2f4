//! Proofs of work that were used.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

/// Notes that a proof is used; `false` when it was before. It is forgotten when its task is over.
pub async fn note(tx: &Tx, hash: &str, expires_at: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "INSERT INTO work_done (hash, expires_at_ms) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
    let done = tx.execute_raw(sql(tx, text, [hash.into(), expires_at.timestamp_millis().into()])).await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets proofs whose task was over before `until`.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "DELETE FROM work_done WHERE expires_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|_| ())
}
