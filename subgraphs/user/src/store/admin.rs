//! Accounts as admins see and change them.

use berth_kernel::db::{Tx, locked, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::{
    account::Standing,
    account_card::{AccountCard, CardFilter, Search, Stretch},
    role::Role,
};

const SELECT: &str = "SELECT id, email, role, suspended_at_ms, full_name, phone, created_at_ms, \
                      (SELECT file FROM avatar WHERE avatar.account_id = account.id) AS avatar_file FROM account WHERE ";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    email: String,
    role: String,
    suspended_at_ms: Option<i64>,
    full_name: Option<String>,
    phone: Option<String>,
    avatar_file: Option<String>,
    created_at_ms: i64,
}

impl TryFrom<Row> for AccountCard {
    type Error = DbErr;

    fn try_from(row: Row) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            email: super::address(row.email),
            standing: super::standing(&row.role, row.suspended_at_ms)?,
            full_name: row.full_name,
            phone: row.phone,
            avatar_file: row.avatar_file,
            created_at: super::instant(row.created_at_ms)?,
        })
    }
}

async fn some(connection: &impl ConnectionTrait, condition: &str, values: Vec<Value>) -> Result<Vec<AccountCard>, DbErr> {
    let statement = sql(connection, &format!("{SELECT}{condition}"), values);
    let rows = Row::find_by_statement(statement).all(connection).await?;
    rows.into_iter().map(AccountCard::try_from).collect()
}

/// The account with this key.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<AccountCard>, DbErr> {
    Ok(some(connection, "id = $1", vec![id.into()]).await?.pop())
}

/// The account of this address.
pub async fn find_by_email(connection: &impl ConnectionTrait, email: &str) -> Result<Option<AccountCard>, DbErr> {
    Ok(some(connection, "email = $1", vec![email.into()]).await?.pop())
}

/// A stretch of the accounts, in the order in which it was asked for.
pub async fn list(connection: &impl ConnectionTrait, filter: &CardFilter, stretch: Stretch) -> Result<Vec<AccountCard>, DbErr> {
    let count = i64::try_from(stretch.count).unwrap_or(i64::MAX);
    let mut values: Vec<Value> = vec![stretch.newer_than.into(), stretch.older_than.into(), count.into()];
    let mut conditions = vec!["id > $1 AND id < $2".to_owned()];
    if let Some(role) = filter.role {
        values.push(role.word().into());
        conditions.push(format!("role = ${}", values.len()));
    }
    if let Some(suspended) = filter.suspended {
        conditions.push(format!("suspended_at_ms IS {}", if suspended { "NOT NULL" } else { "NULL" }));
    }
    if let Some(search) = &filter.search {
        values.push(containing(search).into());
        let pattern = format!("LIKE ${} ESCAPE '!'", values.len());
        conditions.push(format!("(email {pattern} OR LOWER(full_name) {pattern})"));
    }
    let order = if stretch.from_the_end { "ASC" } else { "DESC" };
    some(connection, &format!("{} ORDER BY id {order} LIMIT $3", conditions.join(" AND ")), values).await
}

/// The pattern of texts that contain this one, whatever signs it has.
fn containing(search: &Search) -> String {
    let plain = search.as_str().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{plain}%")
}

/// All admins that are not suspended, oldest first.
pub async fn admins(connection: &impl ConnectionTrait) -> Result<Vec<AccountCard>, DbErr> {
    some(connection, "role = 'ADMIN' AND suspended_at_ms IS NULL ORDER BY id", vec![]).await
}

/// What an account may do, kept as it is until the transaction ends.
pub async fn standing_locked(tx: &Tx, id: Uuid) -> Result<Option<Standing>, DbErr> {
    let text = format!("SELECT role, suspended_at_ms FROM account WHERE id = $1{}", locked(tx));
    let Some(row) = tx.query_one_raw(sql(tx, &text, [id.into()])).await? else { return Ok(None) };
    super::standing(&row.try_get::<String>("", "role")?, row.try_get("", "suspended_at_ms")?).map(Some)
}

/// What an account may do.
pub async fn standing(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Standing>, DbErr> {
    Ok(find(connection, id).await?.map(|card| card.standing))
}

/// Gives an account another role.
pub async fn set_role(tx: &Tx, id: Uuid, role: Role, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "UPDATE account SET role = $2, changed_at_ms = $3 WHERE id = $1";
    tx.execute_raw(sql(tx, text, [id.into(), role.word().into(), now.timestamp_millis().into()])).await.map(|_| ())
}

/// Suspends an account, or ends its suspension.
pub async fn set_suspended(tx: &Tx, id: Uuid, since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "UPDATE account SET suspended_at_ms = $2, changed_at_ms = $3 WHERE id = $1";
    let since = since.map(|since| since.timestamp_millis());
    tx.execute_raw(sql(tx, text, [id.into(), since.into(), now.timestamp_millis().into()])).await.map(|_| ())
}
