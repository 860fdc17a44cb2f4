//! Inputs of the booking mutations.

use async_graphql::{Enum, ID, InputObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{Date, Locale};

use crate::{
    bookings::Order,
    contact::Contact,
    passenger::{PassengerDetails, Seating},
};

/// Kind of an identity document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum IdType {
    /// The national identity card.
    NationalId,
    /// A passport.
    Passport,
}

/// A booking to be made from a hold.
#[derive(Debug, InputObject)]
pub(crate) struct CreateBookingInput {
    /// The hold: yours and ACTIVE, else `NOT_FOUND` or `HOLD_EXPIRED`. A hold makes one booking.
    hold_id: ID,
    /// Who sits where: exactly one passenger for each held seat of the hold, else `PASSENGER_RULE`.
    passengers: Vec<BookingPassengerInput>,
    /// How to reach you.
    contact: ContactInput,
    /// 1 to 128 characters of your choice. The same key with the same input gives the first answer again, for 24 hours.
    pub idempotency_key: String,
}

/// One passenger on one held seat. Give exactly one of passengerId and details.
#[derive(Debug, InputObject)]
pub(crate) struct BookingPassengerInput {
    /// The held seat, from hold.items.
    held_seat_id: ID,
    /// A passenger of your list.
    passenger_id: Option<ID>,
    /// Details of a passenger who is not on your list.
    details: Option<PassengerDetailsInput>,
}

/// Details of a passenger.
#[derive(Debug, InputObject)]
pub(crate) struct PassengerDetailsInput {
    /// Name as on the document, 1 to 100 characters.
    full_name: String,
    /// Kind of the document; needed beside idNumber.
    id_type: Option<IdType>,
    /// Number of the document: at most 32 letters, digits, blanks, dots, slashes and dashes. Stored encrypted, never shown again.
    id_number: Option<String>,
    /// Date of birth, from 1900-01-01 to today.
    birth_date: Option<Date>,
}

/// How to reach who books.
#[derive(Debug, InputObject)]
pub(crate) struct ContactInput {
    /// E-mail address; the tickets are sent to it.
    email: String,
    /// Telephone number: 5 to 20 digits, optionally with +, blanks, dashes and brackets.
    phone: Option<String>,
    /// Postal address, at most 300 characters.
    address: Option<String>,
    /// Language of the letters about the booking. English when left out.
    locale: Option<Locale>,
}

/// A booking to be cancelled.
#[derive(Debug, InputObject)]
pub(crate) struct CancelBookingInput {
    /// The booking: yours and not paid.
    pub booking_id: ID,
    /// 1 to 128 characters of your choice. The same key with the same input gives the first answer again, for 24 hours.
    pub idempotency_key: String,
}

impl CreateBookingInput {
    /// The order; ids that can't be read become `None` and are refused like foreign ones.
    pub fn order(self) -> Order {
        Order {
            hold_id: Kind::Hold.decode(&self.hold_id).ok(),
            seatings: self.passengers.into_iter().map(BookingPassengerInput::seating).collect(),
            contact: self.contact.contact(),
        }
    }
}

impl ContactInput {
    fn contact(self) -> Contact {
        let locale = self.locale.map(Into::into).unwrap_or_default();
        Contact { email: self.email, phone: self.phone, address: self.address, locale }
    }
}

impl BookingPassengerInput {
    fn seating(self) -> Seating {
        Seating {
            held_seat_id: Kind::HeldItem.decode(&self.held_seat_id).ok(),
            passenger_id: self.passenger_id.map(|id| Kind::Passenger.decode(&id).unwrap_or_default()),
            details: self.details.map(PassengerDetailsInput::details),
        }
    }
}

impl PassengerDetailsInput {
    fn details(self) -> PassengerDetails {
        let id_type = self.id_type.map(|id_type| match id_type {
            IdType::NationalId => "NATIONAL_ID".to_owned(),
            IdType::Passport => "PASSPORT".to_owned(),
        });
        let birth_date = self.birth_date.map(|date| date.0);
        PassengerDetails { full_name: self.full_name, id_type, id_number: self.id_number, birth_date }
    }
}
