//! What can go wrong: refusals, which are answers, and faults, which are ours.

use berth_contracts::peer::PeerError;
use berth_kernel::{db::Undoing, seal::Unsealable};
use chrono::TimeDelta;
use sea_orm::DbErr;

/// A part of the input that can't be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid {
    /// Name of the field in the input.
    pub field: &'static str,
    /// Why, for a developer.
    pub why: &'static str,
}

/// How a refresh token leads to no live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The token was never given out.
    Unknown,
    /// Signed out, or ended because a token was used twice.
    Revoked,
    /// Not refreshed in time.
    Expired,
}

/// A typed answer that is not a success. Nothing was changed, except for what counts attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The input can't be accepted.
    Invalid(Invalid),
    /// The one-time password is wrong, or the flow unknown.
    OtpInvalid {
        /// Tries that remain.
        attempts_left: i32,
    },
    /// The one-time password is too old.
    OtpExpired,
    /// Too many wrong one-time passwords.
    OtpLocked,
    /// Address and password do not belong together, or there is no such account.
    Credentials,
    /// The password was right, but an admin has suspended the account.
    AccountSuspended,
    /// Only admins may do this.
    Forbidden,
    /// The address has an account.
    AccountExists,
    /// An admin would take rights from themselves.
    OwnAccount,
    /// There would be no admin any more.
    LastAdmin,
    /// The link for a new password is unknown, too old, or was used.
    ResetToken,
    /// The refresh token leads to no live session.
    SessionEnded(SessionEnd),
    /// The id names nothing, or something of another person.
    NotFound {
        /// Name of the field in the input.
        field: &'static str,
    },
    /// The list of passengers is full.
    PassengerLimit {
        /// How many there may be.
        limit: i32,
    },
    /// The list of bank accounts is full.
    BankAccountLimit {
        /// How many there may be.
        limit: i32,
    },
    /// Somebody has the user name.
    UsernameTaken,
    /// Bookings of the person are unfinished.
    OpenBookings {
        /// How many.
        count: u32,
    },
    /// The code of the second factor is wrong or was used.
    SecondFactor {
        /// Tries that remain of a sign-in that waits.
        attempts_left: Option<i32>,
    },
    /// The sign-in waits no more: too late, too many tries, or completed.
    ChallengeEnded,
    /// Not in this state.
    Transition(&'static str),
    /// The answer of an authenticator is not good.
    Passkey {
        /// Why, for a developer.
        why: &'static str,
    },
    /// The account has as many passkeys as it may.
    PasskeyLimit {
        /// How many there may be.
        limit: i32,
    },
    /// A sign-up costs work that was not shown.
    WorkRequired {
        /// Leading zero bits of the hash.
        bits: i32,
    },
    /// The sign-in is too long ago for what is asked.
    ProofRequired,
    /// Too many attempts.
    RateLimited {
        /// When the next can succeed.
        retry_after: TimeDelta,
    },
}

/// Why a use case did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A refusal.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The token is genuine, but its account is not here (another database).
    #[error("the access token names no account")]
    Stranger,
    /// The database failed.
    #[error("the database failed")]
    Db(#[from] DbErr),
    /// Another service gave no answer.
    #[error("another service gave no answer")]
    Peer(#[from] PeerError),
    /// Personal data can't be opened: the data key was changed.
    #[error("personal data can't be opened")]
    Seal(#[from] Unsealable),
    /// A library refused what it should not.
    #[error("{what} failed: {why}")]
    Library {
        /// Which step.
        what: &'static str,
        /// The library's words.
        why: String,
    },
}

impl Error {
    /// What went wrong with everything that caused it, for the log.
    pub fn chain(&self) -> String {
        let (mut text, mut cause) = (self.to_string(), std::error::Error::source(self));
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        text
    }

    /// A fault in a library, named by the step.
    pub fn library(what: &'static str, why: &impl ToString) -> Self {
        Self::Library { what, why: why.to_string() }
    }
}

impl Undoing for Error {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(Refusal::Invalid(invalid))
    }
}
