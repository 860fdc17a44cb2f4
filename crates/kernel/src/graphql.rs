//! GraphQL types that all subgraphs share (value types of the federated graph), error answers, paging and the SDL.

mod locale;
mod page;
mod refusal;
mod scalar;
mod sdl;
mod span;

pub use locale::Locale;
pub use page::{Page, PageError, PageOf, Total, connection, page};
pub(crate) use refusal::Cause;
pub use refusal::{
    IdempotencyConflictError, IdempotencyInProgressError, InvalidInputError, InvalidTransitionError, NotFoundError,
    RateLimitedError, RefusalText, internal, refuse, token_expired, unauthenticated,
};
pub use scalar::{BigInt, Date, DateTime, Decimal, LocalDateTime, Money, TimeZone, in_utc};
pub use sdl::{authenticated, federation_sdl};
pub use span::{Span, connection_of, span};

use async_graphql::Context;

use crate::auth::{SignedIn, Viewer};

/// Who asks. Every request carries one.
pub fn viewer<'a>(ctx: &Context<'a>) -> &'a Viewer {
    static NOBODY: Viewer = Viewer(None);
    ctx.data_opt::<Viewer>().unwrap_or(&NOBODY)
}

/// The signed-in person, or the error with code `UNAUTHENTICATED`.
pub fn signed_in<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a SignedIn> {
    viewer(ctx).0.as_ref().ok_or_else(unauthenticated)
}
