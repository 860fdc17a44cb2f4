//! What an operator can set.

use berth_kernel::keyring::KeyRing;
use chrono::TimeDelta;

/// Settings of the booking service.
#[derive(Clone)]
pub struct BookingConfig {
    /// Address of the front door, without a slash at the end: tickets link to it.
    pub public_base_url: String,
    /// Sign tickets; their public halves belong into `/.well-known/jwks.json`.
    pub ticket_keys: KeyRing,
    /// How long a booking may be paid from the moment a payment starts (inventory caps it).
    pub pay_window: TimeDelta,
    /// First interval of looking at an open payment; it doubles up to eight times this.
    pub poll: TimeDelta,
    /// After this long in one unfinished state a booking shows `NEEDS_ATTENTION`.
    pub attention_after: TimeDelta,
    /// For how long after a booking's end late money is looked for.
    pub watch_for: TimeDelta,
}

impl BookingConfig {
    /// The usual settings.
    pub fn new(public_base_url: &str, ticket_keys: impl Into<KeyRing>) -> Self {
        Self {
            public_base_url: public_base_url.trim_end_matches('/').to_owned(),
            ticket_keys: ticket_keys.into(),
            pay_window: TimeDelta::minutes(15),
            poll: TimeDelta::seconds(5),
            attention_after: TimeDelta::minutes(10),
            watch_for: TimeDelta::days(7),
        }
    }
}
