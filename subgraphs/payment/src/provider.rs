//! The seam to payment providers: what we ask of one, and what it tells. Amounts are whole rupiah here, because Midtrans,
//! Xendit and QRIS know no fraction. To add a provider, implement [`Provider`] beside [`midtrans`].

pub mod midtrans;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// What the provider says about an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It waits for the payer.
    Pending,
    /// The payer agreed; the money is not moved yet.
    Authorized,
    /// The money came (it may have been given back since: see [`Sighting::refunds`]).
    Settled,
    /// Refused by the bank or the provider.
    Denied,
    /// Not paid in time.
    Expired,
    /// Cancelled before payment.
    Cancelled,
}

impl Truth {
    /// How the log calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Authorized => "AUTHORIZED",
            Self::Settled => "SETTLED",
            Self::Denied => "DENIED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// A look at an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its state.
    pub truth: Truth,
    /// What was asked for, in whole major units.
    pub gross: i64,
    /// The provider's own name of the order.
    pub transaction_id: Option<String>,
    /// What its QR code says. A status call need not tell it.
    pub qris_payload: Option<String>,
    /// What was given back so far.
    pub refunds: Vec<SeenRefund>,
}

/// A refund the provider knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRefund {
    /// The name we gave it, or the provider's when it was made there by hand.
    pub key: String,
    /// Whole major units.
    pub amount: i64,
}

/// An order to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Our name of the order; unique there.
    pub order_id: String,
    /// Whole major units.
    pub amount: i64,
    /// The booking's code, for people.
    pub label: String,
    /// Which acquirer the payer wished.
    pub acquirer: Option<String>,
    /// When it is placed.
    pub ordered_at: DateTime<Utc>,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
}

/// Money to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrder {
    /// Our name of the refund; a repeat with the same name gives nothing twice.
    pub key: String,
    /// Whole major units.
    pub amount: i64,
    /// Why.
    pub reason: String,
}

/// A notice whose sender is proven. It only tells which order to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Our name of the order.
    pub order_id: String,
}

/// Why a notice is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// No notice of this provider.
    #[error("the body is no notification of this provider")]
    Malformed,
    /// Not from the provider, or our key is not the one that it signs with.
    #[error("the signature does not match")]
    Signature {
        /// The order that it claims to tell of: anybody may have written it.
        order_id: String,
    },
}

/// Why the provider did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No answer, or it can't work now: whether it happened is unknown, ask again later.
    #[error("the provider gives no answer: {0}")]
    Unavailable(String),
    /// It knows no such order.
    #[error("the provider knows no such order")]
    NotFound,
    /// It has such an order (or refund) already.
    #[error("the provider has it already")]
    Duplicate,
    /// Refused for good.
    #[error("the provider refused: {0}")]
    Refused(String),
}

/// A payment provider. Every call may be repeated.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Stable name, stored with each payment.
    fn name(&self) -> &'static str;
    /// Places an order.
    async fn charge(&self, charge: &Charge) -> Result<Sighting, ProviderError>;
    /// Looks at an order.
    async fn status(&self, order_id: &str) -> Result<Sighting, ProviderError>;
    /// Closes an order that nobody has paid.
    async fn cancel(&self, order_id: &str) -> Result<(), ProviderError>;
    /// Gives money back. `Ok`: done or certain.
    async fn refund(&self, order_id: &str, refund: &RefundOrder) -> Result<(), ProviderError>;
    /// Proves who sent a notice.
    fn verify(&self, body: &[u8]) -> Result<Notice, NoticeError>;
}
