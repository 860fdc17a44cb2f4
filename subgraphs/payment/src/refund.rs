//! Money that goes back. Pure.

use berth_contracts::{Kind, peer::RefundState};
use berth_kernel::clock::Clock;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The state of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Asked for.
    Requested,
    /// Told to the provider at least once; its answer may be lost.
    Submitted,
    /// The money went back.
    Succeeded,
    /// The provider refused for good.
    Failed,
}

impl Status {
    /// The name in the database and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Submitted => "SUBMITTED",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Requested, Self::Submitted, Self::Succeeded, Self::Failed].into_iter().find(|status| status.name() == name)
    }

    /// How a peer sees it.
    pub const fn for_peer(self) -> RefundState {
        match self {
            Self::Requested | Self::Submitted => RefundState::Pending,
            Self::Succeeded => RefundState::Succeeded,
            Self::Failed => RefundState::Failed,
        }
    }
}

/// A refund: one per payment and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Key; its public form is the `refund_key` at the provider, which makes a repeat harmless there.
    pub id: Uuid,
    /// Of which payment.
    pub payment_id: Uuid,
    /// Why.
    pub reason: String,
    /// How much, in minor units of the payment's currency.
    pub amount_minor: i64,
    /// State.
    pub status: Status,
    /// How often the provider was told.
    pub attempts: i64,
    /// When it is told next.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

impl Refund {
    /// A new refund, due at once.
    pub fn requested(clock: &Clock, payment_id: Uuid, reason: &str, amount_minor: i64) -> Self {
        let (now, status) = (clock.now(), Status::Requested);
        let (id, reason) = (clock.new_key(), reason.to_owned());
        Self { id, payment_id, reason, amount_minor, status, attempts: 0, next_attempt_at: Some(now), created_at: now }
    }

    /// Its name at the provider.
    pub fn provider_key(&self) -> String {
        Kind::Refund.encode(self.id)
    }
}
