//! Payments and their history.

use berth_contracts::{Currency, Money};
use berth_kernel::db::{rows_placeholder, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use super::{instant, instant_null, ms, unreadable};
use crate::payment::{Event, Payment, Status};

const COLUMNS: &str = "id, booking_id, user_id, booking_code, status, amount_minor, currency, method, acquirer, provider, attempt, \
                       transaction_id, qris_payload, expires_at_ms, paid_at_ms, refunded_minor, close_requested, created_at_ms, \
                       next_poll_at_ms, version";
const COLUMN_COUNT: usize = 20;

fn status(row: &QueryResult) -> Result<Status, DbErr> {
    let name: String = row.try_get("", "status")?;
    Status::parse(&name).ok_or_else(|| unreadable("status", &name))
}

fn read(row: &QueryResult) -> Result<Payment, DbErr> {
    let currency: String = row.try_get("", "currency")?;
    let currency = Currency::parse(&currency).map_err(|_| unreadable("currency", &currency))?;
    Ok(Payment {
        id: row.try_get("", "id")?,
        booking_id: row.try_get("", "booking_id")?,
        user_id: row.try_get("", "user_id")?,
        booking_code: row.try_get("", "booking_code")?,
        status: status(row)?,
        amount: Money::new(row.try_get("", "amount_minor")?, currency),
        method: row.try_get("", "method")?,
        acquirer: row.try_get("", "acquirer")?,
        provider: row.try_get("", "provider")?,
        attempt: row.try_get("", "attempt")?,
        transaction_id: row.try_get("", "transaction_id")?,
        qris_payload: row.try_get("", "qris_payload")?,
        expires_at: instant(row, "expires_at_ms")?,
        paid_at: instant_null(row, "paid_at_ms")?,
        refunded_minor: row.try_get("", "refunded_minor")?,
        close_requested: row.try_get::<i64>("", "close_requested")? != 0,
        created_at: instant(row, "created_at_ms")?,
        next_poll_at: instant_null(row, "next_poll_at_ms")?,
        version: row.try_get("", "version")?,
    })
}

async fn list(connection: &impl ConnectionTrait, rest: &str, values: Vec<Value>) -> Result<Vec<Payment>, DbErr> {
    let text = format!("SELECT {COLUMNS} FROM payment {rest}");
    connection.query_all_raw(sql(connection, &text, values)).await?.iter().map(read).collect()
}

/// Whoever it belongs to.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Payment>, DbErr> {
    Ok(list(connection, "WHERE id = $1", vec![id.into()]).await?.pop())
}

/// Those of these payments that are the user's.
pub async fn list_owned(connection: &impl ConnectionTrait, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Payment>, DbErr> {
    let rest = format!("WHERE user_id = $1 AND id IN {}", rows_placeholder(1, ids.len(), 2));
    list(connection, &rest, owned(user_id, ids)).await
}

/// The user's payments of these bookings, oldest first.
pub async fn list_of_bookings(connection: &impl ConnectionTrait, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Payment>, DbErr> {
    let rest = format!("WHERE user_id = $1 AND booking_id IN {} ORDER BY created_at_ms, id", rows_placeholder(1, ids.len(), 2));
    list(connection, &rest, owned(user_id, ids)).await
}

fn owned(user_id: Uuid, ids: &[Uuid]) -> Vec<Value> {
    std::iter::once(user_id).chain(ids.iter().copied()).map(Value::from).collect()
}

/// Payments of a person after `after`, at most `limit`. Keys are UUID v7: their order is that of their making.
pub async fn list_of_user(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Payment>, DbErr> {
    let rest = "WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    list(connection, rest, vec![user_id.into(), after.into(), limit.into()]).await
}

/// Every payment of a booking, oldest first.
pub async fn list_of_booking(connection: &impl ConnectionTrait, booking_id: Uuid) -> Result<Vec<Payment>, DbErr> {
    list(connection, "WHERE booking_id = $1 ORDER BY created_at_ms, id", vec![booking_id.into()]).await
}

/// Payments whose provider must be asked, the longest waiting first.
pub async fn list_due(connection: &impl ConnectionTrait, now: DateTime<Utc>, limit: i64) -> Result<Vec<Payment>, DbErr> {
    let rest = "WHERE next_poll_at_ms <= $1 ORDER BY next_poll_at_ms LIMIT $2";
    list(connection, rest, vec![now.timestamp_millis().into(), limit.into()]).await
}

/// A new payment. The second open one of a booking is a unique violation.
pub async fn insert(connection: &impl ConnectionTrait, payment: &Payment) -> Result<(), DbErr> {
    let text = format!("INSERT INTO payment ({COLUMNS}) VALUES {}", rows_placeholder(1, COLUMN_COUNT, 1));
    let values: Vec<Value> = vec![
        payment.id.into(),
        payment.booking_id.into(),
        payment.user_id.into(),
        payment.booking_code.clone().into(),
        payment.status.name().into(),
        payment.amount.amount_minor.into(),
        payment.amount.currency.code().into(),
        payment.method.clone().into(),
        payment.acquirer.clone().into(),
        payment.provider.clone().into(),
        payment.attempt.into(),
        payment.transaction_id.clone().into(),
        payment.qris_payload.clone().into(),
        payment.expires_at.timestamp_millis().into(),
        ms(payment.paid_at).into(),
        payment.refunded_minor.into(),
        i64::from(payment.close_requested).into(),
        payment.created_at.timestamp_millis().into(),
        ms(payment.next_poll_at).into(),
        payment.version.into(),
    ];
    connection.execute_raw(sql(connection, &text, values)).await.map(|_| ())
}

/// Stores what can change and counts the version up. `false`: somebody else changed it since it was read.
pub async fn save(connection: &impl ConnectionTrait, payment: &mut Payment) -> Result<bool, DbErr> {
    let text = "UPDATE payment SET status = $1, attempt = $2, transaction_id = $3, qris_payload = $4, paid_at_ms = $5, refunded_minor = $6, \
                close_requested = $7, next_poll_at_ms = $8, version = version + 1 WHERE id = $9 AND version = $10";
    let values: Vec<Value> = vec![
        payment.status.name().into(),
        payment.attempt.into(),
        payment.transaction_id.clone().into(),
        payment.qris_payload.clone().into(),
        ms(payment.paid_at).into(),
        payment.refunded_minor.into(),
        i64::from(payment.close_requested).into(),
        ms(payment.next_poll_at).into(),
        payment.id.into(),
        payment.version.into(),
    ];
    payment.version += 1;
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// Moves the next look of a due payment. `false`: another worker took it.
pub async fn claim_poll(
    connection: &impl ConnectionTrait,
    payment: &Payment,
    next: Option<DateTime<Utc>>,
) -> Result<bool, DbErr> {
    let text = "UPDATE payment SET next_poll_at_ms = $1 WHERE id = $2 AND next_poll_at_ms = $3";
    let values = [ms(next).into(), payment.id.into(), ms(payment.next_poll_at).into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected() == 1)
}

/// Asks that a booking's open payments be closed at the provider, at once. Returns how many.
pub async fn mark_closing(connection: &impl ConnectionTrait, booking_id: Uuid, now: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "UPDATE payment SET close_requested = 1, next_poll_at_ms = $1, version = version + 1 \
                WHERE booking_id = $2 AND close_requested = 0 AND status IN ('CREATED', 'PENDING', 'AUTHORIZED')";
    let values = [now.timestamp_millis().into(), booking_id.into()];
    Ok(connection.execute_raw(sql(connection, text, values)).await?.rows_affected())
}

/// A line of history, under the version the payment has now.
pub async fn insert_event(
    connection: &impl ConnectionTrait,
    payment: &Payment,
    at: DateTime<Utc>,
    note: &str,
) -> Result<(), DbErr> {
    let text = "INSERT INTO payment_event (payment_id, version, at_ms, status, note) VALUES ($1, $2, $3, $4, $5)";
    let note = Some(note).filter(|note| !note.is_empty());
    let values = [
        payment.id.into(),
        payment.version.into(),
        at.timestamp_millis().into(),
        payment.status.name().into(),
        note.map(str::to_owned).into(),
    ];
    connection.execute_raw(sql(connection, text, values)).await.map(|_| ())
}

/// The histories of these payments, oldest line first.
pub async fn list_events(connection: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<(Uuid, Event)>, DbErr> {
    let text = format!(
        "SELECT payment_id, at_ms, status, note FROM payment_event WHERE payment_id IN {} ORDER BY payment_id, version",
        rows_placeholder(1, ids.len(), 1)
    );
    let values = ids.iter().copied().map(Value::from);
    let rows = connection.query_all_raw(sql(connection, &text, values)).await?;
    let event = |row: &QueryResult| {
        let event = Event { at: instant(row, "at_ms")?, status: status(row)?, note: row.try_get("", "note")? };
        Ok((row.try_get("", "payment_id")?, event))
    };
    rows.iter().map(event).collect()
}

/// How many payments are in each state.
pub async fn count_by_status(connection: &impl ConnectionTrait) -> Result<Vec<(Status, i64)>, DbErr> {
    let rows =
        connection.query_all_raw(sql(connection, "SELECT status, COUNT(*) AS total FROM payment GROUP BY status", [])).await?;
    rows.iter().map(|row| Ok((status(row)?, row.try_get("", "total")?))).collect()
}
