//! A password somebody chooses.

use std::fmt;

const CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// A chosen password. Never printed.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes 8 to 128 characters of any kind, spaces included.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let count = text.chars().take(CHARS.end() + 1).count();
        if CHARS.contains(&count) { Ok(Self(text.to_owned())) } else { Err("a password has 8 to 128 characters") }
    }

    /// The characters.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_and_not_bytes() {
        assert!(Password::parse("1234567").is_err());
        assert!(Password::parse("pässwörd").is_ok());
        assert!(Password::parse(&"ü".repeat(128)).is_ok());
        assert!(Password::parse(&"x".repeat(129)).is_err());
        assert!(!format!("{:?}", Password::parse("secret-secret")).contains("secret-secret"));
    }
}
