//! Types of the graph.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Interface, Object, OneofObject, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, Money, in_utc};

use super::{
    entity::Booking,
    loaders::{HistoryOf, failed, loader},
};
use crate::{Payments, payment};

/// Something with an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Opaque, prefixed id. Never parse it."))]
pub enum Node {
    /// A payment.
    Payment(Payment),
}

/// The state of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum PaymentStatus {
    /// Recorded; the provider has not confirmed the order yet. There is no QR code yet.
    Created,
    /// Waits for the payer: show the QR code.
    Pending,
    /// The payer agreed; the money is on its way.
    Authorized,
    /// The money came. The booking goes on by itself.
    Paid,
    /// A part of the money went back.
    PartiallyRefunded,
    /// All of the money went back.
    Refunded,
    /// Refused by the provider or the payer's bank. Create another payment.
    Failed,
    /// Nobody paid in time. Money that comes nevertheless makes it PAID.
    Expired,
    /// Closed because the booking ended before it was paid. Money that comes nevertheless makes it PAID.
    Cancelled,
    /// The provider contradicts itself, or other money came than was asked for. The operator looks at it.
    NeedsAttention,
}

impl From<payment::Status> for PaymentStatus {
    fn from(status: payment::Status) -> Self {
        match status {
            payment::Status::Created => Self::Created,
            payment::Status::Pending => Self::Pending,
            payment::Status::Authorized => Self::Authorized,
            payment::Status::Paid => Self::Paid,
            payment::Status::PartiallyRefunded => Self::PartiallyRefunded,
            payment::Status::Refunded => Self::Refunded,
            payment::Status::Failed => Self::Failed,
            payment::Status::Expired => Self::Expired,
            payment::Status::Cancelled => Self::Cancelled,
            payment::Status::NeedsAttention => Self::NeedsAttention,
        }
    }
}

/// A payment of a booking. Only its owner sees it.
pub struct Payment(pub payment::Payment);

#[Object]
impl Payment {
    /// Opaque, prefixed id. Never parse it.
    pub async fn id(&self) -> ID {
        ID(self.0.public_id())
    }

    /// State. Subscribe to paymentStatus to be told of changes.
    async fn status(&self) -> PaymentStatus {
        self.0.status.into()
    }

    /// What is to be paid: the booking's total when the payment was made. Always whole rupiah.
    async fn amount(&self) -> Money {
        self.0.amount.into()
    }

    /// How it is paid: qris.
    async fn method(&self) -> &str {
        &self.0.method
    }

    /// The QR code to show to the payer. Null before the provider has confirmed the order.
    async fn qris(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Qris>> {
        let payments = ctx.data::<Payments>()?;
        let image_url = payments.qr_url(&self.0);
        Ok(self.0.qris_payload.clone().map(|payload| Qris { payload, image_url }))
    }

    /// Until when it can be paid: the deadline of the booking.
    async fn expires_at(&self) -> Option<DateTime> {
        Some(in_utc(self.0.expires_at))
    }

    /// Every state it reached, oldest first.
    async fn history(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<PaymentEvent>> {
        let events = loader(ctx)?.load_one(HistoryOf(self.0.id)).await.map_err(|error| failed(&error))?;
        Ok(events.unwrap_or_default().into_iter().map(PaymentEvent::from).collect())
    }

    /// What it pays for. Null when the booking can't be read now.
    async fn booking(&self) -> Option<Booking> {
        Some(Booking { id: ID(Kind::Booking.encode(self.0.booking_id)) })
    }

    /// How much of it went back so far.
    async fn refunded(&self) -> Money {
        self.0.refunded().into()
    }

    /// When the money came. Null before.
    async fn paid_at(&self) -> Option<DateTime> {
        self.0.paid_at.map(in_utc)
    }
}

/// A state that a payment reached.
#[derive(SimpleObject)]
pub struct PaymentEvent {
    /// When.
    at: DateTime,
    /// The state.
    status: PaymentStatus,
    /// Why, in a few words for people. Null when the state says it all.
    note: Option<String>,
}

impl From<payment::Event> for PaymentEvent {
    fn from(event: payment::Event) -> Self {
        Self { at: in_utc(event.at), status: event.status.into(), note: event.note }
    }
}

/// A QRIS code: one amount, one payment.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Qris {
    /// The text to draw as a QR code (EMVCo merchant-presented, dynamic). With the sandbox provider it is a simulation that no bank accepts.
    payload: String,
    /// The same as a picture: the URL of an SVG.
    image_url: String,
}

#[ComplexObject]
impl Qris {
    /// Is this a simulation, which no bank accepts? True with the sandbox provider.
    async fn simulated(&self) -> bool {
        self.payload.contains(crate::qris::SIMULATION)
    }
}

/// How to pay. Exactly one.
#[derive(OneofObject)]
pub enum PaymentMethodInput {
    /// By scanning a QRIS code.
    Qris(QrisInput),
}

/// Paying by QRIS.
#[derive(InputObject)]
pub struct QrisInput {
    /// Which acquirer makes the code, 1 to 30 lower-case letters: gopay. The provider chooses when absent.
    pub acquirer: Option<String>,
}

/// A wish to pay for a booking.
#[derive(InputObject)]
pub struct CreatePaymentInput {
    /// The booking; it must be yours and `PENDING_PAYMENT`.
    pub booking_id: ID,
    /// How to pay.
    pub method: PaymentMethodInput,
    /// Chosen by you, 1 to 128 characters, recognised for 7 days: the same key with the same input answers the same payment.
    pub idempotency_key: String,
}
