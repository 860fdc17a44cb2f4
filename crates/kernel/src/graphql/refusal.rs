//! Refusals that several mutations share, and GraphQL errors for everything that is not data.
//!
//! Each subgraph declares its own `UserError` interface over its refusals:
//! `#[derive(Interface)] #[graphql(field(name = "code", ty = "&String", desc = "..."), ...)] enum UserError { ... }`.

use std::{fmt::Display, sync::Arc};

use async_graphql::{Error, ErrorExtensions, SimpleObject};

/// The three fields every refusal has.
#[derive(Debug, Clone)]
pub struct RefusalText {
    /// Stable code, listed in docs/ERRORS.md.
    pub code: String,
    /// One sentence for a developer.
    pub message: String,
    /// Where in the input: `["input", "email"]`.
    pub path: Option<Vec<String>>,
}

impl RefusalText {
    /// A refusal of the input as a whole.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        crate::metrics::refused(code);
        Self { code: code.to_owned(), message: message.into(), path: None }
    }

    /// A refusal of one field of the input, named from `input` on.
    pub fn at(code: &str, message: impl Into<String>, path: &[&str]) -> Self {
        let path = std::iter::once("input").chain(path.iter().copied()).map(str::to_owned).collect();
        Self { path: Some(path), ..Self::new(code, message) }
    }
}

macro_rules! refusal {
    ($(#[$meta:meta])* $name:ident $(, $(#[$extra_meta:meta])* $extra:ident: $ty:ty)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, SimpleObject)]
        #[graphql(shareable)]
        pub struct $name {
            /// Stable code for programs; every code is listed in docs/ERRORS.md.
            pub code: String,
            /// One sentence for a developer. Not for matching, may change.
            pub message: String,
            /// Which part of the input it is about, from the argument down: input, email. Null when it is about the whole.
            pub path: Option<Vec<String>>,
            $($(#[$extra_meta])* pub $extra: $ty,)*
        }

        impl $name {
            /// The refusal with these texts.
            pub fn from_text(text: RefusalText $(, $extra: $ty)*) -> Self {
                Self { code: text.code, message: text.message, path: text.path $(, $extra)* }
            }
        }
    };
}

refusal!(
    /// A part of the input can't be accepted: malformed, out of range, missing or contradictory. Nothing was changed. See path for where.
    InvalidInputError
);
refusal!(
    /// What an id of the input names does not exist, or is not yours. Nothing was changed.
    NotFoundError
);
refusal!(
    /// The thing is in a state in which this can't be done any more (or yet). Nothing was changed.
    InvalidTransitionError
);
refusal!(
    /// The idempotencyKey was used before with another input. Nothing was changed; take a new key for a new request.
    IdempotencyConflictError
);
refusal!(
    /// The first request with this idempotencyKey is still being worked on. Repeat the same request later.
    IdempotencyInProgressError,
    /// Milliseconds to wait before the repeat.
    retry_after_ms: i32
);
refusal!(
    /// Too many attempts. Nothing was changed.
    RateLimitedError,
    /// Milliseconds to wait before the next attempt can succeed.
    retry_after_ms: i32
);

/// A refusal where the result is no union (queries): a GraphQL error with a code.
pub fn refuse(code: &'static str, message: impl Into<String>) -> Error {
    crate::metrics::refused(code);
    Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", code);
        extensions.set("retryable", false);
    })
}

/// The error that ends a private stream with its access token.
pub fn token_expired() -> Error {
    refuse("TOKEN_EXPIRED", "the access token has ended: refresh the session and subscribe again")
}

/// Nobody is signed in, and somebody must be.
pub fn unauthenticated() -> Error {
    refuse("UNAUTHENTICATED", "sign in first: this needs an access token")
}

/// Why we could not answer. The door logs it with the operation, the field and who asked, and no client sees it.
pub(crate) struct Cause(pub String);

/// Our own fault: the cause goes to the log, the client gets a code and a masked message.
pub fn internal(cause: &impl Display) -> Error {
    crate::metrics::refused("SERVICE_UNAVAILABLE");
    let error = Error { source: Some(Arc::new(Cause(cause.to_string()))), ..Error::new("the service can't answer now") };
    error.extend_with(|_, extensions| {
        extensions.set("code", "SERVICE_UNAVAILABLE");
        extensions.set("retryable", true);
    })
}
