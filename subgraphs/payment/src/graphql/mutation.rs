//! Mutations.

use async_graphql::{Context, Object, Result, SimpleObject, Union};
use berth_contracts::Kind;
use berth_kernel::graphql::{
    IdempotencyConflictError, IdempotencyInProgressError, InvalidInputError, InvalidTransitionError, NotFoundError, RefusalText,
    authenticated, internal, signed_in,
};

use super::{
    refusals::{AlreadyPaidError, PaymentPendingError, PaymentRefusedError, ProviderUnavailableError},
    types::{CreatePaymentInput, Payment, PaymentMethodInput},
};
use crate::{CreatePayment, Error, Payments, Refusal, error::chain};

/// Mutations of the payment service.
pub struct Mutation;

/// The payment was placed at the provider.
#[derive(SimpleObject)]
pub struct CreatePaymentSuccess {
    /// The payment, with the QR code to show.
    payment: Payment,
}

/// What createPayment answers.
#[derive(Union)]
pub enum CreatePaymentResult {
    /// Done.
    Success(CreatePaymentSuccess),
    /// A part of the input can't be accepted.
    InvalidInput(InvalidInputError),
    /// No such booking of yours.
    NotFound(NotFoundError),
    /// It was paid before.
    AlreadyPaid(AlreadyPaidError),
    /// It can't be paid any more.
    NotPayable(InvalidTransitionError),
    /// It has an open payment.
    Pending(PaymentPendingError),
    /// The key was used for another input.
    Conflict(IdempotencyConflictError),
    /// The first request is at work.
    InProgress(IdempotencyInProgressError),
    /// No answer from the provider.
    Unavailable(ProviderUnavailableError),
    /// The provider takes no order.
    Refused(PaymentRefusedError),
}

#[Object]
impl Mutation {
    /// Makes a payment for a booking and places it at the payment provider. The amount is the booking's total; the hold behind the
    /// booking is extended once, and the payment expires with it. Safe to repeat with the same idempotencyKey.
    #[graphql(directive = authenticated::apply())]
    async fn create_payment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to pay, how, and the key that makes a repeat harmless.")] input: CreatePaymentInput,
    ) -> Result<CreatePaymentResult> {
        let user_id = signed_in(ctx)?.user_id;
        let Ok(booking_id) = Kind::Booking.decode(&input.booking_id) else {
            let text = RefusalText::at("INVALID_INPUT", "bookingId is no id of a booking", &["bookingId"]);
            return Ok(CreatePaymentResult::InvalidInput(InvalidInputError::from_text(text)));
        };
        let PaymentMethodInput::Qris(qris) = input.method;
        let wish = CreatePayment { user_id, booking_id, acquirer: qris.acquirer, idempotency_key: input.idempotency_key };
        match ctx.data::<Payments>()?.create(wish).await {
            Ok(payment) => Ok(CreatePaymentResult::Success(CreatePaymentSuccess { payment: Payment(payment) })),
            Err(Error::Refused(refusal)) => Ok((*refusal).into()),
            Err(error) => Err(internal(&chain(&error))),
        }
    }
}

const RETRY_AFTER_MS: i32 = 1000;

impl From<Refusal> for CreatePaymentResult {
    fn from(refusal: Refusal) -> Self {
        let text = |code: &str, message: &str| RefusalText::new(code, message);
        match refusal {
            Refusal::InvalidInput(text) => Self::InvalidInput(InvalidInputError::from_text(text)),
            Refusal::BookingNotFound => {
                let text = RefusalText::at("NOT_FOUND", "there is no such booking of yours", &["bookingId"]);
                Self::NotFound(NotFoundError::from_text(text))
            }
            Refusal::AlreadyPaid(payment) => Self::AlreadyPaid(AlreadyPaidError::new(
                text("ALREADY_PAID", "the booking is paid"),
                payment.map(|payment| Payment(*payment)),
            )),
            Refusal::NotPayable(why) => Self::NotPayable(InvalidTransitionError::from_text(text("BOOKING_NOT_PAYABLE", &why))),
            Refusal::Pending(payment) => {
                let text = text("PAYMENT_PENDING", "the booking has an open payment: let it be paid, or wait until it ends");
                Self::Pending(PaymentPendingError::new(text, Payment(*payment)))
            }
            Refusal::Conflict => Self::Conflict(IdempotencyConflictError::from_text(RefusalText::at(
                "IDEMPOTENCY_CONFLICT",
                "the idempotencyKey was used with another input",
                &["idempotencyKey"],
            ))),
            Refusal::InProgress => Self::InProgress(IdempotencyInProgressError::from_text(
                text("IDEMPOTENCY_IN_PROGRESS", "the first request with this key is at work"),
                RETRY_AFTER_MS,
            )),
            Refusal::ProviderUnavailable => {
                let text = text("PROVIDER_UNAVAILABLE", "the payment provider gives no answer: repeat the same request");
                Self::Unavailable(ProviderUnavailableError::new(text, RETRY_AFTER_MS))
            }
            Refusal::ProviderRefused(payment) => {
                let text = text("PAYMENT_REFUSED", "the payment provider takes no order for this payment");
                Self::Refused(PaymentRefusedError::new(text, Payment(*payment)))
            }
        }
    }
}
