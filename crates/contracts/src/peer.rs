//! The calls between services. Each call is idempotent, so a caller may repeat it after a lost answer.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Money, id::TripKey};

/// Why a peer gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PeerError {
    /// No such thing, or it belongs to somebody else.
    #[error("not found")]
    NotFound,
    /// The peer or its database can't answer now; the call may be repeated.
    #[error("the service is unavailable: {0}")]
    Unavailable(String),
    /// No replica takes the credential of this process: nothing was asked, so it is no try. Never an answer of a peer.
    #[error("no replica of {0} takes the credential of this process")]
    LockedOut(String),
}

/// What a peer answers.
pub type PeerResult<T> = Result<T, PeerError>;

/// One end of a journey, copied into a booking so that it survives any change of the timetable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopCopy {
    /// Index of the stop in its trip; with the trip's key it makes the `stop_...` id.
    pub stop_index: u16,
    /// Name of the station.
    pub station_name: String,
    /// Departure (of the first stop) or arrival (of the last).
    pub at: DateTime<Utc>,
    /// The same on the station's clock.
    pub local: NaiveDateTime,
    /// IANA name of the station's zone.
    pub time_zone: String,
}

/// One held seat, with all a booking copies of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSeat {
    /// Key of the hold's item (`helditem_...`).
    pub held_seat_id: Uuid,
    /// The trip.
    pub trip: TripKey,
    /// Its name: `Argo Bromo Anggrek 2`.
    pub trip_name: String,
    /// Its service date.
    pub service_date: NaiveDate,
    /// Where the journey begins.
    pub from: StopCopy,
    /// Where it ends.
    pub to: StopCopy,
    /// Dense number of the seat.
    pub spot_no: u16,
    /// Label of the coach.
    pub car: String,
    /// Label of the seat in the coach.
    pub seat: String,
    /// Class of the coach.
    pub travel_class: String,
    /// Price, set by the server when the hold was placed.
    pub price: Money,
}

/// State of a hold as a peer sees it: expiry already applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldState {
    /// The seats are claimed until the deadline.
    Active,
    /// The seats are sold to the hold's booking.
    Committed,
    /// Given back.
    Released,
    /// The deadline passed.
    Expired,
}

/// A hold with its seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldCopy {
    /// Its key.
    pub hold_id: Uuid,
    /// Its owner.
    pub user_id: Uuid,
    /// Its state now.
    pub state: HoldState,
    /// Its deadline.
    pub expires_at: DateTime<Utc>,
    /// The seats.
    pub seats: Vec<HeldSeat>,
}

/// How an attempt to sell a hold's seats ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitOutcome {
    /// Every seat is sold to the booking (now or by an earlier call).
    Committed,
    /// At least one seat is gone: nothing is sold to the booking.
    Gone,
}

/// What inventory does for booking.
#[async_trait]
pub trait InventoryPeer: Send + Sync {
    /// The hold, if it is this user's.
    async fn hold(&self, user_id: Uuid, hold_id: Uuid) -> PeerResult<HoldCopy>;
    /// Ties the hold to a booking (a hold makes one booking). Refused as `NotFound` unless the hold is ACTIVE
    /// or already tied to this very booking.
    async fn attach_hold(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<HoldCopy>;
    /// Extends the deadline, once in a hold's life and never past the two-hour cap. Answers the deadline in force.
    async fn extend_hold(&self, hold_id: Uuid, until: DateTime<Utc>) -> PeerResult<DateTime<Utc>>;
    /// Sells the hold's seats to the booking. When the hold has expired, tries to claim the same seats anew
    /// (late money): all of them, or `Gone`. A hold that was given back is `Gone`.
    async fn commit_hold(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<CommitOutcome>;
    /// Gives the seats of a hold back for good, if it was not committed. Repeating it, or an unknown hold, is harmless.
    async fn release_hold(&self, hold_id: Uuid) -> PeerResult<()>;
    /// The booking came to nothing: its seats become free, sold or only held, and a later `commit_hold` is answered `Gone`.
    /// Repeating it, or an unknown hold, is harmless; a hold that is tied to another booking is `NotFound`.
    async fn give_back(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<()>;
}

/// A passenger of a user's list, for booking: the document's number in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassengerCopy {
    /// Key.
    pub passenger_id: Uuid,
    /// Name as on the document.
    pub full_name: String,
    /// `NATIONAL_ID` or `PASSPORT`.
    pub id_type: String,
    /// Number of the document.
    pub id_number: String,
    /// Date of birth.
    pub birth_date: NaiveDate,
}

/// A session that was ended: signed out, revoked, or ended with its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// The session: `sid` of its access tokens.
    pub session_id: Uuid,
    /// When it was ended.
    pub at: DateTime<Utc>,
}

/// What user does for booking, and for everybody who verifies access tokens.
#[async_trait]
pub trait UserPeer: Send + Sync {
    /// Those of the asked passengers that belong to the user.
    async fn passengers(&self, user_id: Uuid, passenger_ids: Vec<Uuid>) -> PeerResult<Vec<PassengerCopy>>;
    /// The sessions that were ended after `since` and of which tokens may still live, oldest first. When there are more than
    /// 100,000, the newest of them.
    async fn sessions_ended(&self, since: DateTime<Utc>) -> PeerResult<Vec<EndedSession>>;
}

/// What payment must know of a booking before it takes money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payable {
    /// The booking.
    pub booking_id: Uuid,
    /// Its owner.
    pub user_id: Uuid,
    /// Code shown to people.
    pub code: String,
    /// What is to be paid.
    pub total: Money,
    /// Status, as in the graph (`PENDING_PAYMENT` is the only payable one).
    pub status: String,
    /// Until when it may be paid: the payment expires then.
    pub pay_until: Option<DateTime<Utc>>,
}

/// What booking does for payment.
#[async_trait]
pub trait BookingPeer: Send + Sync {
    /// The booking, if it is this user's. No change.
    async fn payable(&self, user_id: Uuid, booking_id: Uuid) -> PeerResult<Payable>;
    /// A payment starts: the hold is extended (once). Answers the booking with its new deadline.
    async fn payment_started(&self, booking_id: Uuid) -> PeerResult<Payable>;
    /// The state of a payment changed. The same message as the `PaymentChanged` event, for when it must be known now.
    async fn payment_changed(&self, booking_id: Uuid) -> PeerResult<()>;
}

/// A payment as booking sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCopy {
    /// Key.
    pub payment_id: Uuid,
    /// Status, as in the graph.
    pub status: String,
    /// Amount.
    pub amount: Money,
    /// How much of it was given back.
    pub refunded: Money,
    /// When it became PAID.
    pub paid_at: Option<DateTime<Utc>>,
}

/// How a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundState {
    /// Asked for; the provider has not finished.
    Pending,
    /// The money went back.
    Succeeded,
    /// The provider refused for good: a person must look.
    Failed,
}

/// What payment does for booking.
#[async_trait]
pub trait PaymentPeer: Send + Sync {
    /// Every payment of a booking, oldest first.
    async fn payments(&self, booking_id: Uuid) -> PeerResult<Vec<PaymentCopy>>;
    /// Gives the whole of a paid payment back. One refund per (payment, reason), however often it is asked.
    async fn refund(&self, payment_id: Uuid, reason: String) -> PeerResult<RefundState>;
    /// The booking was cancelled or expired: unpaid payments are closed at the provider as well.
    async fn close(&self, booking_id: Uuid) -> PeerResult<()>;
}

/// What each other service does for user when a person wants to see what is kept about them, or to leave.
#[async_trait]
pub trait RecordsPeer: Send + Sync {
    /// Everything that the service keeps about the person, for that person to read: sealed facts are opened.
    async fn records(&self, user_id: Uuid) -> PeerResult<serde_json::Value>;
    /// How many of the person's affairs are unfinished, so that the person must stay reachable. Unlike `user_id`, `person_id` may
    /// be another than who is signed in: an administrator asks it as well.
    async fn open_affairs(&self, person_id: Uuid) -> PeerResult<u32>;
}
