//! The audit log. The database refuses to change or remove a row.

use berth_kernel::db::{Tx, sql};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::audit_entry::{Entry, EntryFilter, GENESIS};

#[derive(FromQueryResult)]
struct Row {
    seq: i64,
    at_ms: i64,
    actor_id: Option<Uuid>,
    action: String,
    subject_id: Option<Uuid>,
    details: String,
    previous: String,
    hash: String,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        let Row { seq, at_ms, actor_id, action, subject_id, details, previous, hash } = row;
        Self { seq, at_ms, actor_id, action, subject_id, details, previous, hash }
    }
}

/// Number and hash of the newest entry. Ask within a transaction that has the log for itself.
pub async fn head(tx: &Tx) -> Result<(i64, String), DbErr> {
    let statement = sql(tx, "SELECT seq, hash FROM audit_entry ORDER BY seq DESC LIMIT 1", []);
    let Some(row) = tx.query_one_raw(statement).await? else { return Ok((0, GENESIS.to_owned())) };
    Ok((row.try_get("", "seq")?, row.try_get("", "hash")?))
}

/// Adds an entry.
pub async fn insert(tx: &Tx, entry: &Entry) -> Result<(), DbErr> {
    let text = "INSERT INTO audit_entry (seq, at_ms, actor_id, action, subject_id, details, previous, hash) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values: [Value; 8] = [
        entry.seq.into(),
        entry.at_ms.into(),
        entry.actor_id.into(),
        entry.action.clone().into(),
        entry.subject_id.into(),
        entry.details.clone().into(),
        entry.previous.clone().into(),
        entry.hash.clone().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// Entries from the oldest on: at most `count` after the one with this number.
pub async fn list_after(connection: &impl ConnectionTrait, seq: i64, count: i64) -> Result<Vec<Entry>, DbErr> {
    some(connection, "seq > $1 ORDER BY seq LIMIT $2", vec![seq.into(), count.into()]).await
}

/// Entries from the newest on: at most `count` before the one with this number.
pub async fn list_before(
    connection: &impl ConnectionTrait,
    filter: EntryFilter,
    seq: i64,
    count: u64,
) -> Result<Vec<Entry>, DbErr> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut values: Vec<Value> = vec![seq.into(), count.into()];
    let mut conditions = vec!["seq < $1".to_owned()];
    let wanted: [(&str, Option<Value>); 3] = [
        ("actor_id", filter.actor_id.map(Value::from)),
        ("subject_id", filter.subject_id.map(Value::from)),
        ("action", filter.action.map(|action| action.word().into())),
    ];
    for (column, value) in wanted.into_iter().filter_map(|(column, value)| Some((column, value?))) {
        values.push(value);
        conditions.push(format!("{column} = ${}", values.len()));
    }
    some(connection, &format!("{} ORDER BY seq DESC LIMIT $2", conditions.join(" AND ")), values).await
}

async fn some(connection: &impl ConnectionTrait, condition: &str, values: Vec<Value>) -> Result<Vec<Entry>, DbErr> {
    let text =
        format!("SELECT seq, at_ms, actor_id, action, subject_id, details, previous, hash FROM audit_entry WHERE {condition}");
    let rows = Row::find_by_statement(sql(connection, &text, values)).all(connection).await?;
    Ok(rows.into_iter().map(Entry::from).collect())
}
