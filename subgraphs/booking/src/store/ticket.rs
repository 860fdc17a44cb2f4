//! Rows of tickets.

use berth_kernel::db::{Tx, rows_placeholder, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::{Position, corrupt, instant};
use crate::ticket::{Ticket, TicketStatus, When};

const COLUMNS: &str =
    "id, booking_id, part_id, user_id, number, status, passenger_name, place, valid_from_ms, valid_until_ms, document";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    booking_id: Uuid,
    part_id: Uuid,
    user_id: Uuid,
    number: String,
    status: String,
    passenger_name: String,
    place: String,
    valid_from_ms: i64,
    valid_until_ms: i64,
    document: String,
}

impl TryFrom<Row> for Ticket {
    type Error = DbErr;

    fn try_from(row: Row) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            booking_id: row.booking_id,
            part_id: row.part_id,
            user_id: row.user_id,
            number: row.number,
            status: TicketStatus::parse(&row.status).ok_or_else(|| corrupt("status of a ticket"))?,
            passenger_name: row.passenger_name,
            place: serde_json::from_str(&row.place).map_err(|_| corrupt("place"))?,
            valid_from: instant(row.valid_from_ms)?,
            valid_until: instant(row.valid_until_ms)?,
            document: row.document,
        })
    }
}

async fn select(connection: &impl ConnectionTrait, rest: &str, values: Vec<Value>) -> Result<Vec<Ticket>, DbErr> {
    let text = format!("SELECT {COLUMNS} FROM ticket WHERE {rest}");
    let rows = Row::find_by_statement(sql(connection, &text, values)).all(connection).await?;
    rows.into_iter().map(Ticket::try_from).collect()
}

/// The ticket with this key, whoever owns it.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Ticket>, DbErr> {
    Ok(select(connection, "id = $1", vec![id.into()]).await?.pop())
}

/// Those of the tickets that belong to the user.
pub async fn list_owned(connection: &impl ConnectionTrait, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Ticket>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rest = format!("user_id = $1 AND id IN {}", rows_placeholder(1, ids.len(), 2));
    let values = std::iter::once(user_id.into()).chain(ids.iter().map(|id| (*id).into())).collect();
    select(connection, &rest, values).await
}

/// The tickets of these bookings, by number.
pub async fn list_of(connection: &impl ConnectionTrait, booking_ids: &[Uuid]) -> Result<Vec<Ticket>, DbErr> {
    if booking_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rest = format!("booking_id IN {} ORDER BY booking_id, id", rows_placeholder(1, booking_ids.len(), 1));
    select(connection, &rest, booking_ids.iter().map(|id| (*id).into()).collect()).await
}

/// Whether the next departure comes first; otherwise the newest does.
pub const fn earliest_first(when: When) -> bool {
    matches!(when, When::Upcoming | When::Present)
}

fn wanted(user_id: Uuid, when: When, now: DateTime<Utc>) -> (String, Vec<Value>) {
    let condition = match when {
        When::All => return ("user_id = $1".to_owned(), vec![user_id.into()]),
        When::Past => "valid_until_ms <= $2",
        When::Present => "valid_from_ms <= $2 AND valid_until_ms > $2",
        When::Upcoming => "valid_from_ms > $2",
    };
    (format!("user_id = $1 AND {condition}"), vec![user_id.into(), now.timestamp_millis().into()])
}

/// A page of a user's tickets by departure, at most `limit`.
pub async fn list(
    connection: &impl ConnectionTrait,
    user_id: Uuid,
    when: When,
    now: DateTime<Utc>,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Ticket>, DbErr> {
    let (mut rest, mut values) = wanted(user_id, when, now);
    let (beyond, order) = if earliest_first(when) { (">", "ASC") } else { ("<", "DESC") };
    if let Some(Position { at_ms, id }) = after {
        let (at, key) = (values.len() + 1, values.len() + 2);
        rest = format!("{rest} AND (valid_from_ms {beyond} ${at} OR (valid_from_ms = ${at} AND id {beyond} ${key}))");
        values.extend([at_ms.into(), id.into()]);
    }
    rest = format!("{rest} ORDER BY valid_from_ms {order}, id {order} LIMIT {limit}");
    select(connection, &rest, values).await
}

/// How many tickets [`list`] has over all pages.
pub async fn count(connection: &impl ConnectionTrait, user_id: Uuid, when: When, now: DateTime<Utc>) -> Result<i64, DbErr> {
    let (rest, values) = wanted(user_id, when, now);
    let text = format!("SELECT COUNT(*) AS total FROM ticket WHERE {rest}");
    let row = connection.query_one_raw(sql(connection, &text, values)).await?;
    row.map_or(Ok(0), |row| row.try_get("", "total"))
}

/// Adds a ticket. A part has one: a second is an error.
pub async fn insert(tx: &Tx, ticket: &Ticket) -> Result<(), DbErr> {
    let text = "INSERT INTO ticket (id, booking_id, part_id, user_id, number, status, passenger_name, place, valid_from_ms, \
                valid_until_ms, document) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let place = serde_json::to_string(&ticket.place).map_err(|_| corrupt("place"))?;
    let values = [
        ticket.id.into(),
        ticket.booking_id.into(),
        ticket.part_id.into(),
        ticket.user_id.into(),
        ticket.number.clone().into(),
        ticket.status.name().into(),
        ticket.passenger_name.clone().into(),
        place.into(),
        ticket.valid_from.timestamp_millis().into(),
        ticket.valid_until.timestamp_millis().into(),
        ticket.document.clone().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}
