//! Mutations.

use async_graphql::{Context, Object, Result};
use berth_contracts::Kind;
use berth_kernel::graphql::{authenticated, signed_in};

use super::{
    bookings, fault,
    types::{
        Booking, CancelBookingInput, CancelBookingResult, CancelBookingSuccess, CreateBookingInput, CreateBookingResult,
        CreateBookingSuccess, cancel_refused, create_refused,
    },
};
use crate::error::Error;

/// Everything that can be changed.
pub struct Mutation;

/// Everything that can be changed.
#[Object]
impl Mutation {
    /// Makes a booking from your hold. Prices, names and times are copied; the seats stay held until expiresAt, and the booking must be
    /// paid by then.
    #[graphql(directive = authenticated::apply())]
    async fn create_booking(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to book.")] input: CreateBookingInput,
    ) -> Result<CreateBookingResult> {
        let (person, service) = (signed_in(ctx)?, bookings(ctx));
        let key = input.idempotency_key.clone();
        match service.create(person.user_id, input.order(), &key).await {
            Ok(booking) => Ok(CreateBookingSuccess { booking: Booking::show(booking, service.deps.clock.now()) }.into()),
            Err(Error::Refused(refusal)) => create_refused(&refusal).ok_or_else(|| fault(&refusal.into())),
            Err(error) => Err(fault(&error)),
        }
    }

    /// Cancels your booking while it is `PENDING_PAYMENT`: its seats are free at once and open payments are closed. Cancelling a
    /// cancelled booking again changes nothing. Money that arrives anyway goes back by itself.
    #[graphql(directive = authenticated::apply())]
    async fn cancel_booking(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to cancel.")] input: CancelBookingInput,
    ) -> Result<CancelBookingResult> {
        let (person, service) = (signed_in(ctx)?, bookings(ctx));
        let id = Kind::Booking.decode(&input.booking_id).ok();
        match service.cancel(person.user_id, id, &input.idempotency_key).await {
            Ok(booking) => Ok(CancelBookingSuccess { booking: Booking::show(booking, service.deps.clock.now()) }.into()),
            Err(Error::Refused(refusal)) => cancel_refused(&refusal).ok_or_else(|| fault(&refusal.into())),
            Err(error) => Err(fault(&error)),
        }
    }
}
