//! Refusals of this subgraph, and the interface over all of them.

use async_graphql::{ComplexObject, Context, Interface, Result, SimpleObject};
use berth_kernel::graphql::{
    IdempotencyConflictError, InvalidInputError, InvalidTransitionError, NotFoundError, RefusalText, internal, page,
};

use super::seat::Seat;
use crate::{
    claim::SeatState,
    hold::{Lost, Refusal},
    holds::{HoldError, Holds},
};

/// A refusal: nothing was changed, and the caller can do something about it. Every refusal has these fields, so this interface
/// also covers those that are added later.
#[derive(Interface)]
#[allow(clippy::duplicated_attributes, reason = "two fields of one type")]
#[graphql(
    field(name = "code", ty = "&String", desc = "Stable code for programs; every code is listed in docs/ERRORS.md."),
    field(name = "message", ty = "&String", desc = "One sentence for a developer. Not for matching, may change."),
    field(
        name = "path",
        ty = "&Option<Vec<String>>",
        desc = "Which part of the input it is about, from the argument down: input, email. Null when it is about the whole."
    )
)]
pub enum UserError {
    /// A part of the input can't be accepted.
    InvalidInput(InvalidInputError),
    /// No such thing, or not yours.
    NotFound(NotFoundError),
    /// Not in this state.
    InvalidTransition(InvalidTransitionError),
    /// The key was used for another input.
    Conflict(IdempotencyConflictError),
    /// Somebody else has some of the seats.
    SeatsUnavailable(SeatsUnavailableError),
    /// Too many active holds.
    HoldLimit(HoldLimitError),
    /// The trip is not sold any more.
    SaleClosed(SaleClosedError),
}

/// Code `SEATS_UNAVAILABLE`: somebody else has some of the wanted seats on a part of the way. Nothing is held. Offer the alternatives.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct SeatsUnavailableError {
    /// Stable code for programs; every code is listed in docs/ERRORS.md.
    pub code: String,
    /// One sentence for a developer. Not for matching, may change.
    pub message: String,
    /// Which part of the input it is about, from the argument down: input, items. Null when it is about the whole.
    pub path: Option<Vec<String>>,
    /// The seats of the request that are taken, each with its state on the wanted segment. Empty when bestAvailable found too few seats.
    pub seats: Vec<Seat>,
    #[graphql(skip)]
    lost: Vec<Lost>,
}

#[ComplexObject]
impl SeatsUnavailableError {
    /// Free seats of the same trips on the same segments, the nearest to the taken ones first: same class, same coach, near rows. They
    /// are free at this moment and are not held.
    async fn alternatives(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 5, desc = "How many at most, 1 to 100.")] first: Option<i32>,
    ) -> Result<Vec<Seat>> {
        let first = page(first.or(Some(5)), None)?.first;
        let found = ctx.data::<Holds>()?.alternatives(&self.lost, first).await.map_err(|error| internal(&error))?;
        let seat = |(trip, segment, spot_no)| Seat { trip, spot_no, segment, state: SeatState::Available };
        Ok(found.into_iter().map(seat).collect())
    }
}

/// Code `HOLD_LIMIT`: you have as many active holds as one person may have. Nothing is held. Release one, or wait until one expires.
#[derive(SimpleObject)]
pub struct HoldLimitError {
    /// Stable code for programs; every code is listed in docs/ERRORS.md.
    pub code: String,
    /// One sentence for a developer. Not for matching, may change.
    pub message: String,
    /// Which part of the input it is about, from the argument down. Null when it is about the whole.
    pub path: Option<Vec<String>>,
    /// How many active holds one person may have.
    pub limit: i32,
}

/// Code `SALE_CLOSED`: the trip has left the wanted stop, or is not on sale any more. Nothing is held.
#[derive(SimpleObject)]
pub struct SaleClosedError {
    /// Stable code for programs; every code is listed in docs/ERRORS.md.
    pub code: String,
    /// One sentence for a developer. Not for matching, may change.
    pub message: String,
    /// Which part of the input it is about, from the argument down: input, items, 0, seats, tripId.
    pub path: Option<Vec<String>>,
}

/// The refusal as the graph shows it; a fault of ours is a GraphQL error.
pub fn refused(error: HoldError) -> Result<UserError> {
    match error {
        HoldError::Database(error) => Err(internal(&error)),
        HoldError::Refused(refusal) => Ok((*refusal).into()),
    }
}

fn text(code: &'static str, message: impl Into<String>, path: &[String]) -> RefusalText {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    RefusalText::at(code, message, &path)
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid { code, message, path } => InvalidInputError::from_text(text(code, message, &path)).into(),
            Refusal::NotFound { message, path } => NotFoundError::from_text(text("NOT_FOUND", message, &path)).into(),
            Refusal::SaleClosed { message, path } => {
                let RefusalText { code, message, path } = text("SALE_CLOSED", message, &path);
                SaleClosedError { code, message, path }.into()
            }
            Refusal::SeatsUnavailable(lost) => {
                let RefusalText { code, message, path } = RefusalText::new("SEATS_UNAVAILABLE", "some of the seats are taken");
                SeatsUnavailableError { code, message, path, seats: lost.iter().flat_map(seats).collect(), lost }.into()
            }
            Refusal::HoldLimit(limit) => {
                let message = format!("one person may have {limit} active holds");
                let RefusalText { code, message, path } = RefusalText::new("HOLD_LIMIT", message);
                HoldLimitError { code, message, path, limit: i32::try_from(limit).unwrap_or(i32::MAX) }.into()
            }
            Refusal::IdempotencyConflict => {
                let message = "this idempotencyKey was used for another request";
                let path = ["idempotencyKey".to_owned()];
                IdempotencyConflictError::from_text(text("IDEMPOTENCY_CONFLICT", message, &path)).into()
            }
            Refusal::InvalidTransition(message) => {
                InvalidTransitionError::from_text(RefusalText::new("INVALID_TRANSITION", message)).into()
            }
        }
    }
}

fn seats(lost: &Lost) -> impl Iterator<Item = Seat> + '_ {
    lost.seats.iter().map(|&(spot_no, state)| Seat { trip: lost.trip.clone(), spot_no, segment: lost.segment, state })
}
