//! The story of a thing, for `berth explain`: each service tells what its rows know of it. Nothing personal: ids, states, times, amounts.

use berth_contracts::Kind;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// One line of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it happened; `None` for what is so now.
    pub at: Option<DateTime<Utc>>,
    /// What.
    pub what: String,
}

impl Line {
    /// What happened then.
    pub fn at(ms: i64, what: impl Into<String>) -> Self {
        Self { at: DateTime::from_timestamp_millis(ms), what: what.into() }
    }

    /// What is so now.
    pub fn now(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into() }
    }
}

/// An instant of a row, for a sentence.
pub fn instant(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)).unwrap_or_default()
}

/// An amount of a row, for a sentence.
pub fn amount(minor: i64, currency: &str) -> String {
    let currency = berth_contracts::Currency::parse(currency);
    currency.map_or_else(|_| minor.to_string(), |currency| berth_contracts::Money::new(minor, currency).to_string())
}

/// A thing that a story is about, or that belongs to it.
pub type Named = (Kind, Uuid);

/// What somebody may ask about, as they have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A booking's code.
    Code(String),
    /// An id of the graph.
    Id(Kind, Uuid),
    /// A key of which nobody says what it names.
    Key(Uuid),
}

impl Question {
    /// Reads a code, an id, a provider's order id or a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(key) = Uuid::try_parse(text) {
            return Some(Self::Key(key));
        }
        // The provider's order id is a payment's id, with the number of the attempt behind.
        let id = text.split_once('-').map_or(text, |(id, _)| id);
        if let Some(named) = Kind::ALL.into_iter().find_map(|kind| Some(Self::Id(kind, kind.decode(id).ok()?))) {
            return Some(named);
        }
        let is_code = (4..=12).contains(&text.len()) && text.bytes().all(|sign| sign.is_ascii_alphanumeric());
        is_code.then(|| Self::Code(text.to_ascii_uppercase()))
    }

    /// The key, if the thing may be one of these kinds.
    pub fn key_of(&self, kinds: &[Kind]) -> Option<Uuid> {
        match self {
            Self::Key(key) => Some(*key),
            Self::Id(kind, key) if kinds.contains(kind) => Some(*key),
            Self::Id(..) | Self::Code(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_somebody_has_is_understood() {
        let key = Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001);
        let payment = Kind::Payment.encode(key);
        assert_eq!(Question::parse(&format!(" {payment}-2 ")), Some(Question::Id(Kind::Payment, key)));
        assert_eq!(Question::parse(&key.to_string()), Some(Question::Key(key)));
        assert_eq!(Question::parse("h27xm4"), Some(Question::Code("H27XM4".to_owned())));
        for odd in ["", "x", "payment_x", "a b c d", "H27-XM4!"] {
            assert_eq!(Question::parse(odd), None, "{odd}");
        }
    }
}
