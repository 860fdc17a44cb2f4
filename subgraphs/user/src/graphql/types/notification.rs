//! Notifications, and stubs of what they lead to.

use async_graphql::{Enum, ID, OneofObject, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, in_utc};

use crate::{
    notification::{self, say},
    notifications::{Marked, Marking},
    setting::Settings,
};

/// What a notification tells. May grow: show title and body of kinds you do not know.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "notification::Kind")]
pub enum NotificationKind {
    /// A booking is confirmed; its tickets are there.
    BookingConfirmed,
    /// A booking was not paid in time.
    BookingExpired,
    /// A booking was cancelled.
    BookingCancelled,
    /// A booking takes longer than it should, and people look at it.
    BookingDelayed,
    /// The provider or the bank refused a payment.
    PaymentFailed,
    /// A payment was not made in time.
    PaymentExpired,
    /// All of a payment went back.
    PaymentRefunded,
    /// A part of a payment went back.
    PaymentPartlyRefunded,
    /// Somebody signed in on a device with a name that was not seen lately.
    SignedIn,
    /// The password was changed.
    PasswordChanged,
    /// A session was ended because one of its refresh tokens was used twice.
    SessionEnded,
    /// Signing in asks for a second factor from now on.
    SecondFactorOn,
    /// Signing in asks for no second factor any more.
    SecondFactorOff,
    /// Recovery codes were made anew.
    RecoveryCodesRenewed,
    /// A recovery code opened a session.
    RecoveryCodeUsed,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey was removed.
    PasskeyRemoved,
    /// A bank account was added.
    BankAccountAdded,
    /// Somebody took a copy of all data about the person.
    DataExported,
}

macro_rules! stub {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, SimpleObject)]
        #[graphql(unresolvable = "id")]
        pub struct $name {
            /// Opaque id.
            pub id: ID,
        }
    };
}

stub!(
    /// A booking. Everything but its id comes from the booking subgraph.
    Booking
);
stub!(
    /// A payment. Everything but its id comes from the payment subgraph.
    Payment
);

/// Something a person was told. Only visible to that person.
#[derive(Debug, Clone, SimpleObject)]
pub struct Notification {
    /// Opaque id: notification_...
    pub id: ID,
    /// What it tells.
    pub kind: NotificationKind,
    /// One line in the language of the person's settings.
    pub title: String,
    /// One or two sentences in the language of the person's settings.
    pub body: String,
    /// When it was told.
    pub created_at: DateTime,
    /// When the person marked it as read. Null while it is unread.
    pub read_at: Option<DateTime>,
    /// The booking it is about. Null when it is about none.
    pub booking: Option<Booking>,
    /// The payment it is about. Null when it is about none.
    pub payment: Option<Payment>,
}

impl Notification {
    /// The notification in the words of these settings.
    pub fn show(row: &notification::Notification, settings: &Settings) -> Self {
        let said = say(row.kind, settings.locale, &row.facts, settings.time_zone);
        Self {
            id: Kind::Notification.encode(row.id).into(),
            kind: row.kind.into(),
            title: said.title,
            body: said.body,
            created_at: in_utc(row.created_at),
            read_at: row.read_at.map(in_utc),
            booking: row.facts.booking_id.map(|id| Booking { id: Kind::Booking.encode(id).into() }),
            payment: row.facts.payment_id.map(|id| Payment { id: Kind::Payment.encode(id).into() }),
        }
    }
}

/// Which notifications to mark as read.
#[derive(OneofObject)]
pub enum MarkNotificationsReadInput {
    /// These: 1 to 100 ids. When one of them is not yours, nothing is marked.
    NotificationIds(Vec<ID>),
    /// This one and all older ones.
    UpTo(ID),
    /// All of them. Must be true.
    All(bool),
}

impl MarkNotificationsReadInput {
    /// What is marked; `None` for a false `all`.
    pub fn which(self) -> Option<Marked> {
        match self {
            Self::NotificationIds(ids) => Some(Marked::Some(ids.into_iter().map(|id| id.0).collect())),
            Self::UpTo(id) => Some(Marked::UpTo(id.0)),
            Self::All(all) => all.then_some(Marked::All),
        }
    }
}

/// The notifications are marked as read.
#[derive(SimpleObject)]
pub struct MarkNotificationsReadSuccess {
    /// How many of them were unread until now.
    pub marked: i32,
    /// How many of your notifications are unread still.
    pub unread_count: i32,
}

impl From<Marking> for MarkNotificationsReadSuccess {
    fn from(marking: Marking) -> Self {
        let count = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
        Self { marked: count(i64::try_from(marking.marked).unwrap_or(i64::MAX)), unread_count: count(marking.unread) }
    }
}
