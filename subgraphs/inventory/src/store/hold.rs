//! Holds and their seats in the database.

use berth_contracts::{Currency, Money, id::TripKey};
use berth_kernel::db::{Tx, rows_placeholder, skip_locked, sql, table};
use chrono::DateTime;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::small;
use crate::hold::{HeldItem, Hold, HoldStatus};

const COLUMNS: &str = "h.id, h.user_id, h.status, h.booking_id, h.total_minor, h.currency, h.expires_at_ms, h.created_at_ms, \
     h.extended, i.id AS item_id, i.occurrence_id, i.template, i.day, i.spot_no, i.from_stop, i.to_stop, i.price_minor, \
     i.currency AS price_currency";

/// Inserts holds that were placed at one instant, but none whose owner has that many active ones already. `false`: some
/// were not inserted; the caller must undo the whole. No two may have one owner.
pub async fn insert(tx: &Tx, holds: &[&Hold], max_active: u32) -> Result<bool, DbErr> {
    let Some(first) = holds.first() else { return Ok(true) };
    let mut values: Vec<Value> = vec![
        first.expires_at.timestamp_millis().into(),
        first.created_at.timestamp_millis().into(),
        i64::from(max_active).into(),
    ];
    let row = |hold: &&Hold| -> [Value; 4] {
        [hold.id.into(), hold.user_id.into(), hold.total.amount_minor.into(), hold.total.currency.code().into()]
    };
    let rows = table(tx, "v", holds.iter().map(row), &mut values);
    // `+ 0` keeps planners off the index of deadlines: a person has few holds, everybody together many.
    let text = format!(
        "INSERT INTO hold (id, user_id, status, booking_id, total_minor, currency, expires_at_ms, created_at_ms, extended) \
         SELECT v.column1, v.column2, 0, NULL, v.column3, v.column4, $1, $2, 0 FROM {rows} \
         WHERE (SELECT COUNT(*) FROM hold active WHERE active.user_id = v.column2 AND active.status = 0 \
         AND active.expires_at_ms + 0 > $2) < $3"
    );
    let inserted = tx.execute_raw(sql(tx, &text, values)).await?.rows_affected();
    Ok(usize::try_from(inserted).is_ok_and(|inserted| inserted == holds.len()))
}

/// Inserts the holds' seats.
pub async fn insert_items(tx: &Tx, holds: &[&Hold]) -> Result<(), DbErr> {
    let row = |(hold, item): (&&Hold, &HeldItem)| -> [Value; 10] {
        [
            hold.id.into(),
            item.id.into(),
            item.occurrence_id.into(),
            item.trip.template.into(),
            i32::from(item.trip.day).into(),
            i32::from(item.spot_no).into(),
            i32::from(item.from_stop).into(),
            i32::from(item.to_stop).into(),
            item.price.amount_minor.into(),
            item.price.currency.code().into(),
        ]
    };
    let items = holds.iter().flat_map(|hold| hold.items.iter().map(move |item| (hold, item)));
    let mut values = Vec::new();
    let rows = table(tx, "v", items.map(row), &mut values);
    let text = format!(
        "INSERT INTO hold_item (hold_id, id, occurrence_id, template, day, spot_no, from_stop, to_stop, price_minor, currency) \
         SELECT * FROM {rows}"
    );
    tx.execute_raw(sql(tx, &text, values)).await.map(|_| ())
}

/// The hold with this key.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Hold>, DbErr> {
    list(connection, &[id]).await.map(|mut holds| holds.pop())
}

/// Those of the holds that exist, by key.
pub async fn list(connection: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Hold>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT {COLUMNS} FROM hold h JOIN hold_item i ON i.hold_id = h.id WHERE h.id IN {} ORDER BY h.id, i.id",
        rows_placeholder(1, ids.len(), 1)
    );
    let rows = connection.query_all_raw(sql(connection, &text, ids.iter().map(|&id| Value::from(id)))).await?;
    let mut holds: Vec<Hold> = Vec::with_capacity(ids.len());
    for row in &rows {
        let id: Uuid = row.try_get("", "id")?;
        let item = item(row)?;
        match holds.last_mut() {
            Some(hold) if hold.id == id => hold.items.push(item),
            _ => holds.push(hold(row, id, item)?),
        }
    }
    Ok(holds)
}

/// The active holds of a person. They are few.
pub async fn list_active_of(connection: &impl ConnectionTrait, user_id: Uuid) -> Result<Vec<Hold>, DbErr> {
    let text = "SELECT id FROM hold WHERE user_id = $1 AND status = 0";
    let rows = connection.query_all_raw(sql(connection, text, [user_id.into()])).await?;
    let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, DbErr>>()?;
    list(connection, &ids).await
}

/// The hold with this key, locked until the transaction ends: changes of one hold come one after the other.
pub async fn lock(tx: &Tx, id: Uuid) -> Result<Option<Hold>, DbErr> {
    tx.execute_raw(sql(tx, "UPDATE hold SET extended = extended WHERE id = $1", [id.into()])).await?;
    find(tx, id).await
}

/// Whether any hold's deadline has passed without its being swept.
pub async fn any_due(connection: &impl ConnectionTrait, now_ms: i64) -> Result<bool, DbErr> {
    let text = "SELECT 1 AS due FROM hold WHERE status = 0 AND expires_at_ms <= $1 LIMIT 1";
    Ok(connection.query_one_raw(sql(connection, text, [now_ms.into()])).await?.is_some())
}

/// Marks up to `limit` holds whose deadline has passed as EXPIRED, the oldest first, and answers them. Those that another
/// transaction is changing are left to it.
pub async fn mark_due_expired(tx: &Tx, now_ms: i64, limit: u64) -> Result<Vec<Hold>, DbErr> {
    let text = format!(
        "WITH due AS MATERIALIZED (SELECT id FROM hold WHERE status = 0 AND expires_at_ms <= $1 ORDER BY expires_at_ms LIMIT $2{}) \
         UPDATE hold SET status = 3 WHERE id IN (SELECT id FROM due) AND status = 0 AND expires_at_ms <= $1 RETURNING id",
        skip_locked(tx)
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = tx.query_all_raw(sql(tx, &text, [now_ms.into(), limit.into()])).await?;
    let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, DbErr>>()?;
    list(tx, &ids).await
}

/// Sets what of a hold can change.
pub async fn update(tx: &Tx, hold: &Hold) -> Result<(), DbErr> {
    let text = "UPDATE hold SET status = $2, booking_id = $3, expires_at_ms = $4, extended = $5 WHERE id = $1";
    let values = [
        hold.id.into(),
        hold.stored_status.number().into(),
        hold.booking_id.into(),
        hold.expires_at.timestamp_millis().into(),
        i32::from(hold.extended).into(),
    ];
    let done = tx.execute_raw(sql(tx, text, values)).await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(DbErr::RecordNotUpdated) }
}

fn hold(row: &QueryResult, id: Uuid, item: HeldItem) -> Result<Hold, DbErr> {
    Ok(Hold {
        id,
        user_id: row.try_get("", "user_id")?,
        stored_status: HoldStatus::from_number(row.try_get("", "status")?),
        booking_id: row.try_get("", "booking_id")?,
        total: money(row, "total_minor", "currency")?,
        expires_at: instant(row, "expires_at_ms")?,
        created_at: instant(row, "created_at_ms")?,
        extended: row.try_get::<i32>("", "extended")? != 0,
        items: vec![item],
    })
}

fn item(row: &QueryResult) -> Result<HeldItem, DbErr> {
    Ok(HeldItem {
        id: row.try_get("", "item_id")?,
        occurrence_id: row.try_get("", "occurrence_id")?,
        trip: TripKey { template: row.try_get("", "template")?, day: small(row, "day")? },
        spot_no: small(row, "spot_no")?,
        from_stop: small(row, "from_stop")?,
        to_stop: small(row, "to_stop")?,
        price: money(row, "price_minor", "price_currency")?,
    })
}

fn money(row: &QueryResult, amount: &str, currency: &str) -> Result<Money, DbErr> {
    let code: String = row.try_get("", currency)?;
    let currency = Currency::parse(&code).map_err(|error| DbErr::Type(format!("{code}: {error}")))?;
    Ok(Money::new(row.try_get("", amount)?, currency))
}

fn instant(row: &QueryResult, column: &str) -> Result<DateTime<chrono::Utc>, DbErr> {
    let ms: i64 = row.try_get("", column)?;
    DateTime::from_timestamp_millis(ms).ok_or_else(|| DbErr::Type(format!("{column} is {ms}")))
}
