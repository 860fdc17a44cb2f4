//! What somebody is to Berth.

/// The role of an account; a later one may do more. No input that everybody may send can name one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Role {
    /// Books for themselves and others.
    #[default]
    User,
    /// Sells through Berth.
    Organizer,
    /// Administers the accounts of others.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::User, Self::Organizer, Self::Admin];

    /// The word in the database, in access tokens and at the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Organizer => "ORGANIZER",
            Self::Admin => "ADMIN",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}
