//! A transaction at the sandbox, and what may happen to it. Pure.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// `transaction_status` of Midtrans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waits for the payer.
    Pending,
    /// Paid.
    Settlement,
    /// Not paid in time.
    Expire,
    /// Cancelled by the merchant.
    Cancel,
    /// Refused by the payer's bank.
    Deny,
    /// A part was given back.
    PartialRefund,
    /// All was given back.
    Refund,
}

const NAMES: [(Status, &str); 7] = [
    (Status::Pending, "pending"),
    (Status::Settlement, "settlement"),
    (Status::Expire, "expire"),
    (Status::Cancel, "cancel"),
    (Status::Deny, "deny"),
    (Status::PartialRefund, "partial_refund"),
    (Status::Refund, "refund"),
];

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(status, _)| *status == self).map_or("pending", |(_, name)| name)
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// `status_code` beside it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "201",
            Self::Deny | Self::Expire => "202",
            Self::Settlement | Self::Cancel | Self::PartialRefund | Self::Refund => "200",
        }
    }

    /// May this follow? A transfer can arrive after the deadline, and a bank can take back what it had settled.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Settlement | Self::Expire | Self::Cancel | Self::Deny)
                | (Self::Expire | Self::Cancel, Self::Settlement)
                | (Self::Settlement, Self::Deny | Self::PartialRefund | Self::Refund)
                | (Self::PartialRefund, Self::PartialRefund | Self::Refund)
        )
    }
}

/// A transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The merchant's name of it.
    pub order_id: String,
    /// Ours.
    pub transaction_id: Uuid,
    /// State.
    pub status: Status,
    /// Whole rupiah.
    pub gross_amount: i64,
    /// Whose QR code it is.
    pub acquirer: String,
    /// What the code says.
    pub qr_string: String,
    /// What the payer is shown: the booking's code.
    pub label: Option<String>,
    /// When it was ordered.
    pub created_at: DateTime<Utc>,
    /// When it expires.
    pub expires_at: DateTime<Utc>,
    /// When it was paid.
    pub settled_at: Option<DateTime<Utc>>,
    /// Counts changes.
    pub version: i64,
}

impl Transaction {
    /// The state at an instant: the deadline holds even if nothing has written it down yet.
    pub fn status_at(&self, now: DateTime<Utc>) -> Status {
        if self.status == Status::Pending && self.expires_at <= now { Status::Expire } else { self.status }
    }

    /// `185000.00`
    pub fn gross_text(&self) -> String {
        format!("{}.00", self.gross_amount)
    }
}

/// Money given back.
#[derive(Debug, Clone)]
pub struct Refund {
    /// The merchant's name of it.
    pub refund_key: String,
    /// Whole rupiah.
    pub amount: i64,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_transfers_settle() {
        assert!(Status::Expire.may_become(Status::Settlement));
        assert!(Status::Settlement.may_become(Status::Deny));
        assert!(!Status::Refund.may_become(Status::Settlement));
        assert!(!Status::Settlement.may_become(Status::Expire));
    }

    #[test]
    fn names_go_round() {
        for (status, name) in NAMES {
            assert_eq!((status.name(), Status::parse(name)), (name, Some(status)));
        }
    }
}
