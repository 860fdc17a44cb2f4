//! The languages in which Berth writes to people.

/// A language of letters, text messages and notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// English.
    #[default]
    En,
    /// Indonesian.
    Id,
}

impl Locale {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::En, Self::Id];

    /// The BCP 47 tag, as stored and as in the `lang` of a page.
    pub const fn word(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Id => "id",
        }
    }

    /// Reads a stored tag.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|locale| locale.word() == word)
    }

    /// The language that a header `Accept-Language` likes best among ours; `None` when it likes none of them. `in` is how Indonesian
    /// was called once.
    pub fn liked(header: &str) -> Option<Self> {
        let mut best: Option<(u16, Self)> = None;
        for range in header.split(',').take(MOST_RANGES) {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let language = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let Some(locale) = Self::from_word(if language == "in" { "id" } else { &language }) else { continue };
            let weight = weight(parameters);
            if weight > best.map_or(0, |(weight, _)| weight) {
                best = Some((weight, locale));
            }
        }
        best.map(|(_, locale)| locale)
    }
}

/// Ranges of a header that are looked at.
const MOST_RANGES: usize = 20;

/// The weight of a range in thousandths: `q=0.8`.
fn weight(parameters: &str) -> u16 {
    let Some(q) = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q=")) else { return 1000 };
    let weight = q.trim().parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    let weight = weight as u16;
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_is_liked_best_is_taken() {
        for (header, liked) in [
            ("id", Some(Locale::Id)),
            ("id-ID,id;q=0.9,en-US;q=0.8,en;q=0.7", Some(Locale::Id)),
            ("de-DE, en;q=0.5, id;q=0.7", Some(Locale::Id)),
            ("EN-us;q=0.9, id;q=0.9", Some(Locale::En)),
            ("in-ID", Some(Locale::Id)),
            ("en;q=0, id;q=0.001", Some(Locale::Id)),
            ("id;q=0", None),
            ("id;q=nonsense, *;q=1", None),
            ("de, fr", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Locale::liked(header), liked, "{header}");
        }
    }
}
