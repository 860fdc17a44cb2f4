//! Texts that no log, error or printed setting may show.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands where a secret would.
pub const HIDDEN: &str = "(hidden)";

/// A text that shows itself to nobody who does not ask with [`Secret::reveal`]: neither by `{:?}` nor as JSON or TOML.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself, for whoever needs it to open something.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::from("tulip-4711");
        let shown = format!("{secret:?} {:?} {}", Some(&secret), serde_json::to_string(&secret).expect("JSON"));
        assert!(!shown.contains("tulip"), "{shown}");
        assert_eq!(secret.reveal(), "tulip-4711");
    }
}
