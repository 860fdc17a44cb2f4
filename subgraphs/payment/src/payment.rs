//! A payment and its rules. Pure.

use berth_contracts::{Kind, Money};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    config::Polling,
    provider::{Sighting, Truth},
};

/// The state of a payment, as in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Recorded; the provider may not know it yet.
    Created,
    /// The provider waits for the payer.
    Pending,
    /// The payer agreed; the money is not ours yet.
    Authorized,
    /// The money is ours.
    Paid,
    /// A part went back.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// The provider or the payer's bank refused.
    Failed,
    /// Nobody paid in time.
    Expired,
    /// Closed before anybody paid.
    Cancelled,
    /// The provider contradicts itself or us: a person must look.
    NeedsAttention,
}

const STATUSES: [(Status, &str); 10] = [
    (Status::Created, "CREATED"),
    (Status::Pending, "PENDING"),
    (Status::Authorized, "AUTHORIZED"),
    (Status::Paid, "PAID"),
    (Status::PartiallyRefunded, "PARTIALLY_REFUNDED"),
    (Status::Refunded, "REFUNDED"),
    (Status::Failed, "FAILED"),
    (Status::Expired, "EXPIRED"),
    (Status::Cancelled, "CANCELLED"),
    (Status::NeedsAttention, "NEEDS_ATTENTION"),
];

impl Status {
    /// Every status.
    pub fn all() -> impl Iterator<Item = Self> {
        STATUSES.into_iter().map(|(status, _)| status)
    }

    /// The name in the graph, in events and in the database.
    pub fn name(self) -> &'static str {
        STATUSES.iter().find(|(status, _)| *status == self).map_or("NEEDS_ATTENTION", |(_, name)| name)
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        STATUSES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// May the payer still be asked to pay?
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Pending | Self::Authorized)
    }

    /// Did it end without money, so far?
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Failed | Self::Expired | Self::Cancelled)
    }

    /// Is there money that could be given back?
    pub const fn is_refundable(self) -> bool {
        matches!(self, Self::Paid | Self::PartiallyRefunded)
    }

    /// The state after the provider said this; `None` when nothing changes. Old news never moves a payment backwards.
    pub const fn after(self, truth: Truth) -> Option<Self> {
        match (self, truth) {
            // Money counts whenever it comes: also after we gave the payment up.
            (open_or_closed, Truth::Settled) if open_or_closed.is_open() || open_or_closed.is_closed() => Some(Self::Paid),
            (Self::Created, Truth::Pending) => Some(Self::Pending),
            (Self::Created | Self::Pending, Truth::Authorized) => Some(Self::Authorized),
            (open, Truth::Denied) if open.is_open() => Some(Self::Failed),
            (open, Truth::Expired) if open.is_open() => Some(Self::Expired),
            (open, Truth::Cancelled) if open.is_open() => Some(Self::Cancelled),
            // The provider takes back what it had called settled.
            (paid, Truth::Denied | Truth::Cancelled) if paid.is_refundable() => Some(Self::NeedsAttention),
            _ => None,
        }
    }
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Key.
    pub id: Uuid,
    /// What it pays for.
    pub booking_id: Uuid,
    /// Who pays.
    pub user_id: Uuid,
    /// The booking's code, for people.
    pub booking_code: String,
    /// State.
    pub status: Status,
    /// What is asked; never changes.
    pub amount: Money,
    /// How: `qris`.
    pub method: String,
    /// Which acquirer the payer wished.
    pub acquirer: Option<String>,
    /// Who collects the money.
    pub provider: String,
    /// Counts the orders placed at the provider for this payment; see [`Payment::order_id`].
    pub attempt: i64,
    /// The provider's own name of the order.
    pub transaction_id: Option<String>,
    /// What the QR code says.
    pub qris_payload: Option<String>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// When the money came.
    pub paid_at: Option<DateTime<Utc>>,
    /// How much went back, in minor units.
    pub refunded_minor: i64,
    /// The booking ended: it must be closed at the provider.
    pub close_requested: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the provider is asked next.
    pub next_poll_at: Option<DateTime<Utc>>,
    /// Counts changes, from 1.
    pub version: i64,
}

impl Payment {
    /// Its public id.
    pub fn public_id(&self) -> String {
        Kind::Payment.encode(self.id)
    }

    /// The public id of its booking.
    pub fn booking_public_id(&self) -> String {
        Kind::Booking.encode(self.booking_id)
    }

    /// Its name at the provider: the public id; from the second attempt on with a number. A further attempt is made only
    /// when the answer to the one before was lost, so nobody has seen the QR code of an earlier one.
    pub fn order_id(&self) -> String {
        match self.attempt {
            1 => self.public_id(),
            attempt => format!("{}-{attempt}", self.public_id()),
        }
    }

    /// What went back.
    pub const fn refunded(&self) -> Money {
        Money::new(self.refunded_minor, self.amount.currency)
    }

    /// The state after this look at the provider; `None` when nothing changes.
    pub fn after(&self, sighting: &Sighting) -> Option<Status> {
        match self.status.after(sighting.truth)? {
            // The order waits, but the answer with its QR code is lost or still on its way: nothing can be shown yet.
            Status::Pending if sighting.qris_payload.is_none() => None,
            // Other money than asked for pays no booking.
            Status::Paid if Some(sighting.gross) != self.amount.whole_major().ok() => Some(Status::NeedsAttention),
            next => Some(next),
        }
    }

    /// When to look next without being told: as long as money may come.
    pub fn next_poll(&self, polling: &Polling, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.status.is_open() && !self.status.is_closed() {
            return None;
        }
        let early = polling.after_creation.iter().map(|span| self.created_at + *span);
        let late = polling.after_expiry.iter().map(|span| self.expires_at + *span);
        let planned = early.chain(late).filter(|at| *at > now).min();
        planned.or_else(|| self.status.is_open().then(|| now + polling.afterwards))
    }
}

/// Which payment, and which attempt of it, an order at the provider stands for.
pub fn read_order_id(order_id: &str) -> Option<(Uuid, i64)> {
    let (public_id, attempt) = match order_id.split_once('-') {
        None => (order_id, 1),
        Some((public_id, attempt)) => (public_id, attempt.parse().ok().filter(|attempt| *attempt > 1)?),
    };
    Some((Kind::Payment.decode(public_id).ok()?, attempt))
}

/// A line of a payment's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// The state reached.
    pub status: Status,
    /// Why, for people.
    pub note: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRUTHS: [Truth; 6] =
        [Truth::Pending, Truth::Authorized, Truth::Settled, Truth::Denied, Truth::Expired, Truth::Cancelled];

    fn rank(status: Status) -> u8 {
        match status {
            Status::Created => 0,
            Status::Pending => 1,
            Status::Authorized => 2,
            Status::Failed | Status::Expired | Status::Cancelled => 3,
            Status::Paid => 4,
            Status::PartiallyRefunded => 5,
            Status::Refunded => 6,
            Status::NeedsAttention => 7,
        }
    }

    #[test]
    fn names_go_round() {
        for (status, name) in STATUSES {
            assert_eq!((status.name(), Status::parse(name)), (name, Some(status)));
        }
    }

    #[test]
    fn late_money_counts() {
        for closed in [Status::Failed, Status::Expired, Status::Cancelled] {
            assert_eq!(closed.after(Truth::Settled), Some(Status::Paid));
            assert_eq!(closed.after(Truth::Pending), None);
            assert_eq!(closed.after(Truth::Expired), None);
        }
    }

    #[test]
    fn a_settlement_that_is_denied_needs_attention() {
        assert_eq!(Status::Paid.after(Truth::Denied), Some(Status::NeedsAttention));
        assert_eq!(Status::Paid.after(Truth::Expired), None);
        assert_eq!(Status::Refunded.after(Truth::Settled), None);
    }

    #[test]
    fn order_ids_go_round() {
        let key = berth_kernel::clock::Clock::system().new_key();
        let id = Kind::Payment.encode(key);
        assert_eq!(read_order_id(&id), Some((key, 1)));
        assert_eq!(read_order_id(&format!("{id}-3")), Some((key, 3)));
        assert_eq!(read_order_id(&format!("{id}-1")), None);
        assert_eq!(read_order_id("payment_x"), None);
    }

    proptest! {
        #[test]
        fn news_in_any_order_never_moves_backwards(news in proptest::collection::vec(0_usize..6, 0..30)) {
            let mut status = Status::Created;
            for index in news {
                let next = status.after(TRUTHS[index]).unwrap_or(status);
                prop_assert!(rank(next) >= rank(status), "{status:?} -> {next:?}");
                prop_assert_eq!(next.after(TRUTHS[index]).filter(|_| next != status && TRUTHS[index] != Truth::Denied && TRUTHS[index] != Truth::Cancelled), None);
                status = next;
            }
        }
    }
}
