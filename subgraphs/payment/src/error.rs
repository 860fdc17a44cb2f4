//! What can go wrong, and what is refused.

use berth_contracts::peer::PeerError;
use berth_kernel::{db::Undoing, graphql::RefusalText};
use sea_orm::{DbErr, SqlErr};

use crate::{payment::Payment, provider::ProviderError};

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for what can't be: data, not a fault.
    #[error("refused")]
    Refused(Box<Refusal>),
    /// Our database.
    #[error("the database failed")]
    Database(#[source] DbErr),
    /// Somebody changed the row since it was read; the use case may be repeated.
    #[error("the payment changed meanwhile")]
    Raced,
    /// A row that must be unique is there already.
    #[error("the row is there already")]
    Taken,
    /// Another service.
    #[error("a peer failed")]
    Peer(#[source] PeerError),
    /// The provider.
    #[error("the provider failed")]
    Provider(#[source] ProviderError),
    /// No such payment.
    #[error("no such payment")]
    NotFound,
}

/// What a caller is told instead.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// A part of the input can't be accepted.
    InvalidInput(RefusalText),
    /// No such booking, or not the caller's.
    BookingNotFound,
    /// The booking is paid.
    AlreadyPaid(Option<Box<Payment>>),
    /// The booking can't be paid any more, or not yet.
    NotPayable(String),
    /// The booking has an open payment under another idempotency key.
    Pending(Box<Payment>),
    /// The idempotency key was used for something else.
    Conflict,
    /// The first request with the key is still at work.
    InProgress,
    /// The provider gives no answer now.
    ProviderUnavailable,
    /// The provider took no order.
    ProviderRefused(Box<Payment>),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl Undoing for Error {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Taken,
            _ => Self::Database(error),
        }
    }
}

impl From<PeerError> for Error {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::NotFound => Refusal::BookingNotFound.into(),
            PeerError::Unavailable(_) | PeerError::LockedOut(_) => Self::Peer(error),
        }
    }
}

impl From<ProviderError> for Error {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

/// The whole chain in one line, for the log.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
