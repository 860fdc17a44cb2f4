//! A change of an account's address that waits for its codes: one of a kind for an account, the newest.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::identifier::Address;

/// A waiting change.
#[derive(Debug, Clone)]
pub struct ContactChange {
    /// Key.
    pub id: Uuid,
    /// Whose.
    pub account_id: Uuid,
    /// The wanted address.
    pub new: Address,
    /// The wanted address has an account: no code can be right.
    pub decoy: bool,
    /// Keyed hash of the code that went to the new address.
    pub new_code_hash: String,
    /// Keyed hash of the code that went to the old one.
    pub old_code_hash: String,
    /// Keyed hash of the token in the link that stops it.
    pub stop_hash: String,
    /// Pairs of codes tried so far.
    pub tries: i32,
    /// Until when the codes count.
    pub expires_at: DateTime<Utc>,
    /// When they were sent.
    pub mailed_at: DateTime<Utc>,
}

impl ContactChange {
    /// Name of what is sent to the wanted address.
    pub fn cause_to_new(id: Uuid) -> String {
        format!("contact-change-new:{id}")
    }
}

/// To which address a code went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The wanted one.
    New,
    /// The present one.
    Old,
}

impl Side {
    /// The secret that is hashed: a code counts in its own change and on its own side only.
    pub fn secret(self, change_id: Uuid, code: &str) -> String {
        let side = match self {
            Self::New => "new",
            Self::Old => "old",
        };
        format!("{change_id}:{side}:{code}")
    }
}
