//! What an audit reads of booking. Only reads.

use std::{collections::HashMap, ops::Range};

use berth_contracts::{Money, id::TripKey, peer::HeldSeat};
use berth_kernel::{db::sql, idempotency};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::{corrupt, instant, money};
use crate::{booking::State, ticket::TicketStatus};

/// A seat on some legs of a trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatOnLegs {
    /// The trip.
    pub trip: TripKey,
    /// The seat.
    pub spot_no: u16,
    /// The legs.
    pub legs: Range<u16>,
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketFact {
    /// Its number.
    pub number: String,
    /// The part it stands for.
    pub part_id: Uuid,
    /// Whether a gate lets it in.
    pub valid: bool,
    /// The seat on it.
    pub seat: SeatOnLegs,
}

/// A booking with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingFact {
    /// Key.
    pub id: Uuid,
    /// Its owner.
    pub user_id: Uuid,
    /// Where its saga stands.
    pub state: &'static str,
    /// Since when.
    pub state_since: DateTime<Utc>,
    /// Until when it may be paid.
    pub expires_at: DateTime<Utc>,
    /// What it costs.
    pub total: Money,
    /// Whether people were asked to look.
    pub attention: bool,
    /// Whether seats must still be given back, or payments closed.
    pub cleanup_due: bool,
    /// The payment that pays for it.
    pub paid_by: Option<Uuid>,
    /// Keys of its parts.
    pub parts: Vec<Uuid>,
    /// Its tickets.
    pub tickets: Vec<TicketFact>,
    /// Payments that go back; `true`: have gone.
    pub repayments: Vec<(Uuid, bool)>,
}

impl BookingFact {
    /// Whether the saga is at work on it.
    pub fn is_underway(&self) -> bool {
        State::parse(self.state).is_some_and(State::is_underway) || self.repayments.iter().any(|(_, done)| !done)
    }

    /// Whether seats may be sold to it: it has tickets, gets them, or gives the seats back.
    pub fn may_have_seats(&self) -> bool {
        matches!(State::parse(self.state), Some(State::Confirming | State::Confirmed))
            || (self.state == State::RefundPending.name() && self.cleanup_due)
    }

    /// Whether it is confirmed, so that its parts have tickets.
    pub fn is_confirmed(&self) -> bool {
        self.state == State::Confirmed.name()
    }
}

/// Every booking, and the remembered answers of `createBooking` that name none.
pub async fn facts(connection: &impl ConnectionTrait) -> Result<(Vec<BookingFact>, Vec<String>), DbErr> {
    let text = "SELECT id, user_id, state, state_since_ms, expires_at_ms, total_minor, currency, attention, cleanup_due, paid_by FROM booking";
    let mut bookings: HashMap<Uuid, BookingFact> = HashMap::new();
    for row in connection.query_all_raw(sql(connection, text, [])).await? {
        let booking = booking(&row)?;
        bookings.insert(booking.id, booking);
    }
    let all = "SELECT id, booking_id FROM booking_part";
    for row in connection.query_all_raw(sql(connection, all, [])).await? {
        if let Some(booking) = bookings.get_mut(&row.try_get("", "booking_id")?) {
            booking.parts.push(row.try_get("", "id")?);
        }
    }
    let all = "SELECT booking_id, number, part_id, status, place FROM ticket";
    for row in connection.query_all_raw(sql(connection, all, [])).await? {
        if let Some(booking) = bookings.get_mut(&row.try_get("", "booking_id")?) {
            booking.tickets.push(ticket(&row)?);
        }
    }
    let all = "SELECT booking_id, payment_id, done FROM repayment";
    for row in connection.query_all_raw(sql(connection, all, [])).await? {
        if let Some(booking) = bookings.get_mut(&row.try_get("", "booking_id")?) {
            booking.repayments.push((row.try_get("", "payment_id")?, row.try_get::<i32>("", "done")? != 0));
        }
    }
    let lost = idempotency::lost_answers(connection, "createBooking", |id| bookings.contains_key(id)).await?;
    Ok((bookings.into_values().collect(), lost))
}

fn booking(row: &QueryResult) -> Result<BookingFact, DbErr> {
    let currency: String = row.try_get("", "currency")?;
    let state: String = row.try_get("", "state")?;
    Ok(BookingFact {
        id: row.try_get("", "id")?,
        user_id: row.try_get("", "user_id")?,
        state: State::parse(&state).ok_or_else(|| corrupt("state of a booking"))?.name(),
        state_since: instant(row.try_get("", "state_since_ms")?)?,
        expires_at: instant(row.try_get("", "expires_at_ms")?)?,
        total: money(row.try_get("", "total_minor")?, &currency)?,
        attention: row.try_get::<i32>("", "attention")? != 0,
        cleanup_due: row.try_get::<i32>("", "cleanup_due")? != 0,
        paid_by: row.try_get("", "paid_by")?,
        parts: Vec::new(),
        tickets: Vec::new(),
        repayments: Vec::new(),
    })
}

fn ticket(row: &QueryResult) -> Result<TicketFact, DbErr> {
    let status: String = row.try_get("", "status")?;
    let status = TicketStatus::parse(&status).ok_or_else(|| corrupt("status of a ticket"))?;
    let place: String = row.try_get("", "place")?;
    let place: HeldSeat = serde_json::from_str(&place).map_err(|_| corrupt("place"))?;
    Ok(TicketFact {
        number: row.try_get("", "number")?,
        part_id: row.try_get("", "part_id")?,
        valid: matches!(status, TicketStatus::Issued | TicketStatus::CheckedIn),
        seat: SeatOnLegs { trip: place.trip, spot_no: place.spot_no, legs: place.from.stop_index..place.to.stop_index },
    })
}
