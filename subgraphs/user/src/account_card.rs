//! What admins see of accounts, and which ones they ask for.

use berth_contracts::Kind;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{account::Standing, error::Invalid, role::Role};

const MAX_SEARCH_CHARS: usize = 100;

/// What an admin sees of an account. Identity documents, dates of birth and addresses are not among it.
#[derive(Debug, Clone)]
pub struct AccountCard {
    /// Key.
    pub id: Uuid,
    /// Normalised address.
    pub email: String,
    /// What it may do.
    pub standing: Standing,
    /// Name, if its owner told it.
    pub full_name: Option<String>,
    /// Phone number, if its owner told it.
    pub phone: Option<String>,
    /// Name of the file of its picture, if it has one.
    pub avatar_file: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl AccountCard {
    /// The id as the graph shows it.
    pub fn public_id(&self) -> String {
        Kind::User.encode(self.id)
    }
}

/// Which accounts are wanted.
#[derive(Debug, Clone, Default)]
pub struct CardFilter {
    /// Of this role.
    pub role: Option<Role>,
    /// Suspended, or not.
    pub suspended: Option<bool>,
    /// With this text in their address or name.
    pub search: Option<Search>,
}

/// A part of an address or name.
#[derive(Debug, Clone)]
pub struct Search(String);

impl Search {
    /// Reads what an admin looks for.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let fine = (1..=MAX_SEARCH_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        let why = "a search has 1 to 100 characters";
        if fine { Ok(Self(text.to_lowercase())) } else { Err(Invalid { field: "search", why }) }
    }

    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// From where on in the list, in which direction. Keys are UUID v7: their order is that of their making.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Only accounts that are newer than this one.
    pub newer_than: Uuid,
    /// Only accounts that are older than this one.
    pub older_than: Uuid,
    /// The oldest ones of those instead of the newest.
    pub from_the_end: bool,
    /// How many at most.
    pub count: u64,
}
