//! Passengers. Every statement names the account, so nobody reaches a list that is not theirs.

use berth_kernel::{
    db::{Tx, sql},
    seal::Sealer,
};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::{document::IdNumber, error::Error, passenger::Passenger};

const SELECT: &str = "SELECT id, full_name, id_type, id_number_sealed, birth_date FROM passenger WHERE account_id = $1 AND ";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    full_name: String,
    id_type: String,
    id_number_sealed: String,
    birth_date: String,
}

impl Row {
    fn open(self, sealer: &Sealer) -> Result<Passenger, Error> {
        Ok(Passenger {
            id: self.id,
            full_name: self.full_name,
            id_type: super::id_type(&self.id_type)?,
            id_number: IdNumber::stored(sealer.open(&self.id_number_sealed)?),
            birth_date: super::date(&self.birth_date)?,
        })
    }
}

async fn some(
    connection: &impl ConnectionTrait,
    sealer: &Sealer,
    condition: &str,
    values: Vec<Value>,
) -> Result<Vec<Passenger>, Error> {
    let statement = sql(connection, &format!("{SELECT}{condition}"), values);
    let rows = Row::find_by_statement(statement).all(connection).await?;
    rows.into_iter().map(|row| row.open(sealer)).collect()
}

/// Those of the asked passengers that belong to the account.
pub async fn list_asked(
    connection: &impl ConnectionTrait,
    sealer: &Sealer,
    account_id: Uuid,
    ids: &[Uuid],
) -> Result<Vec<Passenger>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (2..ids.len() + 2).map(|place| format!("${place}")).collect();
    let values = std::iter::once(account_id).chain(ids.iter().copied()).map(Value::from).collect();
    some(connection, sealer, &format!("id IN ({})", places.join(",")), values).await
}

/// A page of the account's list, oldest first: at most `count` after the passenger `after`.
pub async fn list(
    connection: &impl ConnectionTrait,
    sealer: &Sealer,
    account_id: Uuid,
    after: Uuid,
    count: u64,
) -> Result<Vec<Passenger>, Error> {
    // Keys are UUID v7: their order is that of their making.
    let values = vec![account_id.into(), after.into(), i64::try_from(count).unwrap_or(i64::MAX).into()];
    some(connection, sealer, "id > $2 ORDER BY id LIMIT $3", values).await
}

/// A new passenger.
pub async fn insert(tx: &Tx, sealer: &Sealer, account_id: Uuid, passenger: &Passenger, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO passenger (account_id, id, full_name, id_type, id_number_sealed, birth_date, changed_at_ms) \
                VALUES ($1, $2, $3, $4, $5, $6, $7)";
    tx.execute_raw(sql(tx, text, values(sealer, account_id, passenger, now))).await.map(|_| ())
}

/// Writes a passenger back; `false` when it is not the account's.
pub async fn update(
    tx: &Tx,
    sealer: &Sealer,
    account_id: Uuid,
    passenger: &Passenger,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let text = "UPDATE passenger SET full_name = $3, id_type = $4, id_number_sealed = $5, birth_date = $6, changed_at_ms = $7 \
                WHERE account_id = $1 AND id = $2";
    let done = tx.execute_raw(sql(tx, text, values(sealer, account_id, passenger, now))).await?;
    Ok(done.rows_affected() == 1)
}

/// Takes a passenger for the rest of the transaction; `false` when it is not the account's.
pub async fn take(tx: &Tx, account_id: Uuid, id: Uuid, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE passenger SET changed_at_ms = $3 WHERE account_id = $1 AND id = $2";
    let values = [account_id.into(), id.into(), now.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|done| done.rows_affected() == 1)
}

/// Removes a passenger; `false` when it is not the account's.
pub async fn delete(tx: &Tx, account_id: Uuid, id: Uuid) -> Result<bool, DbErr> {
    let text = "DELETE FROM passenger WHERE account_id = $1 AND id = $2";
    tx.execute_raw(sql(tx, text, [account_id.into(), id.into()])).await.map(|done| done.rows_affected() == 1)
}

fn values(sealer: &Sealer, account_id: Uuid, passenger: &Passenger, now: DateTime<Utc>) -> [Value; 7] {
    [
        account_id.into(),
        passenger.id.into(),
        passenger.full_name.clone().into(),
        passenger.id_type.word().into(),
        sealer.seal(passenger.id_number.as_str()).into(),
        passenger.birth_date.to_string().into(),
        now.timestamp_millis().into(),
    ]
}
