//! Types of the graph, by noun.

mod booking;
mod input;
mod node;
mod refusal;
mod ticket;
mod user;

pub(crate) use booking::{Booking, BookingFilter};
pub(crate) use input::{CancelBookingInput, CreateBookingInput};
pub(crate) use node::{Hold, Node, Passenger, Payment, Station, Trip, TripStop};
pub(crate) use refusal::{
    CancelBookingResult, CancelBookingSuccess, CreateBookingResult, CreateBookingSuccess, UserError, cancel_refused,
    create_refused,
};
pub(crate) use ticket::{SeatLabel, Ticket, TicketWhen};
pub(crate) use user::User;
