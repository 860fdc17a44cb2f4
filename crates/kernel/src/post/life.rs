//! How long a letter is worth sending.

use chrono::{DateTime, TimeDelta, Utc};

/// What a letter is, as far as its sending goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It holds a code or a link that ends at this instant. Then it is worth nothing, and its text is forgotten.
    Code(DateTime<Utc>),
    /// It tells of something that its reader can also see in the graph: worth a day.
    News,
    /// Its reader waits for it, and it says what was sold, paid back or changed: worth three days.
    Paper,
}

/// The text of what was given up is kept so long, so that it can be sent again.
pub const GIVEN_UP_KEPT: TimeDelta = TimeDelta::days(14);
/// Life of a letter that an older program queued.
pub(crate) const PAPER: TimeDelta = TimeDelta::days(3);
const NEWS: TimeDelta = TimeDelta::days(1);

pub(crate) const CODE_KIND: &str = "code";
const NEWS_KIND: &str = "news";
const PAPER_KIND: &str = "paper";

impl Life {
    /// How the row calls it.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Code(_) => CODE_KIND,
            Self::News => NEWS_KIND,
            Self::Paper => PAPER_KIND,
        }
    }

    /// When one that is due then is given up.
    pub(crate) fn ends(self, due: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Code(ends) => ends,
            Self::News => due + NEWS,
            Self::Paper => due + PAPER,
        }
    }
}

/// For how long a letter that is sent again is tried, as SQL over its row.
pub(crate) fn again_ms() -> String {
    format!("CASE WHEN kind = '{NEWS_KIND}' THEN {} ELSE {} END", NEWS.num_milliseconds(), PAPER.num_milliseconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_say_how_long_letters_live() {
        let page = |name: &str| std::fs::read_to_string(format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let (map, operations) = (page("privacy.toml"), page("OPERATIONS.md"));
        let kept =
            format!("until it is sent; one that was given up {} days more, one with a code not at all", GIVEN_UP_KEPT.num_days());
        let of_letters = map.lines().filter(|line| line.starts_with("body") && line.contains("a whole letter"));
        let told: Vec<bool> = of_letters.map(|line| line.contains(&kept)).collect();
        assert_eq!(told, [true, true], "docs/privacy.toml must say: {kept}");
        let lives = format!("news {} hours, papers {} hours", NEWS.num_hours(), PAPER.num_hours());
        assert!(operations.contains(&lives), "docs/OPERATIONS.md must say: {lives}");
    }
}
