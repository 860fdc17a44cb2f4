//! The noun: a ticket, and the signed text in its QR code that a gate can check without a network (docs/TICKETS.md).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_contracts::{Kind, peer::HeldSeat};
use berth_kernel::auth::SignKey;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{booking::Booking, passenger::initials, place::Part};

/// First word of the text in a QR code: the format and its version.
pub const FORMAT: &str = "BERTH1";

/// Life of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketStatus {
    /// Valid.
    Issued,
    /// Seen at a gate.
    CheckedIn,
    /// Replaced by another ticket.
    Reissued,
    /// Not valid any more.
    Revoked,
}

impl TicketStatus {
    /// The name, as stored and as in the graph.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issued => "ISSUED",
            Self::CheckedIn => "CHECKED_IN",
            Self::Reissued => "REISSUED",
            Self::Revoked => "REVOKED",
        }
    }

    /// Reads a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Issued, Self::CheckedIn, Self::Reissued, Self::Revoked].into_iter().find(|status| status.name() == name)
    }
}

/// Which tickets of a person are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The journey is over.
    Past,
    /// The journey is under way.
    Present,
    /// The journey is still to come.
    Upcoming,
    /// All of them.
    All,
}

/// A ticket: one passenger, one seat, one journey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its key.
    pub id: Uuid,
    /// The booking.
    pub booking_id: Uuid,
    /// The booking's part it stands for.
    pub part_id: Uuid,
    /// Its owner.
    pub user_id: Uuid,
    /// Readable number: the booking's code and a counter.
    pub number: String,
    /// Its life.
    pub status: TicketStatus,
    /// Who travels.
    pub passenger_name: String,
    /// The seat and the journey.
    pub place: HeldSeat,
    /// Departure of the journey.
    pub valid_from: DateTime<Utc>,
    /// Arrival of the journey.
    pub valid_until: DateTime<Utc>,
    /// The signed text in the QR code.
    pub document: String,
}

/// What the signed text says. No document number, no full name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Name of the key in the JWKS.
    pub kid: String,
    /// The ticket's id.
    pub tid: String,
    /// Its readable number.
    pub num: String,
    /// The trip's id.
    pub trip: String,
    /// The trip's name.
    pub name: String,
    /// Station where the journey begins.
    pub from: String,
    /// Station where it ends.
    pub to: String,
    /// Coach.
    pub car: String,
    /// Seat.
    pub seat: String,
    /// Class.
    pub cls: String,
    /// Departure, seconds since 1970.
    pub nbf: i64,
    /// Arrival, seconds since 1970.
    pub exp: i64,
    /// Initials of the passenger.
    pub pax: String,
}

impl Ticket {
    /// A new ticket for a part of a booking, signed.
    pub fn issue(id: Uuid, booking: &Booking, part: &Part, key: &SignKey) -> Self {
        let place = part.place.clone();
        let mut ticket = Self {
            id,
            booking_id: booking.id,
            part_id: part.id,
            user_id: booking.user_id,
            number: format!("{}-{}", booking.code, part.position + 1),
            status: TicketStatus::Issued,
            passenger_name: part.passenger.full_name.clone(),
            valid_from: place.from.at,
            valid_until: place.to.at,
            document: String::new(),
            place,
        };
        ticket.document = sign(&ticket.payload(key.kid()), key);
        ticket
    }

    fn payload(&self, kid: &str) -> Payload {
        Payload {
            kid: kid.to_owned(),
            tid: Kind::Ticket.encode(self.id),
            num: self.number.clone(),
            trip: self.place.trip.encode(),
            name: self.place.trip_name.clone(),
            from: self.place.from.station_name.clone(),
            to: self.place.to.station_name.clone(),
            car: self.place.car.clone(),
            seat: self.place.seat.clone(),
            cls: self.place.travel_class.clone(),
            nbf: self.valid_from.timestamp(),
            exp: self.valid_until.timestamp(),
            pax: initials(&self.passenger_name),
        }
    }
}

/// `BERTH1.<payload>.<signature>`, both base64url; the signature covers all before the second point.
fn sign(payload: &Payload, key: &SignKey) -> String {
    // A struct of texts and numbers always has a JSON form.
    let json = serde_json::to_vec(payload).unwrap_or_default();
    let signed = format!("{FORMAT}.{}", URL_SAFE_NO_PAD.encode(json));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
