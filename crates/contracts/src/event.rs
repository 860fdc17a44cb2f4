//! Domain events: past tense, written to the outbox in the transaction of the change they tell of,
//! delivered at least once and in any order. A consumer keeps an inbox when its effect is not idempotent.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Money;

/// The state of one seat on one leg after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LegState {
    /// Nothing claims it.
    Free,
    /// Claimed by a hold until its deadline.
    Held,
    /// Sold.
    Sold,
    /// Taken out of sale.
    Blocked,
}

/// A seat's new state over the legs `from_leg..to_leg`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatChanged {
    /// Dense number of the seat in its trip's layout.
    pub spot_no: u16,
    /// First leg.
    pub from_leg: u16,
    /// One past the last leg.
    pub to_leg: u16,
    /// What holds there now.
    pub state: LegState,
    /// When a `Held` seat falls free by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// What happened. The tag is the event's name on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum Event {
    /// inventory: seats of one trip changed; `version` is the trip's new version (no gaps, one per change).
    SeatsChanged {
        /// Template of the trip.
        template: Uuid,
        /// Service day of the trip, days since 1970-01-01.
        day: u16,
        /// The trip's version after the change.
        version: i64,
        /// The seats that changed.
        seats: Vec<SeatChanged>,
    },
    /// inventory: the timetable was imported anew.
    TimetableChanged {
        /// Its new version.
        version: i64,
    },
    /// booking: a booking came to be or changed its status.
    BookingChanged {
        /// The booking.
        booking_id: Uuid,
        /// Its owner.
        user_id: Uuid,
        /// The new status, as in the graph.
        status: String,
        /// Its code for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// payment: a payment came to be or changed its status.
    PaymentChanged {
        /// The payment.
        payment_id: Uuid,
        /// The booking it pays for.
        booking_id: Uuid,
        /// Its owner.
        user_id: Uuid,
        /// The new status, as in the graph.
        status: String,
        /// The amount of the payment.
        amount: Money,
        /// The booking's code for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        booking_code: Option<String>,
    },
    /// user: somebody was told something; it lies in their list.
    NotificationSent {
        /// The notification.
        notification_id: Uuid,
        /// Whose list.
        user_id: Uuid,
    },
    /// user: a person deleted their account. Who keeps something about them makes it nobody's, as soon as the law lets it.
    AccountDeleted {
        /// Who it was. The key is never given to anybody else.
        user_id: Uuid,
    },
}

impl Event {
    /// The event's name, as stored in the outbox's `kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SeatsChanged { .. } => "SeatsChanged",
            Self::TimetableChanged { .. } => "TimetableChanged",
            Self::BookingChanged { .. } => "BookingChanged",
            Self::PaymentChanged { .. } => "PaymentChanged",
            Self::AccountDeleted { .. } => "AccountDeleted",
            Self::NotificationSent { .. } => "NotificationSent",
        }
    }
}

/// An event on the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Key of the outbox row: the same at every delivery.
    pub id: Uuid,
    /// When the change was made.
    pub at: DateTime<Utc>,
    /// W3C trace context of the request that made the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
