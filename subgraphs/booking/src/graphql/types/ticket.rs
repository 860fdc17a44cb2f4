//! A ticket in the graph.

use async_graphql::{Enum, ID, SimpleObject};
use berth_contracts::{Kind, peer::HeldSeat};
use berth_kernel::graphql::{DateTime, in_utc};

use super::{Trip, TripStop};
use crate::{
    Bookings,
    ticket::{self, When},
};

/// Life of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ticket::TicketStatus")]
pub(crate) enum TicketStatus {
    /// Valid.
    Issued,
    /// Seen at a gate.
    CheckedIn,
    /// Replaced by another ticket.
    Reissued,
    /// Not valid any more, for ever.
    Revoked,
}

/// Which tickets are wanted, by the time of their journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "When")]
pub(crate) enum TicketWhen {
    /// The journey is over. Latest departure first.
    Past,
    /// The journey is under way. Earliest departure first.
    Present,
    /// The journey is still to come. Next departure first.
    Upcoming,
    /// All of them. Latest departure first.
    All,
}

/// Which seat, in words. A copy made at purchase, so it stays as it was sold.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct SeatLabel {
    /// Label of the coach: 3.
    car: String,
    /// Label of the seat in the coach: 5A.
    seat: String,
    /// Class of the coach.
    travel_class: String,
}

impl SeatLabel {
    /// The label of a place.
    pub fn of(place: &HeldSeat) -> Self {
        Self { car: place.car.clone(), seat: place.seat.clone(), travel_class: place.travel_class.clone() }
    }
}

/// A right to travel: one passenger, one seat, one journey. Issued in the moment its booking is confirmed.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Ticket {
    /// Opaque id.
    pub id: ID,
    /// Readable number: the booking's code and a counter.
    number: String,
    /// Its life.
    status: TicketStatus,
    /// The trip. Null when the timetable can't be asked now or does not know it any more.
    trip: Option<Trip>,
    /// Where the journey begins. Null like trip.
    from: Option<TripStop>,
    /// Where the journey ends. Null like trip.
    to: Option<TripStop>,
    /// The seat.
    seat: Option<SeatLabel>,
    /// Who travels.
    passenger_name: String,
    /// The text in the QR code: signed with Ed25519, to be checked offline with a key of /.well-known/jwks.json. See docs/TICKETS.md.
    qr: String,
    /// Address of the QR code as SVG. Whoever has the address can open it: treat it like the ticket itself.
    qr_url: String,
    /// Departure of the journey.
    valid_from: DateTime,
    /// Arrival of the journey.
    valid_until: DateTime,
}

impl Ticket {
    /// The ticket as its owner sees it.
    pub fn show(ticket: ticket::Ticket, bookings: &Bookings) -> Self {
        let place = &ticket.place;
        Self {
            id: Kind::Ticket.encode(ticket.id).into(),
            status: ticket.status.into(),
            trip: Some(Trip { id: place.trip.encode().into() }),
            from: Some(TripStop { id: place.trip.stop_id(place.from.stop_index).into() }),
            to: Some(TripStop { id: place.trip.stop_id(place.to.stop_index).into() }),
            seat: Some(SeatLabel::of(place)),
            qr_url: bookings.qr_url(ticket.id),
            valid_from: in_utc(ticket.valid_from),
            valid_until: in_utc(ticket.valid_until),
            number: ticket.number,
            passenger_name: ticket.passenger_name,
            qr: ticket.document,
        }
    }
}
