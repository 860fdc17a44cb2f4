//! The noun: a booking, its states and the transitions between them. Pure.

use berth_contracts::{Kind, Money};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::contact::Contact;

/// Where the saga of a booking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for money until the deadline.
    PendingPayment,
    /// Paid; the seats are being sold to it.
    Confirming,
    /// Sold, tickets issued.
    Confirmed,
    /// Cancelled by its owner before it was paid.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Money must go back.
    RefundPending,
    /// All money went back.
    Refunded,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::PendingPayment,
        Self::Confirming,
        Self::Confirmed,
        Self::Cancelled,
        Self::Expired,
        Self::RefundPending,
        Self::Refunded,
    ];

    /// The state's name, as stored and as in the graph.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingPayment => "PENDING_PAYMENT",
            Self::Confirming => "CONFIRMING",
            Self::Confirmed => "CONFIRMED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::RefundPending => "REFUND_PENDING",
            Self::Refunded => "REFUNDED",
        }
    }

    /// Reads a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a booking may go from here to there. Everything else is a fault of ours.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::PendingPayment, Self::Confirming | Self::Expired | Self::Cancelled)
                | (Self::Expired, Self::Confirming)
                | (Self::Confirming, Self::Confirmed | Self::RefundPending)
                | (Self::Cancelled, Self::RefundPending)
                | (Self::RefundPending, Self::Refunded)
        )
    }

    /// Whether the booking waits for our own work in this state.
    pub const fn is_underway(self) -> bool {
        matches!(self, Self::Confirming | Self::RefundPending)
    }
}

/// What clients see of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// See [`State::PendingPayment`].
    PendingPayment,
    /// See [`State::Confirming`].
    Confirming,
    /// See [`State::Confirmed`].
    Confirmed,
    /// See [`State::Cancelled`].
    Cancelled,
    /// See [`State::Expired`].
    Expired,
    /// See [`State::RefundPending`].
    RefundPending,
    /// See [`State::Refunded`].
    Refunded,
    /// Some parts were given back.
    PartiallyRefunded,
    /// Our own work takes too long; it goes on, and people look at it.
    NeedsAttention,
}

impl Status {
    /// The name in the graph.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingPayment => State::PendingPayment.name(),
            Self::Confirming => State::Confirming.name(),
            Self::Confirmed => State::Confirmed.name(),
            Self::Cancelled => State::Cancelled.name(),
            Self::Expired => State::Expired.name(),
            Self::RefundPending => State::RefundPending.name(),
            Self::Refunded => State::Refunded.name(),
            Self::PartiallyRefunded => "PARTIALLY_REFUNDED",
            Self::NeedsAttention => "NEEDS_ATTENTION",
        }
    }
}

impl From<State> for Status {
    fn from(state: State) -> Self {
        match state {
            State::PendingPayment => Self::PendingPayment,
            State::Confirming => Self::Confirming,
            State::Confirmed => Self::Confirmed,
            State::Cancelled => Self::Cancelled,
            State::Expired => Self::Expired,
            State::RefundPending => Self::RefundPending,
            State::Refunded => Self::Refunded,
        }
    }
}

/// A booking's id as the graph, the log and the provider's books call it.
pub fn public(id: Uuid) -> String {
    Kind::Booking.encode(id)
}

/// A booking: what was agreed, and where its saga stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// Its key, made from the hold's: see [`key_of`].
    pub id: Uuid,
    /// Six characters that people can read aloud.
    pub code: String,
    /// Its owner.
    pub user_id: Uuid,
    /// The hold it was made from.
    pub hold_id: Uuid,
    /// Whom to write to.
    pub contact: Contact,
    /// What it costs, computed by the server.
    pub total: Money,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Until when it may be paid.
    pub expires_at: DateTime<Utc>,
    /// Where the saga stands.
    pub state: State,
    /// Since when.
    pub state_since: DateTime<Utc>,
    /// Counts the changes of the row: who read an older one may not write.
    pub revision: i64,
    /// Our own work takes too long.
    pub attention: bool,
    /// The money came after the deadline.
    pub late: bool,
    /// The payment that pays for it.
    pub paid_by: Option<Uuid>,
    /// The hold must be released, or unpaid payments closed.
    pub cleanup_due: bool,
    /// Looks and tries since the last transition.
    pub attempts: i32,
    /// When the reconciler must look at it again; `None`: never.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// A transition that the model does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a booking can't go from {} to {}", .0.name(), .1.name())]
pub struct UnknownTransition(pub State, pub State);

impl Booking {
    /// What clients see now: a deadline counts the moment it passes, whether or not anything has acted on it.
    pub fn status(&self, now: DateTime<Utc>) -> Status {
        match self.state {
            _ if self.attention => Status::NeedsAttention,
            State::PendingPayment if now >= self.expires_at => Status::Expired,
            state => state.into(),
        }
    }

    /// The booking in its next state, to be looked at again at once.
    pub fn moved(&self, next: State, now: DateTime<Utc>) -> Result<Self, UnknownTransition> {
        if !self.state.may_become(next) {
            return Err(UnknownTransition(self.state, next));
        }
        let moved = Self { state: next, state_since: now, attention: false, ..self.clone() };
        Ok(moved.again_at(Some(now), 0))
    }

    /// The booking unchanged but for the next look.
    pub fn again_at(&self, at: Option<DateTime<Utc>>, attempts: i32) -> Self {
        Self { next_attempt_at: at, attempts, ..self.clone() }
    }
}

/// The key of the booking that a hold makes: the hold's own UUID v7 with some random bits flipped. A hold makes one booking,
/// so every attempt, also one after a crash between two services, names the same one.
pub fn key_of(hold_id: Uuid) -> Uuid {
    const FLIPPED: u128 = 0x0000_00b0_0c1e_d5ea;
    Uuid::from_u128(hold_id.as_u128() ^ FLIPPED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round() {
        for state in State::ALL {
            assert_eq!(State::parse(state.name()), Some(state));
        }
        assert_eq!(State::parse("NEEDS_ATTENTION"), None);
    }

    #[test]
    fn the_model_has_eight_transitions() {
        let known = State::ALL.iter().flat_map(|from| State::ALL.iter().map(move |to| (from, to)));
        assert_eq!(known.filter(|(from, to)| from.may_become(**to)).count(), 8);
    }

    #[test]
    fn a_hold_names_its_booking() {
        let hold = Uuid::parse_str("0199f0a1-7b3c-7def-8123-456789abcdef").expect("a key");
        let key = key_of(hold);
        assert_ne!(key, hold);
        assert_eq!((key.get_version_num(), key_of(key)), (7, hold));
    }
}
