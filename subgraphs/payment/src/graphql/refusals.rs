//! Refusals of this subgraph, and the interface over all of them.

use async_graphql::{Interface, SimpleObject};
use berth_kernel::graphql::{
    IdempotencyConflictError, IdempotencyInProgressError, InvalidInputError, InvalidTransitionError, NotFoundError, RefusalText,
};

use super::types::Payment;

/// A refusal: nothing was changed, and the caller can do something about it. Every refusal has these fields, so this interface
/// also covers those that are added later.
#[derive(Interface)]
#[allow(clippy::duplicated_attributes, reason = "fields of one type")]
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
    /// No such thing of yours.
    NotFound(NotFoundError),
    /// Not in this state.
    InvalidTransition(InvalidTransitionError),
    /// The key was used for another input.
    Conflict(IdempotencyConflictError),
    /// The first request is at work.
    InProgress(IdempotencyInProgressError),
    /// It was paid before.
    AlreadyPaid(AlreadyPaidError),
    /// It has an open payment.
    Pending(PaymentPendingError),
    /// No answer from the provider.
    Unavailable(ProviderUnavailableError),
    /// The provider takes no order.
    Refused(PaymentRefusedError),
}

macro_rules! refusal {
    ($(#[$meta:meta])* $name:ident, $(#[$extra_meta:meta])* $extra:ident: $ty:ty) => {
        $(#[$meta])*
        #[derive(SimpleObject)]
        pub struct $name {
            /// Stable code for programs; every code is listed in docs/ERRORS.md.
            code: String,
            /// One sentence for a developer. Not for matching, may change.
            message: String,
            /// Which part of the input it is about, from the argument down: input, email. Null when it is about the whole.
            path: Option<Vec<String>>,
            $(#[$extra_meta])*
            $extra: $ty,
        }

        impl $name {
            /// The refusal with these texts.
            pub fn new(text: RefusalText, $extra: $ty) -> Self {
                Self { code: text.code, message: text.message, path: text.path, $extra }
            }
        }
    };
}

refusal!(
    /// The booking was paid before. Nothing was changed.
    AlreadyPaidError,
    /// The payment that paid it. Null when it is not known here.
    payment: Option<Payment>
);
refusal!(
    /// The booking has an open payment, made under another idempotencyKey. Nothing was changed.
    PaymentPendingError,
    /// The open payment: show its QR code.
    payment: Payment
);
refusal!(
    /// The payment provider gives no answer now. Repeat the same request with the same idempotencyKey.
    ProviderUnavailableError,
    /// Milliseconds to wait before the repeat.
    retry_after_ms: i32
);
refusal!(
    /// The payment provider takes no order for this payment, which is FAILED now. Another payment may be created with a new idempotencyKey.
    PaymentRefusedError,
    /// The failed payment.
    payment: Payment
);
