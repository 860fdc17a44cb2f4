//! Accounts with their profiles.

use berth_kernel::{
    db::{Tx, sql},
    seal::Sealer,
};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::{
    account::Account,
    document::{IdNumber, IdType},
    error::Error,
    profile::Profile,
};

const SELECT: &str = "SELECT id, email, password_hash, full_name, birth_date, phone, id_type, id_number_sealed, address, \
                      passenger_count, role, suspended_at_ms, first_name, last_name FROM account WHERE ";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    email: String,
    password_hash: String,
    full_name: Option<String>,
    birth_date: Option<String>,
    phone: Option<String>,
    id_type: Option<String>,
    id_number_sealed: Option<String>,
    address: Option<String>,
    passenger_count: i32,
    role: String,
    suspended_at_ms: Option<i64>,
    first_name: Option<String>,
    last_name: Option<String>,
}

impl Row {
    fn open(self, sealer: &Sealer) -> Result<Account, Error> {
        let id_number = self.id_number_sealed.map(|sealed| sealer.open(&sealed)).transpose()?;
        let profile = Profile {
            full_name: self.full_name,
            birth_date: self.birth_date.as_deref().map(super::date).transpose()?,
            phone: self.phone,
            id_type: self.id_type.as_deref().map(super::id_type).transpose()?,
            id_number: id_number.map(IdNumber::stored),
            address: self.address,
            first_name: self.first_name,
            last_name: self.last_name,
        };
        Ok(Account {
            id: self.id,
            email: super::address(self.email),
            password_hash: self.password_hash,
            standing: super::standing(&self.role, self.suspended_at_ms)?,
            profile,
            passenger_count: self.passenger_count,
        })
    }
}

async fn one(connection: &impl ConnectionTrait, sealer: &Sealer, condition: &str, key: Value) -> Result<Option<Account>, Error> {
    let statement = sql(connection, &format!("{SELECT}{condition}"), [key]);
    Row::find_by_statement(statement).one(connection).await?.map(|row| row.open(sealer)).transpose()
}

/// The account with this key.
pub async fn find(connection: &impl ConnectionTrait, sealer: &Sealer, id: Uuid) -> Result<Option<Account>, Error> {
    one(connection, sealer, "id = $1", id.into()).await
}

/// The account of this address.
pub async fn find_by_email(connection: &impl ConnectionTrait, sealer: &Sealer, email: &str) -> Result<Option<Account>, Error> {
    one(connection, sealer, "email = $1", email.into()).await
}

/// Whether the address has an account.
pub async fn exists(connection: &impl ConnectionTrait, email: &str) -> Result<bool, DbErr> {
    let statement = sql(connection, "SELECT 1 AS one FROM account WHERE email = $1", [email.into()]);
    connection.query_one_raw(statement).await.map(|row| row.is_some())
}

/// What stands in place of an address that an account does not have: no address, and nobody else's.
pub fn no_email(id: Uuid) -> String {
    format!("-{}", id.simple())
}

/// A new account with an empty profile; `false` when the address has one already.
pub async fn insert(tx: &Tx, id: Uuid, email: &str, password_hash: &str, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "INSERT INTO account (id, email, password_hash, passenger_count, created_at_ms, changed_at_ms) \
                VALUES ($1, $2, $3, 0, $4, $4) ON CONFLICT (email) DO NOTHING";
    let values = [id.into(), email.into(), password_hash.into(), now.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// Takes the account for the rest of the transaction, so that reading and writing it back is one step; `false` when absent.
pub async fn take(tx: &Tx, id: Uuid, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE account SET changed_at_ms = $2 WHERE id = $1";
    let done = tx.execute_raw(sql(tx, text, [id.into(), now.timestamp_millis().into()])).await?;
    Ok(done.rows_affected() == 1)
}

/// Writes the profile of an account.
pub async fn set_profile(tx: &Tx, sealer: &Sealer, id: Uuid, profile: &Profile) -> Result<(), DbErr> {
    let text = "UPDATE account SET full_name = $2, birth_date = $3, phone = $4, id_type = $5, id_number_sealed = $6, address = $7, \
                first_name = $8, last_name = $9 WHERE id = $1";
    let values: [Value; 9] = [
        id.into(),
        profile.full_name.clone().into(),
        profile.birth_date.map(|date| date.to_string()).into(),
        profile.phone.clone().into(),
        profile.id_type.map(IdType::word).into(),
        profile.id_number.as_ref().map(|number| sealer.seal(number.as_str())).into(),
        profile.address.clone().into(),
        profile.first_name.clone().into(),
        profile.last_name.clone().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// Sets the hash of a new password, in place of a known one; `false` when that was replaced meanwhile.
pub async fn change_hash(tx: &Tx, id: Uuid, old: &str, new: &str, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE account SET password_hash = $3, changed_at_ms = $4 WHERE id = $1 AND password_hash = $2";
    let values = [id.into(), old.into(), new.into(), now.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// Counts one more passenger; `false` when the account is absent or has `limit` already.
pub async fn count_passenger(tx: &Tx, id: Uuid, limit: i32) -> Result<bool, DbErr> {
    let text = "UPDATE account SET passenger_count = passenger_count + 1 WHERE id = $1 AND passenger_count < $2";
    let done = tx.execute_raw(sql(tx, text, [id.into(), limit.into()])).await?;
    Ok(done.rows_affected() == 1)
}

/// Counts one passenger less.
pub async fn uncount_passenger(tx: &Tx, id: Uuid) -> Result<(), DbErr> {
    let text = "UPDATE account SET passenger_count = passenger_count - 1 WHERE id = $1 AND passenger_count > 0";
    tx.execute_raw(sql(tx, text, [id.into()])).await.map(|_| ())
}

/// The keys of all accounts.
pub async fn list_keys(connection: &impl ConnectionTrait) -> Result<std::collections::HashSet<Uuid>, DbErr> {
    let rows = connection.query_all_raw(sql(connection, "SELECT id FROM account", [])).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// Gives an account another address; `false` when somebody has it.
pub async fn set_email(tx: &Tx, id: Uuid, email: &str) -> Result<bool, DbErr> {
    let text = "UPDATE account SET email = $2 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM account other WHERE other.email = $2)";
    tx.execute_raw(sql(tx, text, [id.into(), email.into()])).await.map(|done| done.rows_affected() == 1)
}

/// Deletes an account with everything that belongs to it: profile, passengers, sessions, links.
pub async fn delete(tx: &Tx, id: Uuid) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "DELETE FROM account WHERE id = $1", [id.into()])).await.map(|_| ())
}
