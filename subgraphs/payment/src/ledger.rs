//! Double entry: every movement of money is one posting, debited to one account and credited to another. Pure.

use berth_contracts::Money;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What the provider owes us.
pub const AT_PROVIDER: &str = "at_provider";
/// What we owe our customers, in tickets or in money.
pub const OWED_TO_CUSTOMERS: &str = "owed_to_customers";

/// One movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Unique name: the same movement is never booked twice.
    pub key: String,
    /// The payment it belongs to.
    pub payment_id: Uuid,
    /// The account that receives.
    pub debit: &'static str,
    /// The account that gives.
    pub credit: &'static str,
    /// How much; positive.
    pub amount: Money,
    /// When.
    pub at: DateTime<Utc>,
}

impl Posting {
    /// The money of a payment came in.
    pub fn capture(payment_id: Uuid, amount: Money, at: DateTime<Utc>) -> Self {
        let key = format!("capture:{payment_id}");
        Self { key, payment_id, debit: AT_PROVIDER, credit: OWED_TO_CUSTOMERS, amount, at }
    }

    /// Money of a payment went back.
    pub fn refund(payment_id: Uuid, refund_id: Uuid, amount: Money, at: DateTime<Utc>) -> Self {
        let key = format!("refund:{refund_id}");
        Self { key, payment_id, debit: OWED_TO_CUSTOMERS, credit: AT_PROVIDER, amount, at }
    }
}

/// What a payment's postings add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Sum of all debits, in minor units.
    pub debits: i64,
    /// Sum of all credits, in minor units.
    pub credits: i64,
    /// What came in and was not given back, in minor units.
    pub held: i64,
    /// How many entries there are.
    pub entries: i64,
}
