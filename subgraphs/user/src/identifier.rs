//! What names an account: an e-mail address, a proved phone number, a user name. The address stands in the account's own row, the
//! others beside it (docs/decisions/0015-names-and-leaving.md).

use crate::{email::Email, person};

/// User names that nobody may have: they would look like us, or like an address of the site.
const RESERVED: [&str; 24] = [
    "about",
    "account",
    "accounts",
    "admin",
    "administrator",
    "api",
    "berth",
    "billing",
    "booking",
    "graphql",
    "help",
    "info",
    "login",
    "me",
    "moderator",
    "null",
    "official",
    "operator",
    "postmaster",
    "root",
    "security",
    "staff",
    "support",
    "system",
];
const MAX_USERNAME: usize = 30;
const MIN_USERNAME: usize = 3;

/// An address that can be proved by a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// By letter.
    Email(Email),
    /// By text message: + and 8 to 15 digits.
    Phone(String),
}

impl Address {
    /// Reads a phone number with its country.
    pub fn phone(text: &str) -> Result<Self, &'static str> {
        let number = person::phone(text)?;
        if number.starts_with('+') { Ok(Self::Phone(number)) } else { Err("write the phone number with + and its country") }
    }

    /// Reads an address that was checked when it was stored.
    pub fn stored(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('+') && !text.contains('@') {
            Ok(Self::Phone(text.to_owned()))
        } else {
            Email::parse(text).map(Self::Email)
        }
    }

    /// The address in its one form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(email) => email.as_str(),
            Self::Phone(number) => number,
        }
    }
}

/// A user name: what is compared, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Takes 3 to 30 letters a to z, digits, dots and underscores: a letter first, no dot at the end or beside another one.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let name = text.trim_matches(' ').to_ascii_lowercase();
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_');
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !plain || !begins || name.ends_with('.') || name.contains("..") || !(MIN_USERNAME..=MAX_USERNAME).contains(&name.len())
        {
            return Err("a user name has 3 to 30 letters, digits, dots and underscores, a letter first");
        }
        let bare: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        if RESERVED.contains(&bare.as_str()) { Err("this user name is reserved") } else { Ok(Self(name)) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What somebody signs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// An address.
    Address(Address),
    /// A user name.
    Username(Username),
}

impl Name {
    /// Reads it; nothing else than an address or a user name names anybody.
    pub fn parse(text: &str) -> Option<Self> {
        if text.contains('@') {
            return Email::parse(text).ok().map(|email| Self::Address(Address::Email(email)));
        }
        Address::phone(text).ok().map(Self::Address).or_else(|| Username::parse(text).ok().map(Self::Username))
    }

    /// The name in its one form.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Address(address) => address.as_str(),
            Self::Username(name) => name.as_str(),
        }
    }
}

/// Kinds of names beside the e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A proved phone number.
    Phone,
    /// A user name.
    Username,
}

impl Kind {
    /// The word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Phone => "PHONE",
            Self::Username => "USERNAME",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_have_one_form() {
        assert_eq!(Username::parse(" Siti.N_7 ").expect("fine").as_str(), "siti.n_7");
        let long = "a".repeat(31);
        for text in
            ["", "ab", "7siti", ".siti", "siti.", "si..ti", "si ti", "siti@x", "síti", "Admin", "ad.min", "_root", long.as_str()]
        {
            assert!(Username::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_name_is_read_as_what_it_looks_like() {
        let read = |text: &str| Name::parse(text).map(|name| name.as_str().to_owned());
        assert_eq!(read("Siti@Example.com").as_deref(), Some("siti@example.com"));
        assert_eq!(read("+62 812-3456-7890").as_deref(), Some("+6281234567890"));
        assert_eq!(read("Siti_N").as_deref(), Some("siti_n"));
        for text in ["", "0812 3456 7890", "siti@", "-", "+62"] {
            assert_eq!(read(text), None, "{text:?} was read");
        }
    }

    #[test]
    fn a_stored_address_is_read_back() {
        let plus = Address::stored("+siti@example.com").expect("fine");
        assert!(matches!(plus, Address::Email(_)));
        assert_eq!(Address::stored("+6281234567890"), Ok(Address::Phone("+6281234567890".to_owned())));
    }
}
