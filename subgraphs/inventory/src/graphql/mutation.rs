//! Mutations: each reads its input, calls one use case and maps the outcome.

use async_graphql::{Context, Object, Result, SimpleObject, Union};
use berth_contracts::Kind;
use berth_kernel::graphql::{
    IdempotencyConflictError, InvalidInputError, InvalidTransitionError, NotFoundError, authenticated, internal, signed_in,
};

use super::types::{
    hold::{Hold, PlaceHoldInput, ReleaseHoldInput},
    refusal::{HoldLimitError, SaleClosedError, SeatsUnavailableError, UserError, refused},
};
use crate::{
    hold::invalid,
    holds::{HoldError, Holds},
};

/// Mutations of inventory.
pub struct Mutation;

/// The seats are held.
#[derive(SimpleObject)]
pub struct PlaceHoldSuccess {
    /// The hold. Book it before expiresAt.
    hold: Hold,
}

/// What placeHold answers.
#[derive(Union)]
pub enum PlaceHoldResult {
    /// Done.
    Success(PlaceHoldSuccess),
    /// A part of the input can't be accepted.
    InvalidInput(InvalidInputError),
    /// No such trip.
    NotFound(NotFoundError),
    /// Somebody else has some of the seats.
    SeatsUnavailable(SeatsUnavailableError),
    /// Too many active holds.
    HoldLimit(HoldLimitError),
    /// The trip is not sold any more.
    SaleClosed(SaleClosedError),
    /// The key was used for another input.
    Conflict(IdempotencyConflictError),
}

/// The hold is over.
#[derive(SimpleObject)]
pub struct ReleaseHoldSuccess {
    /// The hold: RELEASED, or EXPIRED when its deadline had passed before.
    hold: Hold,
}

/// What releaseHold answers.
#[derive(Union)]
pub enum ReleaseHoldResult {
    /// Done, now or before.
    Success(ReleaseHoldSuccess),
    /// The id can't be read.
    InvalidInput(InvalidInputError),
    /// No such hold of yours.
    NotFound(NotFoundError),
    /// It was sold, or belongs to a booking.
    InvalidTransition(InvalidTransitionError),
}

#[Object]
impl Mutation {
    /// Holds seats for you for 15 minutes: all of the request or nothing. At most 8 seats per hold and 4 active holds per person. Prices
    /// are the server's and stay until the deadline. Safe to repeat with the same idempotencyKey.
    #[graphql(directive = authenticated::apply())]
    async fn place_hold(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The seats, and the key that makes a repeat safe.")] input: PlaceHoldInput,
    ) -> Result<PlaceHoldResult> {
        let viewer = signed_in(ctx)?;
        let placed = match input.command() {
            Ok(command) => ctx.data::<Holds>()?.place(viewer.user_id, command).await,
            Err(refusal) => Err(refusal.into()),
        };
        match placed {
            Ok(hold) => Ok(PlaceHoldResult::Success(PlaceHoldSuccess { hold: Hold(hold) })),
            Err(error) => place_refusal(refused(error)?),
        }
    }

    /// Gives the seats of your hold back before its deadline. Repeating it changes nothing. A hold that belongs to a booking ends with
    /// cancelBooking.
    #[graphql(directive = authenticated::apply())]
    async fn release_hold(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The hold.")] input: ReleaseHoldInput,
    ) -> Result<ReleaseHoldResult> {
        let viewer = signed_in(ctx)?;
        let released = match Kind::Hold.decode(&input.hold_id) {
            Ok(id) => ctx.data::<Holds>()?.release(viewer.user_id, id).await,
            Err(error) => {
                let message = format!("not a hold_ id: {error}");
                Err(HoldError::from(invalid("INVALID_ID", message, vec!["holdId".to_owned()])))
            }
        };
        match released {
            Ok(hold) => Ok(ReleaseHoldResult::Success(ReleaseHoldSuccess { hold: Hold(hold) })),
            Err(error) => release_refusal(refused(error)?),
        }
    }
}

fn place_refusal(refusal: UserError) -> Result<PlaceHoldResult> {
    Ok(match refusal {
        UserError::InvalidInput(refusal) => refusal.into(),
        UserError::NotFound(refusal) => refusal.into(),
        UserError::SeatsUnavailable(refusal) => refusal.into(),
        UserError::HoldLimit(refusal) => refusal.into(),
        UserError::SaleClosed(refusal) => refusal.into(),
        UserError::Conflict(refusal) => refusal.into(),
        UserError::InvalidTransition(refusal) => return Err(internal(&refusal.message)),
    })
}

fn release_refusal(refusal: UserError) -> Result<ReleaseHoldResult> {
    Ok(match refusal {
        UserError::InvalidInput(refusal) => refusal.into(),
        UserError::NotFound(refusal) => refusal.into(),
        UserError::InvalidTransition(refusal) => refusal.into(),
        _ => return Err(internal(&"a refusal that releaseHold does not know")),
    })
}
