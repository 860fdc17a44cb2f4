//! The letters this service writes: words by language in `letters/words.rs` and, for those about a notification, in
//! `notification/words.rs`; the form of all of them in `templates/`.
//!
//! A new letter: its words there, a function here, a line in [`previews`].

mod words;

use askama::Template;
use berth_contracts::Locale;
use berth_kernel::mail::{Letter, Preview};
use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;

use crate::{
    error::Error,
    notification::{self, Said},
};

/// What a letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// Subject line.
    pub subject: String,
    /// The body, from top to bottom.
    pub blocks: Vec<Block>,
}

/// A part of a letter's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A one-time password, large.
    Code {
        /// What stands before it.
        lead: String,
        /// The code.
        code: String,
    },
    /// A link.
    Link {
        /// What it does.
        label: String,
        /// Where it leads.
        url: String,
    },
    /// A question of the reader, and its answer.
    Asked {
        /// The question.
        question: String,
        /// The answer.
        answer: String,
    },
}

#[derive(Template)]
#[template(path = "letter.txt")]
struct AsText<'a> {
    blocks: &'a [Block],
}

#[derive(Template)]
#[template(path = "letter.html")]
struct AsHtml<'a> {
    lang: &'a str,
    subject: &'a str,
    blocks: &'a [Block],
}

/// The one-time password of a sign-up.
pub fn code(locale: Locale, to: &str, code: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    write(locale, to, words::code(locale, code, ttl.num_minutes()))
}

/// Somebody signed up with an address that has an account.
pub fn known(locale: Locale, to: &str) -> Result<Letter, Error> {
    write(locale, to, words::known(locale))
}

/// The link that sets a new password.
pub fn reset(locale: Locale, to: &str, link: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    write(locale, to, words::reset(locale, link, ttl.num_minutes()))
}

/// The link that sets the first password of an account which an admin made.
pub fn invited(locale: Locale, to: &str, link: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    write(locale, to, words::invited(locale, link, ttl.num_minutes()))
}

/// The account was deleted.
pub fn account_deleted(locale: Locale, to: &str) -> Result<Letter, Error> {
    write(locale, to, words::account_deleted(locale))
}

/// The code that proves a wanted address.
pub fn change_new(locale: Locale, to: &str, code: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    write(locale, to, words::change_new(locale, code, ttl.num_minutes()))
}

/// The code that allows a change of the present address, and the link that stops it.
pub fn change_old(locale: Locale, to: &str, code: &str, link: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    write(locale, to, words::change_old(locale, code, link, ttl.num_minutes()))
}

/// Somebody wants an address that has an account.
pub fn change_taken(locale: Locale, to: &str) -> Result<Letter, Error> {
    write(locale, to, words::change_taken(locale))
}

/// The account has another address now.
pub fn changed(locale: Locale, to: &str) -> Result<Letter, Error> {
    write(locale, to, words::changed(locale))
}

/// What somebody was told in their list of notifications, as a letter.
pub fn notification(locale: Locale, to: &str, said: Said) -> Result<Letter, Error> {
    let asked = said.advice.map(|(question, answer)| Block::Asked { question, answer });
    let blocks = std::iter::once(Block::Text(said.body)).chain(asked).collect();
    write(locale, to, Words { subject: said.title, blocks })
}

fn write(locale: Locale, to: &str, words: Words) -> Result<Letter, Error> {
    let unwritable = |why| Error::library("writing a letter", &why);
    let Words { subject, blocks } = words;
    let text = AsText { blocks: &blocks }.render().map_err(unwritable)?;
    let html = AsHtml { lang: locale.word(), subject: &subject, blocks: &blocks }.render().map_err(unwritable)?;
    Ok(Letter { to: to.to_owned(), subject, text: text.trim_end().to_owned() + "\n", html })
}

/// Every letter of this service in every language.
pub fn previews() -> Result<Vec<Preview>, Error> {
    let (to, link) = ("siti@example.com", "https://berth.example/reset-password#token=example");
    let mut all = Vec::new();
    for locale in Locale::ALL {
        let mut add = |name: &str, letter| all.push(Preview { name: name.to_owned(), locale, letter });
        add("sign-up: code", code(locale, to, "123456", TimeDelta::minutes(10))?);
        add("sign-up: address known", known(locale, to)?);
        add("password: link", reset(locale, to, link, TimeDelta::minutes(30))?);
        add("account: made by an admin", invited(locale, to, link, TimeDelta::minutes(30))?);
        add("account: deleted", account_deleted(locale, to)?);
        let stop = "https://berth.example/stop-change#token=example";
        add("address: code to the new one", change_new(locale, to, "123456", TimeDelta::minutes(10))?);
        add("address: code to the old one", change_old(locale, to, "123456", stop, TimeDelta::minutes(10))?);
        add("address: taken", change_taken(locale, to)?);
        add("address: changed", changed(locale, to)?);
        for rule in notification::RULES.iter().filter(|rule| rule.letter.is_some()) {
            let facts = notification::Facts::example(DateTime::UNIX_EPOCH);
            let said = notification::say(rule.kind, locale, &facts, Tz::Asia__Jakarta);
            add(&format!("notification: {}", rule.name), notification(locale, to, said)?);
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_written_in_every_language() {
        let all = previews().expect("written");
        assert!(all.len() >= 16, "{}", all.len());
        for pair in all.chunks(2) {
            let [one, other] = pair else { panic!("a letter in one language: {pair:?}") };
            assert_eq!((&one.name, one.locale, other.locale), (&other.name, Locale::En, Locale::Id));
            assert_ne!(one.letter.subject, other.letter.subject, "{}", one.name);
            assert_ne!(one.letter.text, other.letter.text, "{}", one.name);
        }
    }

    #[test]
    fn text_and_html_say_the_same() {
        for Preview { name, locale, letter } in previews().expect("written") {
            assert!(letter.html.contains(&format!("lang=\"{}\"", locale.word())), "{name}");
            let plain = plain(&letter.html);
            let words = letter.text.split_whitespace().filter(|word| !word.starts_with("http"));
            for word in words.map(|word| word.trim_end_matches(':')) {
                assert!(plain.contains(word), "{name} {locale:?}: {word:?} stands in the text only\n{plain}");
            }
        }
    }

    #[test]
    fn a_letter_cannot_be_made_to_carry_markup() {
        let facts = notification::Facts { device: Some("<b>phone</b>".to_owned()), ..notification::Facts::default() };
        let said = notification::say(notification::Kind::SignedIn, Locale::En, &facts, Tz::UTC);
        let letter = notification(Locale::En, "siti@example.com", said).expect("written");
        assert!(!letter.html.contains("<b>"), "{}", letter.html);
        assert!(letter.text.contains("<b>phone</b>"), "{}", letter.text);
    }

    /// HTML without its tags and entities.
    fn plain(html: &str) -> String {
        let mut inside = false;
        let outside = |sign: &char| {
            let was_inside = inside;
            inside = (inside || *sign == '<') && *sign != '>';
            !was_inside && *sign != '<'
        };
        html.chars().filter(outside).collect::<String>().replace("&#39;", "'").replace("&#34;", "\"")
    }
}
