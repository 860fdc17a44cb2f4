//! Refusals of the booking mutations, and their result unions.

use async_graphql::{ID, Interface, SimpleObject, Union};
use berth_contracts::Kind;
use berth_kernel::graphql::{IdempotencyConflictError, InvalidInputError, InvalidTransitionError, NotFoundError, RefusalText};

use super::Booking;
use crate::error::Refusal;

/// Why a mutation did nothing. Every refusal has these fields, so a client can treat one it does not know by code and message.
#[derive(Interface)]
#[expect(clippy::duplicated_attributes, reason = "two fields of the interface have the same type")]
#[graphql(
    field(name = "code", ty = "&String", desc = "Stable code for programs; every code is listed in docs/ERRORS.md."),
    field(name = "message", ty = "&String", desc = "One sentence for a developer. Not for matching, may change."),
    field(
        name = "path",
        ty = "&Option<Vec<String>>",
        desc = "Which part of the input it is about, from the argument down. Null when it is about the whole."
    )
)]
pub(crate) enum UserError {
    InvalidInput(InvalidInputError),
    NotFound(NotFoundError),
    InvalidTransition(InvalidTransitionError),
    IdempotencyConflict(IdempotencyConflictError),
    HoldExpired(HoldExpiredError),
    HoldAlreadyBooked(HoldAlreadyBookedError),
    PassengerRule(PassengerRuleError),
}

/// The hold's time is over or it was released, so its seats may be sold to others. Nothing was booked: hold seats again.
#[derive(Debug, SimpleObject)]
pub(crate) struct HoldExpiredError {
    /// `HOLD_EXPIRED`
    code: String,
    /// One sentence for a developer. Not for matching, may change.
    message: String,
    /// Which part of the input it is about.
    path: Option<Vec<String>>,
}

/// A hold makes one booking, and this hold made it before. Nothing was changed.
#[derive(Debug, SimpleObject)]
pub(crate) struct HoldAlreadyBookedError {
    /// `HOLD_ALREADY_BOOKED`
    code: String,
    /// One sentence for a developer. Not for matching, may change.
    message: String,
    /// Which part of the input it is about.
    path: Option<Vec<String>>,
    /// The booking that the hold made.
    booking_id: ID,
}

/// Passengers and held seats don't match: each held seat needs exactly one passenger, and each passenger exactly one of passengerId and
/// details. Nothing was booked.
#[derive(Debug, SimpleObject)]
pub(crate) struct PassengerRuleError {
    /// `PASSENGER_RULE`
    code: String,
    /// One sentence for a developer. Not for matching, may change.
    message: String,
    /// Which passenger it is about: input, passengers, position from 0.
    path: Option<Vec<String>>,
}

/// The booking was made.
#[derive(Debug, SimpleObject)]
pub(crate) struct CreateBookingSuccess {
    /// The booking, waiting for payment.
    pub booking: Booking,
}

/// The booking is cancelled.
#[derive(Debug, SimpleObject)]
pub(crate) struct CancelBookingSuccess {
    /// The booking.
    pub booking: Booking,
}

/// What createBooking answers.
#[derive(Union)]
pub(crate) enum CreateBookingResult {
    Success(CreateBookingSuccess),
    HoldExpired(HoldExpiredError),
    HoldAlreadyBooked(HoldAlreadyBookedError),
    PassengerRule(PassengerRuleError),
    InvalidInput(InvalidInputError),
    NotFound(NotFoundError),
    IdempotencyConflict(IdempotencyConflictError),
}

/// What cancelBooking answers.
#[derive(Union)]
pub(crate) enum CancelBookingResult {
    Success(CancelBookingSuccess),
    InvalidTransition(InvalidTransitionError),
    InvalidInput(InvalidInputError),
    NotFound(NotFoundError),
    IdempotencyConflict(IdempotencyConflictError),
}

fn text(code: &str, refusal: &Refusal, path: &[String]) -> RefusalText {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    if path.is_empty() { RefusalText::new(code, refusal.to_string()) } else { RefusalText::at(code, refusal.to_string(), &path) }
}

fn at_hold(code: &str, refusal: &Refusal) -> RefusalText {
    RefusalText::at(code, refusal.to_string(), &["holdId"])
}

fn invalid(refusal: &Refusal, path: &[String]) -> InvalidInputError {
    InvalidInputError::from_text(text("INVALID_INPUT", refusal, path))
}

fn not_found(refusal: &Refusal, path: &[String]) -> NotFoundError {
    NotFoundError::from_text(text("NOT_FOUND", refusal, path))
}

fn conflict(refusal: &Refusal) -> IdempotencyConflictError {
    IdempotencyConflictError::from_text(RefusalText::at("IDEMPOTENCY_CONFLICT", refusal.to_string(), &["idempotencyKey"]))
}

/// The refusal as createBooking answers it; `None`: createBooking never refuses so.
pub(crate) fn create_refused(refusal: &Refusal) -> Option<CreateBookingResult> {
    Some(match refusal {
        Refusal::Invalid { path, .. } => invalid(refusal, path).into(),
        Refusal::NotFound { path } => not_found(refusal, path).into(),
        Refusal::IdempotencyConflict => conflict(refusal).into(),
        Refusal::HoldExpired => {
            let RefusalText { code, message, path } = at_hold("HOLD_EXPIRED", refusal);
            HoldExpiredError { code, message, path }.into()
        }
        Refusal::HoldAlreadyBooked { booking_id } => {
            let RefusalText { code, message, path } = at_hold("HOLD_ALREADY_BOOKED", refusal);
            let booking_id = Kind::Booking.encode(*booking_id).into();
            HoldAlreadyBookedError { code, message, path, booking_id }.into()
        }
        Refusal::PassengerRule { path, .. } => {
            let RefusalText { code, message, path } = text("PASSENGER_RULE", refusal, path);
            PassengerRuleError { code, message, path }.into()
        }
        Refusal::InvalidTransition(_) => return None,
    })
}

/// The refusal as cancelBooking answers it; `None`: cancelBooking never refuses so.
pub(crate) fn cancel_refused(refusal: &Refusal) -> Option<CancelBookingResult> {
    Some(match refusal {
        Refusal::Invalid { path, .. } => invalid(refusal, path).into(),
        Refusal::NotFound { path } => not_found(refusal, path).into(),
        Refusal::IdempotencyConflict => conflict(refusal).into(),
        Refusal::InvalidTransition(_) => {
            let text = RefusalText::at("INVALID_TRANSITION", refusal.to_string(), &["bookingId"]);
            InvalidTransitionError::from_text(text).into()
        }
        Refusal::HoldExpired | Refusal::HoldAlreadyBooked { .. } | Refusal::PassengerRule { .. } => return None,
    })
}
