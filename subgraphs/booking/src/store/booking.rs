//! Rows of bookings.

use berth_contracts::Locale;
use berth_kernel::db::{Tx, locked, rows_placeholder, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::{Position, corrupt, instant, money};
use crate::{
    booking::{Booking, State, Status},
    contact::Contact,
};

const COLUMNS: &str = "id, code, user_id, hold_id, email, phone, address, total_minor, currency, created_at_ms, expires_at_ms, \
                       state, state_since_ms, revision, attention, late, paid_by, cleanup_due, attempts, next_attempt_at_ms, locale";
const COLUMN_COUNT: usize = 21;

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    code: String,
    user_id: Uuid,
    hold_id: Uuid,
    email: String,
    phone: Option<String>,
    address: Option<String>,
    total_minor: i64,
    currency: String,
    created_at_ms: i64,
    expires_at_ms: i64,
    state: String,
    state_since_ms: i64,
    revision: i64,
    attention: i32,
    late: i32,
    paid_by: Option<Uuid>,
    cleanup_due: i32,
    attempts: i32,
    next_attempt_at_ms: Option<i64>,
    locale: String,
}

impl TryFrom<Row> for Booking {
    type Error = DbErr;

    fn try_from(row: Row) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            code: row.code,
            user_id: row.user_id,
            hold_id: row.hold_id,
            contact: Contact {
                email: row.email,
                phone: row.phone,
                address: row.address,
                locale: Locale::from_word(&row.locale).unwrap_or_default(),
            },
            total: money(row.total_minor, &row.currency)?,
            created_at: instant(row.created_at_ms)?,
            expires_at: instant(row.expires_at_ms)?,
            state: State::parse(&row.state).ok_or_else(|| corrupt("state of a booking"))?,
            state_since: instant(row.state_since_ms)?,
            revision: row.revision,
            attention: row.attention != 0,
            late: row.late != 0,
            paid_by: row.paid_by,
            cleanup_due: row.cleanup_due != 0,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at_ms.map(instant).transpose()?,
        })
    }
}

async fn select(connection: &impl ConnectionTrait, rest: &str, values: Vec<Value>) -> Result<Vec<Booking>, DbErr> {
    let text = format!("SELECT {COLUMNS} FROM booking WHERE {rest}");
    let rows = Row::find_by_statement(sql(connection, &text, values)).all(connection).await?;
    rows.into_iter().map(Booking::try_from).collect()
}

/// The booking with this key, whoever owns it.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Booking>, DbErr> {
    Ok(select(connection, "id = $1", vec![id.into()]).await?.pop())
}

/// The booking with this key, as nobody else can change it until the transaction ends.
pub async fn find_locked(tx: &Tx, id: Uuid) -> Result<Option<Booking>, DbErr> {
    Ok(select(tx, &format!("id = $1{}", locked(tx)), vec![id.into()]).await?.pop())
}

/// Those of the bookings that belong to the user.
pub async fn list_owned(connection: &impl ConnectionTrait, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Booking>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rest = format!("user_id = $1 AND id IN {}", rows_placeholder(1, ids.len(), 2));
    let values = std::iter::once(user_id.into()).chain(ids.iter().map(|id| (*id).into())).collect();
    select(connection, &rest, values).await
}

/// A page of a user's bookings, newest first, at most `limit`; only those that show one of `statuses` when any is given.
pub async fn list(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    statuses: &[Status],
    now: DateTime<Utc>,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Booking>, DbErr> {
    let (mut rest, mut values) = shown(user_id, statuses, now);
    if let Some(Position { at_ms, id }) = after {
        let (at, key) = (values.len() + 1, values.len() + 2);
        rest = format!("{rest} AND (created_at_ms < ${at} OR (created_at_ms = ${at} AND id < ${key}))");
        values.extend([at_ms.into(), id.into()]);
    }
    rest = format!("{rest} ORDER BY created_at_ms DESC, id DESC LIMIT {limit}");
    select(connection, &rest, values).await
}

/// How many bookings [`list`] has over all pages.
pub async fn count(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    statuses: &[Status],
    now: DateTime<Utc>,
) -> Result<i64, DbErr> {
    let (rest, values) = shown(user_id, statuses, now);
    let text = format!("SELECT COUNT(*) AS total FROM booking WHERE {rest}");
    let row = connection.query_one_raw(sql(connection, &text, values)).await?;
    row.map_or(Ok(0), |row| row.try_get("", "total"))
}

/// The condition for a user's bookings that show one of these statuses now.
fn shown(user_id: Uuid, statuses: &[Status], now: DateTime<Utc>) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = vec![user_id.into()];
    if statuses.is_empty() {
        return ("user_id = $1".to_owned(), values);
    }
    values.push(now.timestamp_millis().into());
    let any: Vec<_> = statuses.iter().map(|status| condition(*status)).collect();
    // The first half uses the second value in every case: a value nobody uses is an error on PostgreSQL.
    (format!("user_id = $1 AND CAST($2 AS BIGINT) IS NOT NULL AND ({})", any.join(" OR ")), values)
}

fn condition(status: Status) -> String {
    match status {
        Status::PendingPayment => "(state = 'PENDING_PAYMENT' AND attention = 0 AND expires_at_ms > $2)".to_owned(),
        Status::Expired => {
            "(attention = 0 AND (state = 'EXPIRED' OR (state = 'PENDING_PAYMENT' AND expires_at_ms <= $2)))".to_owned()
        }
        Status::NeedsAttention => "attention = 1".to_owned(),
        other => format!("(state = '{}' AND attention = 0)", other.name()),
    }
}

/// Adds a booking. `false`: its hold made a booking before, or its code is taken.
pub async fn insert(tx: &Tx, booking: &Booking) -> Result<bool, DbErr> {
    let text = format!("INSERT INTO booking ({COLUMNS}) VALUES {} ON CONFLICT DO NOTHING", rows_placeholder(1, COLUMN_COUNT, 1));
    let mut values: Vec<Value> = vec![
        booking.id.into(),
        booking.code.clone().into(),
        booking.user_id.into(),
        booking.hold_id.into(),
        booking.contact.email.clone().into(),
        booking.contact.phone.clone().into(),
        booking.contact.address.clone().into(),
        booking.total.amount_minor.into(),
        booking.total.currency.code().into(),
        booking.created_at.timestamp_millis().into(),
    ];
    let [expires, state, since, rest @ ..] = changing(booking);
    values.extend([expires, state, since, booking.revision.into()]);
    values.extend(rest);
    values.push(booking.contact.locale.word().into());
    Ok(tx.execute_raw(sql(tx, &text, values)).await?.rows_affected() == 1)
}

/// The columns that the saga changes, in the table's order, without the revision.
fn changing(booking: &Booking) -> [Value; 9] {
    [
        booking.expires_at.timestamp_millis().into(),
        booking.state.name().into(),
        booking.state_since.timestamp_millis().into(),
        i32::from(booking.attention).into(),
        i32::from(booking.late).into(),
        booking.paid_by.into(),
        i32::from(booking.cleanup_due).into(),
        booking.attempts.into(),
        booking.next_attempt_at.map(|at| at.timestamp_millis()).into(),
    ]
}

/// Writes the saga's columns, if nobody has since the booking was read. `false`: somebody has.
pub async fn save(tx: &Tx, booking: &Booking) -> Result<bool, DbErr> {
    let text = "UPDATE booking SET expires_at_ms = $1, state = $2, state_since_ms = $3, attention = $4, late = $5, paid_by = $6, \
                cleanup_due = $7, attempts = $8, next_attempt_at_ms = $9, revision = revision + 1 WHERE id = $10 AND revision = $11";
    let values = changing(booking).into_iter().chain([booking.id.into(), booking.revision.into()]);
    Ok(tx.execute_raw(sql(tx, text, values)).await?.rows_affected() == 1)
}

/// Makes the booking due now. The revision moves too, so that a step which has not seen the news can't put it off again.
pub async fn nudge(tx: &Tx, id: Uuid, now: DateTime<Utc>) -> Result<(), DbErr> {
    let text = "UPDATE booking SET next_attempt_at_ms = $1, attempts = 0, revision = revision + 1 WHERE id = $2";
    tx.execute_raw(sql(tx, text, [now.timestamp_millis().into(), id.into()])).await.map(|_| ())
}

/// Keys of bookings that are due, the longest waiting first.
pub async fn list_due(connection: &impl ConnectionTrait, now: DateTime<Utc>, limit: u64) -> Result<Vec<Uuid>, DbErr> {
    let text = format!("SELECT id FROM booking WHERE next_attempt_at_ms <= $1 ORDER BY next_attempt_at_ms LIMIT {limit}");
    let rows = connection.query_all_raw(sql(connection, &text, [now.timestamp_millis().into()])).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// How many bookings show each status; those that need attention show that.
pub async fn count_by_state(connection: &impl ConnectionTrait) -> Result<Vec<(String, i64)>, DbErr> {
    let text = "SELECT shown, COUNT(*) AS total FROM \
                (SELECT CASE WHEN attention = 1 THEN 'NEEDS_ATTENTION' ELSE state END AS shown FROM booking) AS b GROUP BY shown";
    let rows = connection.query_all_raw(sql(connection, text, [])).await?;
    rows.iter().map(|row| Ok((row.try_get("", "shown")?, row.try_get("", "total")?))).collect()
}
