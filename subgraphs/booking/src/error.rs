//! Why a use case ended without its effect.

use berth_contracts::peer::PeerError;
use berth_kernel::db::Undoing;
use sea_orm::DbErr;

use crate::booking::Status;

/// What a use case answers when it did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be used now.
    #[error("the database failed")]
    Db(#[from] DbErr),
    /// Another service gave no answer.
    #[error("another service gave no answer")]
    Peer(#[from] PeerError),
    /// A stored row can't be read back: a fault of ours.
    #[error("a stored {0} can't be read")]
    Corrupt(&'static str),
    /// Another step changed the booking first: read it again.
    #[error("another step came first")]
    Stale,
    /// A typed refusal: the caller's matter.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Undoing for Error {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// The error with its sources, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }
}

/// Refusals that a client can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A part of the input can't be accepted.
    #[error("{message}")]
    Invalid {
        /// Where, below `input`.
        path: Vec<String>,
        /// Why.
        message: String,
    },
    /// No such thing, or not the viewer's.
    #[error("there is no such thing, or it is not yours")]
    NotFound {
        /// Which field named it, below `input`.
        path: Vec<String>,
    },
    /// The hold has ended.
    #[error("the hold has ended: hold the seats again")]
    HoldExpired,
    /// The hold made a booking before.
    #[error("this hold was booked before")]
    HoldAlreadyBooked {
        /// That booking.
        booking_id: uuid::Uuid,
    },
    /// Passengers and held seats don't match.
    #[error("{message}")]
    PassengerRule {
        /// Where, below `input`.
        path: Vec<String>,
        /// Why.
        message: String,
    },
    /// Not in this state.
    #[error("a booking that is {} can't be cancelled", .0.name())]
    InvalidTransition(Status),
    /// The key was used with another input.
    #[error("the idempotencyKey was used with another input")]
    IdempotencyConflict,
}

impl Refusal {
    /// An unacceptable part of the input.
    pub fn invalid(path: &[&str], message: &str) -> Self {
        Self::Invalid { path: owned(path), message: message.to_owned() }
    }

    /// Something absent that the input names.
    pub fn not_found(path: &[&str]) -> Self {
        Self::NotFound { path: owned(path) }
    }

    /// Passengers that don't fit the hold.
    pub fn passenger(path: &[&str], message: &str) -> Self {
        Self::PassengerRule { path: owned(path), message: message.to_owned() }
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().copied().map(str::to_owned).collect()
}
