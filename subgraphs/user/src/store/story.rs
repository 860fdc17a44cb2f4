//! What the rows know of who bought. Only reads, and nothing personal.

use berth_contracts::Kind;
use berth_kernel::{
    db::sql,
    story::{Line, instant},
};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

/// Whether the account is there, and since when.
pub async fn lines(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Vec<Line>, DbErr> {
    let name = Kind::User.encode(user_id);
    let account = "SELECT created_at_ms, suspended_at_ms FROM account WHERE id = $1";
    let Some(row) = connection.query_one_raw(sql(connection, account, [user_id.into()])).await? else {
        return Ok(vec![Line::now(format!("{name} has no account any more"))]);
    };
    let suspended: Option<i64> = row.try_get("", "suspended_at_ms")?;
    let now = suspended.map_or("has an account".to_owned(), |at| format!("is suspended since {}", instant(at)));
    Ok(vec![Line::at(row.try_get("", "created_at_ms")?, format!("{name} signed up")), Line::now(format!("{name} {now}"))])
}
