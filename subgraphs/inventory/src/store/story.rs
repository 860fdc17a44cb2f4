//! What the rows know of one hold. Only reads.

use berth_kernel::{
    db::sql,
    story::{Line, amount, instant},
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

const HOLD: &str = "SELECT status, total_minor, currency, expires_at_ms, created_at_ms, extended, \
     (SELECT COUNT(*) FROM hold_item i WHERE i.hold_id = h.id) AS seats, \
     (SELECT COUNT(*) FROM seat_claim c WHERE c.hold_id = h.id AND c.state = 1) AS sold FROM hold h WHERE h.id = $1";
const STATUS: [&str; 4] = ["ACTIVE", "COMMITTED", "RELEASED", "EXPIRED"];

/// What is known of it; nothing when it is gone or never was.
pub async fn lines(connection: &impl ConnectionTrait, hold_id: Uuid) -> Result<Vec<Line>, DbErr> {
    let row = connection.query_one_raw(sql(connection, HOLD, [hold_id.into()])).await?;
    row.map_or(Ok(Vec::new()), |row| of_row(&row))
}

fn of_row(row: &QueryResult) -> Result<Vec<Line>, DbErr> {
    let number = |column: &str| row.try_get::<i64>("", column);
    let currency: String = row.try_get("", "currency")?;
    let status = usize::try_from(row.try_get::<i32>("", "status")?).ok().and_then(|at| STATUS.get(at)).unwrap_or(&"unknown");
    let extended = if row.try_get::<i32>("", "extended")? == 0 { "" } else { ", extended once" };
    let placed = format!("hold placed: {} seats, {}", number("seats")?, amount(number("total_minor")?, &currency));
    let until = instant(number("expires_at_ms")?);
    let now = format!("the hold is {status}, until {until}{extended}; {} claims of seat and leg are sold", number("sold")?);
    Ok(vec![Line::at(number("created_at_ms")?, placed), Line::now(now)])
}
