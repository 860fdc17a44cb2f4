//! A booking in the graph.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Result, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, Locale, Money, in_utc, internal};
use chrono::Utc;
use uuid::Uuid;

use super::{SeatLabel, Ticket, Trip, TripStop};
use crate::{
    booking::{self, Status},
    contact,
    graphql::{
        bookings,
        loaders::{PartsOf, TicketsOf},
        shelf,
    },
    place::Part,
};

/// Where a booking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Status")]
pub(crate) enum BookingStatus {
    /// Waits for payment until expiresAt. The only status in which it can be paid or cancelled.
    PendingPayment,
    /// Paid; the seats are being sold to it. Takes seconds.
    Confirming,
    /// Paid, seats sold, tickets issued.
    Confirmed,
    /// Cancelled by its owner before it was paid. Money that arrives anyway goes back.
    Cancelled,
    /// Not paid in time. Money that arrives anyway confirms it if the same seats are still free, and goes back if not.
    Expired,
    /// Money arrived but the seats were gone or the booking was cancelled: the money is being sent back.
    RefundPending,
    /// All money went back.
    Refunded,
    /// Some of its parts were given back and their money returned.
    PartiallyRefunded,
    /// Confirming or refunding takes longer than 10 minutes. It goes on by itself, and people look at it.
    NeedsAttention,
}

/// What a part of a booking is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum PartKind {
    /// Entry without a fixed place.
    Admission,
    /// A numbered place: a seat on a journey or at an event.
    Place,
    /// Something beside a place: luggage, a meal.
    Ancillary,
    /// A night in a room.
    Stay,
    /// Something that is shipped or handed over.
    Goods,
    /// A bill paid for somebody.
    Bill,
}

/// Where a part of a booking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum PartStatus {
    /// Claimed, not paid yet.
    Held,
    /// Sold to the booking.
    Confirmed,
    /// Given back by the owner before payment.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Its money is being sent back.
    RefundPending,
    /// Its money went back.
    Refunded,
    /// Used: the ticket was seen at a gate.
    Used,
}

/// Which bookings are wanted.
#[derive(Debug, Clone, InputObject)]
pub(crate) struct BookingFilter {
    /// Only bookings in one of these statuses. Null or empty: all.
    pub statuses: Option<Vec<BookingStatus>>,
}

/// How to reach who booked.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Contact {
    /// E-mail address; tickets and news are sent to it.
    email: String,
    /// Telephone number as it was given.
    phone: Option<String>,
    /// Postal address as it was given.
    address: Option<String>,
    /// Language of the letters about the booking.
    locale: Locale,
}

impl From<contact::Contact> for Contact {
    fn from(contact: contact::Contact) -> Self {
        let contact::Contact { email, phone, address, locale } = contact;
        Self { email, phone, address, locale: locale.into() }
    }
}

/// What one person booked and pays at once. Prices and names are copies made when it was created.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Booking {
    /// Opaque id.
    pub id: ID,
    /// Six letters and digits that people can read aloud, unique.
    code: String,
    /// Where it stands.
    pub status: BookingStatus,
    /// How to reach who booked.
    contact: Contact,
    /// What it costs in all.
    total: Money,
    /// Until when it can be paid; it moves once, when the first payment starts. Null once it was paid or cancelled.
    pub expires_at: Option<DateTime>,
    /// When it was created.
    created_at: DateTime,
    #[graphql(skip)]
    key: Uuid,
    #[graphql(skip)]
    state: booking::State,
}

impl Booking {
    /// The booking as clients see it now.
    pub fn show(booking: booking::Booking, now: chrono::DateTime<Utc>) -> Self {
        let status = booking.status(now);
        let awaits_money = matches!(status, Status::PendingPayment | Status::Expired);
        Self {
            id: Kind::Booking.encode(booking.id).into(),
            code: booking.code,
            status: status.into(),
            contact: booking.contact.into(),
            total: booking.total.into(),
            expires_at: awaits_money.then(|| in_utc(booking.expires_at)),
            created_at: in_utc(booking.created_at),
            key: booking.id,
            state: booking.state,
        }
    }

    fn part_status(&self) -> PartStatus {
        match (self.state, self.status) {
            (booking::State::Expired, _) | (_, BookingStatus::Expired) => PartStatus::Expired,
            (booking::State::PendingPayment | booking::State::Confirming, _) => PartStatus::Held,
            (booking::State::Confirmed, _) => PartStatus::Confirmed,
            (booking::State::Cancelled, _) => PartStatus::Cancelled,
            (booking::State::RefundPending, _) => PartStatus::RefundPending,
            (booking::State::Refunded, _) => PartStatus::Refunded,
        }
    }
}

#[ComplexObject]
impl Booking {
    /// What was booked, one part per held seat, in the hold's order.
    async fn parts(&self, ctx: &Context<'_>) -> Result<Vec<BookingPart>> {
        let parts = shelf(ctx).load_one(PartsOf(self.key)).await.map_err(|error| internal(&error))?;
        let status = self.part_status();
        Ok(parts.unwrap_or_default().into_iter().map(|part| BookingPart::show(part, status)).collect())
    }

    /// Its tickets, one per passenger and seat. Empty until it is CONFIRMED.
    async fn tickets(&self, ctx: &Context<'_>) -> Result<Vec<Ticket>> {
        let tickets = shelf(ctx).load_one(TicketsOf(self.key)).await.map_err(|error| internal(&error))?;
        let bookings = bookings(ctx);
        Ok(tickets.unwrap_or_default().into_iter().map(|ticket| Ticket::show(ticket, bookings)).collect())
    }
}

/// One thing of a booking: here a seat on a journey for one passenger.
#[derive(Debug, SimpleObject)]
pub(crate) struct BookingPart {
    /// Opaque id.
    id: ID,
    /// What it is.
    kind: PartKind,
    /// Where it stands.
    status: PartStatus,
    /// One line for people: name of the trip, from, to, service date.
    title: String,
    /// What it costs, copied from the hold.
    price: Money,
    /// Who travels.
    passenger_name: Option<String>,
    /// The seat, a copy made at purchase.
    seat: Option<SeatLabel>,
    /// The trip. Null when the timetable can't be asked now or does not know it any more.
    trip: Option<Trip>,
    /// Where the journey begins. Null like trip.
    from: Option<TripStop>,
    /// Where the journey ends. Null like trip.
    to: Option<TripStop>,
}

impl BookingPart {
    fn show(part: Part, status: PartStatus) -> Self {
        let Part { id, title, price, passenger, place, .. } = part;
        Self {
            id: Kind::Part.encode(id).into(),
            kind: PartKind::Place,
            status,
            title,
            price: price.into(),
            passenger_name: Some(passenger.full_name),
            seat: Some(SeatLabel::of(&place)),
            trip: Some(Trip { id: place.trip.encode().into() }),
            from: Some(TripStop { id: place.trip.stop_id(place.from.stop_index).into() }),
            to: Some(TripStop { id: place.trip.stop_id(place.to.stop_index).into() }),
        }
    }
}
