//! Stations and operators, and how a station is found by what a person types.

use chrono_tz::Tz;
use uuid::Uuid;

/// A place where trips call: a railway station, a pier, an airport. Platforms belong to their station.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    /// Key.
    pub id: Uuid,
    /// Name as the operator writes it.
    pub name: String,
    /// Short public code (`GMR`), if the operator has one.
    pub code: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// The zone of its clocks.
    pub time_zone: Tz,
    /// Name and code in the form that searches compare.
    pub folded: Folded,
}

/// Who runs a trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Key.
    pub id: Uuid,
    /// Name.
    pub name: String,
}

/// Name and code without case and diacritics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    name: String,
    code: String,
}

/// How well a station fits a search; smaller is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The code is the searched text.
    Code,
    /// The name is the searched text.
    Name,
    /// The name begins with it.
    NamePrefix,
    /// The code begins with it.
    CodePrefix,
    /// A later word of the name begins with it.
    WordPrefix,
    /// It occurs somewhere in the name.
    Within,
}

impl Folded {
    /// Folds a name and a code.
    pub fn new(name: &str, code: Option<&str>) -> Self {
        Self { name: fold(name), code: fold(code.unwrap_or_default()) }
    }

    /// The folded name, for ordering.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How well this fits a folded, non-empty search text; `None`: not at all.
    pub fn fit(&self, wanted: &str) -> Option<Fit> {
        if self.code == wanted {
            return Some(Fit::Code);
        }
        if let Some(rest) = self.name.strip_prefix(wanted) {
            return Some(if rest.is_empty() { Fit::Name } else { Fit::NamePrefix });
        }
        if self.code.starts_with(wanted) {
            return Some(Fit::CodePrefix);
        }
        let at = self.name.find(wanted)?;
        let starts_word = |at: usize| self.name[..at].ends_with(' ');
        let prefix_of_a_word = starts_word(at) || self.name.match_indices(wanted).any(|(at, _)| starts_word(at));
        Some(if prefix_of_a_word { Fit::WordPrefix } else { Fit::Within })
    }
}

/// Lower case, Latin letters without their diacritics, everything that is no letter or digit as one space.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match base_letters(letter) {
            Some(base) => folded.push_str(base),
            // Combining marks, as in decomposed text.
            None if ('\u{300}'..='\u{36f}').contains(&letter) => {}
            None if letter.is_alphanumeric() => folded.push(letter),
            None if folded.ends_with(' ') || folded.is_empty() => {}
            None => folded.push(' '),
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// The plain letters of a lower-case Latin letter with a diacritic.
fn base_letters(letter: char) -> Option<&'static str> {
    Some(match letter {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ' | 'ả' | 'ấ' | 'ầ' | 'ắ' => "a",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ẹ' | 'ế' | 'ề' | 'ệ' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì' | 'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ị' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' | 'ọ' | 'ố' | 'ồ' | 'ộ' | 'ơ' => "o",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ụ' | 'ư' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_drops_case_marks_and_punctuation() {
        assert_eq!(fold("  Železničná stanica — Púchov "), "zeleznicna stanica puchov");
        assert_eq!(fold("Przemys\u{301}l Gl."), "przemysl gl");
        assert_eq!(fold("Straße"), "strasse");
        assert_eq!(fold("東京"), "東京");
        assert_eq!(fold("--"), "");
    }

    #[test]
    fn codes_and_prefixes_come_first() {
        let station = Folded::new("Surabaya Pasarturi", Some("SBI"));
        assert_eq!(station.fit("sbi"), Some(Fit::Code));
        assert_eq!(station.fit("surabaya pasarturi"), Some(Fit::Name));
        assert_eq!(station.fit("sura"), Some(Fit::NamePrefix));
        assert_eq!(station.fit("sb"), Some(Fit::CodePrefix));
        assert_eq!(station.fit("pasar"), Some(Fit::WordPrefix));
        assert_eq!(station.fit("turi"), Some(Fit::Within));
        assert_eq!(station.fit("gambir"), None);
        assert!(Fit::Code < Fit::NamePrefix && Fit::NamePrefix < Fit::Within);
    }
}
