//! What an operator may set.

use chrono::TimeDelta;

/// Cost of one argon2id hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// Rules of the user service.
#[derive(Debug, Clone)]
pub struct UserConfig {
    /// Cost of a password's hash. When it rises, a hash is renewed at its owner's next sign-in.
    pub hash_cost: HashCost,
    /// How many passwords are hashed at the same time: this bounds sign-ins and sign-ups.
    pub hash_permits: usize,
    /// How many may wait for a permit; the next is told to come back later.
    pub hash_queue: usize,
    /// Life of a one-time password.
    pub otp_ttl: TimeDelta,
    /// Wrong codes until a sign-up is locked.
    pub otp_tries: i32,
    /// Least time between two letters of a sign-up to one address.
    pub mail_pause: TimeDelta,
    /// Letters of sign-ups to one address within 24 hours.
    pub mails_per_day: i32,
    /// How long a session lives after its last refresh.
    pub session_ttl: TimeDelta,
    /// Life of a link that sets a new password.
    pub reset_ttl: TimeDelta,
    /// Where the links of letters lead: how the public reaches the front door.
    pub public_url: String,
    /// How often in 24 hours a person may take a copy of their data.
    pub exports_per_day: i32,
    /// How many bank accounts a person may keep.
    pub bank_account_limit: i32,
    /// How many passengers a person may keep.
    pub passenger_limit: i32,
    /// Work that a sign-up costs its client: leading zero bits of a SHA-256. 0: none.
    pub sign_up_work_bits: u32,
}

impl Default for UserConfig {
    fn default() -> Self {
        Self {
            hash_cost: HashCost { memory_kib: 19 * 1024, passes: 2, lanes: 1 },
            hash_permits: 2,
            hash_queue: 512,
            otp_ttl: TimeDelta::minutes(10),
            otp_tries: 5,
            mail_pause: TimeDelta::seconds(60),
            mails_per_day: 20,
            session_ttl: TimeDelta::days(30),
            reset_ttl: TimeDelta::minutes(30),
            public_url: "http://127.0.0.1:4000".to_owned(),
            exports_per_day: 5,
            bank_account_limit: 5,
            passenger_limit: 50,
            sign_up_work_bits: 0,
        }
    }
}
