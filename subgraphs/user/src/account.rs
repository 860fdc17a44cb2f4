//! An account: somebody who proved an e-mail address or a phone number.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{profile::Profile, role::Role};

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Its role.
    pub role: Role,
    /// Since when it is suspended.
    pub suspended_at: Option<DateTime<Utc>>,
}

impl Standing {
    /// Whether it may do nothing at all.
    pub fn is_suspended(self) -> bool {
        self.suspended_at.is_some()
    }

    /// Whether it administers others.
    pub fn is_admin(self) -> bool {
        self.role == Role::Admin && !self.is_suspended()
    }
}

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Key.
    pub id: Uuid,
    /// Normalised address; empty when only a phone number was proved.
    pub email: String,
    /// Hash of the password, in PHC format.
    pub password_hash: String,
    /// What it may do.
    pub standing: Standing,
    /// What its owner told of themselves.
    pub profile: Profile,
    /// How many passengers it keeps.
    pub passenger_count: i32,
}

impl Account {
    /// What the account is counted by where attempts are: its address, or its key.
    pub fn own_name(&self) -> String {
        if self.email.is_empty() { self.id.to_string() } else { self.email.clone() }
    }

    /// What a guesser of its password tries first, because it is known of its owner.
    pub fn known_words(&self) -> Vec<String> {
        std::iter::once(self.email.clone()).chain(self.profile.full_name.clone()).collect()
    }
}
