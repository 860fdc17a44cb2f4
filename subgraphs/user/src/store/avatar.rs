//! Pictures of people.

use berth_kernel::db::{Tx, sql};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::avatar::Avatar;

#[derive(FromQueryResult)]
struct Row {
    file: String,
    image: Vec<u8>,
    created_at_ms: i64,
}

/// The picture of an account.
pub async fn of_account(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<Avatar>, DbErr> {
    let text = "SELECT file, image, created_at_ms FROM avatar WHERE account_id = $1";
    let row = Row::find_by_statement(sql(connection, text, [account_id.into()])).one(connection).await?;
    let read = |row: Row| Ok(Avatar { file: row.file, image: row.image, created_at: super::instant(row.created_at_ms)? });
    row.map(read).transpose()
}

/// The name of the file of an account's picture.
pub async fn file_of(connection: &impl ConnectionTrait, account_id: Uuid) -> Result<Option<String>, DbErr> {
    let statement = sql(connection, "SELECT file FROM avatar WHERE account_id = $1", [account_id.into()]);
    connection.query_one_raw(statement).await?.map(|row| row.try_get("", "file")).transpose()
}

/// The file with this name.
pub async fn find(connection: &impl ConnectionTrait, file: &str) -> Result<Option<Vec<u8>>, DbErr> {
    let statement = sql(connection, "SELECT image FROM avatar WHERE file = $1", [file.into()]);
    connection.query_one_raw(statement).await?.map(|row| row.try_get("", "image")).transpose()
}

/// Whether there is a file with this name.
pub async fn exists(connection: &impl ConnectionTrait, file: &str) -> Result<bool, DbErr> {
    let statement = sql(connection, "SELECT 1 AS one FROM avatar WHERE file = $1", [file.into()]);
    connection.query_one_raw(statement).await.map(|row| row.is_some())
}

/// Keeps the picture of an account, in place of an older one.
pub async fn put(tx: &Tx, account_id: Uuid, avatar: &Avatar) -> Result<(), DbErr> {
    let text = "INSERT INTO avatar (account_id, file, image, created_at_ms) VALUES ($1, $2, $3, $4) ON CONFLICT (account_id) \
                DO UPDATE SET file = excluded.file, image = excluded.image, created_at_ms = excluded.created_at_ms";
    let values: [Value; 4] =
        [account_id.into(), avatar.file.clone().into(), avatar.image.clone().into(), avatar.created_at.timestamp_millis().into()];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// Removes the picture of an account, if there is one.
pub async fn delete(tx: &Tx, account_id: Uuid) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "DELETE FROM avatar WHERE account_id = $1", [account_id.into()])).await.map(|_| ())
}
