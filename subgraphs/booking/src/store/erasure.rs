//! Bookings of people who deleted their accounts, and what user asks about people.

use berth_kernel::db::{Tx, rows_placeholder, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::contact::{ERASED_EMAIL, ERASED_NAME};

/// Nobody needs to reach the booker: the journey is over, or the money went back, or none came and none will. `$1` is now, `$2`
/// the instant before which a booking must have been given up.
const OVER: &str = "erased_at_ms IS NULL AND attention = 0 AND (state = 'REFUNDED' \
     OR (state IN ('CANCELLED', 'EXPIRED') AND state_since_ms <= $2) \
     OR (state = 'CONFIRMED' AND NOT EXISTS (SELECT 1 FROM ticket WHERE ticket.booking_id = booking.id AND valid_until_ms > $1)))";

/// A person deleted their account.
pub async fn insert(tx: &Tx, user_id: Uuid, at: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "INSERT INTO erased_person (user_id, at_ms) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING";
    tx.execute_raw(sql(tx, text, [user_id.into(), at.timestamp_millis().into()])).await.map(|_| ())
}

/// Bookings of such people that are over and still name somebody.
pub async fn list_due(
    connection: &impl ConnectionTrait,
    now: DateTime<Utc>,
    given_up_before: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    let text = format!(
        "SELECT id FROM booking WHERE user_id IN (SELECT user_id FROM erased_person) AND {OVER} ORDER BY id LIMIT {limit}"
    );
    let values = [now.timestamp_millis().into(), given_up_before.timestamp_millis().into()];
    let rows = connection.query_all_raw(sql(connection, &text, values)).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// Makes a booking nobody's: contact, passengers, the names and signed texts of its tickets. What was sold, when, and for how
/// much stays. `false`: it is not over any more, or was done before. The revision moves, so that no step writes to whom it read.
pub async fn erase(tx: &Tx, id: Uuid, now: DateTime<Utc>, given_up_before: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = format!(
        "UPDATE booking SET email = $4, phone = NULL, address = NULL, erased_at_ms = $1, revision = revision + 1 \
         WHERE id = $3 AND {OVER}"
    );
    let values = [now.timestamp_millis().into(), given_up_before.timestamp_millis().into(), id.into(), ERASED_EMAIL.into()];
    if tx.execute_raw(sql(tx, &text, values)).await?.rows_affected() != 1 {
        return Ok(false);
    }
    let parts = "UPDATE booking_part SET passenger_name = $2, passenger_sealed = '' WHERE booking_id = $1";
    tx.execute_raw(sql(tx, parts, [id.into(), ERASED_NAME.into()])).await?;
    let tickets = "UPDATE ticket SET passenger_name = $2, document = '' WHERE booking_id = $1";
    tx.execute_raw(sql(tx, tickets, [id.into(), ERASED_NAME.into()])).await?;
    Ok(true)
}

/// How many bookings of a person are unfinished: may still be paid, are worked on, or have a journey to come.
pub async fn count_open(connection: &impl ConnectionTrait, user_id: Uuid, now: DateTime<Utc>) -> Result<i64, DbErr> {
    let text = "SELECT COUNT(*) AS total FROM booking WHERE user_id = $1 AND (attention = 1 \
                OR state IN ('CONFIRMING', 'REFUND_PENDING') OR (state = 'PENDING_PAYMENT' AND expires_at_ms > $2) \
                OR (state = 'CONFIRMED' AND EXISTS \
                (SELECT 1 FROM ticket WHERE ticket.booking_id = booking.id AND valid_until_ms > $2)))";
    let row = connection.query_one_raw(sql(connection, text, [user_id.into(), now.timestamp_millis().into()])).await?;
    row.map_or(Ok(0), |row| row.try_get("", "total"))
}

/// The sealed passengers of these bookings, by part; empty where they were erased.
pub async fn list_sealed(connection: &impl ConnectionTrait, booking_ids: &[Uuid]) -> Result<Vec<(Uuid, String)>, DbErr> {
    if booking_ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT id, passenger_sealed FROM booking_part WHERE booking_id IN {}",
        rows_placeholder(1, booking_ids.len(), 1)
    );
    let rows = connection.query_all_raw(sql(connection, &text, booking_ids.iter().map(|id| (*id).into()))).await?;
    rows.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "passenger_sealed")?))).collect()
}
