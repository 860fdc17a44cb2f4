//! A session as its owner sees it: a device that is signed in.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Characters that are kept of a device's name.
const DEVICE_CHARS: usize = 80;

/// A session that was not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSession {
    /// Key.
    pub id: Uuid,
    /// What the client called its device.
    pub device: Option<String>,
    /// When somebody signed in.
    pub created_at: DateTime<Utc>,
    /// When tokens were handed out last.
    pub seen_at: DateTime<Utc>,
    /// When it ends unless refreshed.
    pub expires_at: DateTime<Utc>,
}

/// A device's name as it is kept: one line, cut when it is long; `None` when nothing is left.
pub fn device_name(text: &str) -> Option<String> {
    let line: String = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = words.chars().take(DEVICE_CHARS).collect();
    (!cut.is_empty()).then(|| cut.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line() {
        assert_eq!(device_name("  Ani's\r\n phone\t2 ").as_deref(), Some("Ani's phone 2"));
        assert_eq!(device_name(" \u{0} \n"), None);
        assert_eq!(device_name(&"ü".repeat(300)).map(|name| name.chars().count()), Some(80));
    }
}
