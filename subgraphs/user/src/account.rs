//! An account: somebody who proved an e-mail address.

use uuid::Uuid;

use crate::profile::Profile;

/// Role in the access tokens of everybody. No input of the graph can name a role.
pub const ROLE: &str = "USER";

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Key.
    pub id: Uuid,
    /// Normalised address.
    pub email: String,
    /// Hash of the password, in PHC format.
    pub password_hash: String,
    /// What its owner told of themselves.
    pub profile: Profile,
    /// How many passengers it keeps.
    pub passenger_count: i32,
}

impl Account {
    /// What a guesser of its password tries first, because it is known of its owner.
    pub fn known_words(&self) -> Vec<String> {
        std::iter::once(self.email.clone()).chain(self.profile.full_name.clone()).collect()
    }
}
