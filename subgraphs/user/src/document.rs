//! Identity documents.

use std::fmt;

/// Kind of an identity document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    /// An identity card of a state.
    NationalId,
    /// A passport.
    Passport,
}

impl IdType {
    /// The word in the database and between services.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NationalId => "NATIONAL_ID",
            Self::Passport => "PASSPORT",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::NationalId, Self::Passport].into_iter().find(|kind| kind.word() == word)
    }
}

/// Number of an identity document: capital letters and digits. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct IdNumber(String);

impl IdNumber {
    /// Reads a number as people write it; spaces, dots and hyphens between its characters are dropped.
    pub fn parse(kind: IdType, text: &str) -> Result<Self, &'static str> {
        let written: String = text.trim().chars().filter(|sign| !matches!(sign, ' ' | '.' | '-')).collect();
        let plain = !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let number = Self(written.to_ascii_uppercase());
        if plain { number.fitting(kind) } else { Err("a document's number has letters A to Z and digits only") }
    }

    /// A number that was checked when it was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The number, if a document of this kind can have it: national identity cards have 8 to 20 characters (16 in
    /// Indonesia), at least four of them digits; passports have 6 to 9 (ICAO 9303).
    pub fn fitting(self, kind: IdType) -> Result<Self, &'static str> {
        let digits = self.0.bytes().filter(u8::is_ascii_digit).count();
        match (kind, self.0.len()) {
            (IdType::NationalId, 8..=20) if digits >= 4 => Ok(self),
            (IdType::NationalId, _) => Err("the number of a national identity card has 8 to 20 characters, four of them digits"),
            (IdType::Passport, 6..=9) => Ok(self),
            (IdType::Passport, _) => Err("the number of a passport has 6 to 9 characters"),
        }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as it is shown: all but the last four characters are stars.
    pub fn masked(&self) -> String {
        let hidden = self.0.len().saturating_sub(4);
        let shown = self.0.get(hidden..).unwrap_or_default();
        format!("{}{shown}", "*".repeat(hidden))
    }
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked() {
        let number = IdNumber::parse(IdType::NationalId, "3174 0123 4567 1234").expect("fine");
        assert_eq!(number.masked(), "************1234");
        assert_eq!(format!("{number:?}"), "************1234");
        assert_eq!(number.as_str(), "3174012345671234");
    }

    #[test]
    fn numbers_fit_their_kind() {
        assert_eq!(IdNumber::parse(IdType::Passport, "c1234567").expect("fine").as_str(), "C1234567");
        for (kind, text) in [
            (IdType::NationalId, "123"),
            (IdType::NationalId, "ABCDEFGH"),
            (IdType::NationalId, "3174012345671234567890"),
            (IdType::NationalId, "3174_12345"),
            (IdType::Passport, "C12"),
            (IdType::Passport, "C123456789"),
            (IdType::Passport, ""),
        ] {
            assert!(IdNumber::parse(kind, text).is_err(), "{text:?} was taken");
        }
    }
}
