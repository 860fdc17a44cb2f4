//! The noun: money of one payment that must go back, and why.

use berth_contracts::Money;
use uuid::Uuid;

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The seats were sold to somebody else before the money came.
    SeatsGone,
    /// The booking was cancelled before the money came.
    Cancelled,
    /// The booking did not need this payment: it was paid by another one, or the amount is not its price.
    NotNeeded,
}

impl Reason {
    /// The name, as stored and as told to payment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SeatsGone => "SEATS_GONE",
            Self::Cancelled => "BOOKING_CANCELLED",
            Self::NotNeeded => "NOT_NEEDED",
        }
    }

    /// Reads a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::SeatsGone, Self::Cancelled, Self::NotNeeded].into_iter().find(|reason| reason.name() == name)
    }
}

/// The whole of a payment that must go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repayment {
    /// The payment.
    pub payment_id: Uuid,
    /// The booking it was meant for.
    pub booking_id: Uuid,
    /// Why.
    pub reason: Reason,
    /// How much.
    pub amount: Money,
    /// Whether the provider has given it back.
    pub done: bool,
}
