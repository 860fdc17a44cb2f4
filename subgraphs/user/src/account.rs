//! An account: somebody who proved an e-mail address or a phone number.

use uuid::Uuid;

use crate::profile::Profile;

/// Role in the access tokens of everybody. No input of the graph can name a role.
pub const ROLE: &str = "USER";

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Key.
    pub id: Uuid,
    /// Normalised address; empty when only a phone number was proved.
    pub email: String,
    /// Hash of the password, in PHC format.
    pub password_hash: String,
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
}
