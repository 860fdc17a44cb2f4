//! Changes of addresses that wait for their codes.

use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::{instant, unreadable};
use crate::{
    contact_change::ContactChange,
    identifier::{Address, Kind},
};

/// The word in the database for a change of an e-mail address.
const EMAIL: &str = "EMAIL";

fn word(phone: bool) -> &'static str {
    if phone { Kind::Phone.word() } else { EMAIL }
}

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    account_id: Uuid,
    new_value: String,
    decoy: i32,
    new_code_hash: String,
    old_code_hash: String,
    stop_hash: String,
    tries: i32,
    expires_at_ms: i64,
    mailed_at_ms: i64,
}

impl Row {
    fn read(self) -> Result<ContactChange, DbErr> {
        Ok(ContactChange {
            id: self.id,
            account_id: self.account_id,
            new: Address::stored(&self.new_value).map_err(|_| unreadable("an address"))?,
            decoy: self.decoy != 0,
            new_code_hash: self.new_code_hash,
            old_code_hash: self.old_code_hash,
            stop_hash: self.stop_hash,
            tries: self.tries,
            expires_at: instant(self.expires_at_ms)?,
            mailed_at: instant(self.mailed_at_ms)?,
        })
    }
}

/// Writes the change in place of the account's earlier one of the kind.
pub async fn put(tx: &Tx, change: &ContactChange) -> Result<(), DbErr> {
    let text = "INSERT INTO contact_change (id, account_id, kind, new_value, decoy, new_code_hash, old_code_hash, stop_hash, tries, \
                expires_at_ms, mailed_at_ms) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT (account_id, kind) DO UPDATE SET \
                id = excluded.id, new_value = excluded.new_value, decoy = excluded.decoy, new_code_hash = excluded.new_code_hash, \
                old_code_hash = excluded.old_code_hash, stop_hash = excluded.stop_hash, tries = excluded.tries, \
                expires_at_ms = excluded.expires_at_ms, mailed_at_ms = excluded.mailed_at_ms";
    let values: [Value; 11] = [
        change.id.into(),
        change.account_id.into(),
        word(matches!(change.new, Address::Phone(_))).into(),
        change.new.as_str().into(),
        i32::from(change.decoy).into(),
        change.new_code_hash.clone().into(),
        change.old_code_hash.clone().into(),
        change.stop_hash.clone().into(),
        change.tries.into(),
        change.expires_at.timestamp_millis().into(),
        change.mailed_at.timestamp_millis().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// When the codes of the account's waiting change went out.
pub async fn mailed_at(tx: &Tx, account_id: Uuid, phone: bool) -> Result<Option<DateTime<Utc>>, DbErr> {
    let text = "SELECT mailed_at_ms FROM contact_change WHERE account_id = $1 AND kind = $2";
    let row = tx.query_one_raw(sql(tx, text, [account_id.into(), word(phone).into()])).await?;
    row.map(|row| instant(row.try_get("", "mailed_at_ms")?)).transpose()
}

/// Counts a try before the codes are looked at; `false` when no try is left, the change is over, or there is none.
pub async fn count_try(tx: &Tx, id: Uuid, account_id: Uuid, limit: i32, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text =
        "UPDATE contact_change SET tries = tries + 1 WHERE id = $1 AND account_id = $2 AND tries < $3 AND expires_at_ms > $4";
    let values = [id.into(), account_id.into(), limit.into(), now.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// The change with this key, if it is the account's.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid, account_id: Uuid) -> Result<Option<ContactChange>, DbErr> {
    let text = "SELECT * FROM contact_change WHERE id = $1 AND account_id = $2";
    let statement = sql(connection, text, [id.into(), account_id.into()]);
    Row::find_by_statement(statement).one(connection).await?.map(Row::read).transpose()
}

/// The addresses that an account waits to have.
pub async fn wanted(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Vec<String>, DbErr> {
    let text = "SELECT new_value FROM contact_change WHERE account_id = $1 ORDER BY kind";
    let rows = connection.query_all_raw(sql(connection, text, [account_id.into()])).await?;
    rows.iter().map(|row| row.try_get("", "new_value")).collect()
}

/// The account's waiting changes.
pub async fn ids(tx: &Tx, account_id: Uuid) -> Result<Vec<Uuid>, DbErr> {
    let rows = tx.query_all_raw(sql(tx, "SELECT id FROM contact_change WHERE account_id = $1", [account_id.into()])).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// Ends a change.
pub async fn delete(tx: &Tx, id: Uuid) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "DELETE FROM contact_change WHERE id = $1", [id.into()])).await.map(|_| ())
}

/// Whether there is a change that this link stops.
pub async fn is_stoppable(connection: &impl ConnectionTrait, stop_hash: &str) -> Result<bool, DbErr> {
    let text = "SELECT 1 FROM contact_change WHERE stop_hash = $1";
    Ok(connection.query_one_raw(sql(connection, text, [stop_hash.into()])).await?.is_some())
}

/// Ends the change of a link; answers whose it was.
pub async fn stop(tx: &Tx, stop_hash: &str) -> Result<Option<Uuid>, DbErr> {
    let text = "DELETE FROM contact_change WHERE stop_hash = $1 RETURNING account_id";
    let row = tx.query_one_raw(sql(tx, text, [stop_hash.into()])).await?;
    row.map(|row| row.try_get("", "account_id")).transpose()
}

/// Forgets changes that ended before `until`.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "DELETE FROM contact_change WHERE expires_at_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|done| done.rows_affected())
}
