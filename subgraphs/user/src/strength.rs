//! Whether a password would be among the first that somebody tries: lists of known passwords, names, words, keyboards, dates,
//! and what is known of its owner. Length and kinds of characters say little; the number of guesses says it.

use zxcvbn::{Entropy, Score, feedback::Warning, matching::patterns::MatchPattern, zxcvbn};

/// Words that are tried first here: ours, and Indonesian ones, as the library's lists are of English.
const OURS: [&str; 45] = [
    "berth",
    "ticket",
    "tiket",
    "train",
    "kereta",
    "sayang",
    "cinta",
    "rahasia",
    "bismillah",
    "alhamdulillah",
    "semangat",
    "indonesia",
    "jakarta",
    "bandung",
    "surabaya",
    "merdeka",
    "garuda",
    "persija",
    "persib",
    "ganteng",
    "cantik",
    "bunda",
    "keluarga",
    "bahagia",
    "selamat",
    "sukses",
    "rejeki",
    "bismilah",
    "kucing",
    "harimau",
    "matahari",
    "bintang",
    "pelangi",
    "kangen",
    "rindu",
    "sahabat",
    "sandi",
    "katasandi",
    "masuk",
    "admin",
    "akusayangkamu",
    "akucintakamu",
    "sayangku",
    "cintaku",
    "mahasiswa",
];
/// Parts of an address or a name that are shorter say nothing.
const SHORTEST_PART: usize = 3;

/// Refuses a password that falls to less than 10^8 guesses. `known` is what is known of its owner: address, name. Takes some
/// milliseconds: not for the threads of requests.
pub fn check(password: &str, known: &[String]) -> Result<(), &'static str> {
    let parts = parts(known);
    let words: Vec<&str> = parts.iter().map(String::as_str).chain(OURS).collect();
    let judged = zxcvbn(password, &words);
    if judged.score() >= Score::Three { Ok(()) } else { Err(why(&judged, &parts)) }
}

/// The owner's words: whole, without what stands between them, and in parts.
fn parts(known: &[String]) -> Vec<String> {
    let whole = known.iter().map(|text| text.to_lowercase());
    let own = |text: &String| text.split('@').next().unwrap_or_default().to_lowercase();
    let joined = known.iter().map(move |text| own(text).chars().filter(|sign| sign.is_alphanumeric()).collect());
    let pieces = known.iter().flat_map(|text| text.split(|sign: char| !sign.is_alphanumeric()));
    let pieces = pieces.filter(|piece| piece.chars().count() >= SHORTEST_PART).map(str::to_lowercase);
    whole.chain(joined).chain(pieces).collect()
}

fn why(judged: &Entropy, parts: &[String]) -> &'static str {
    let of_owner =
        |pattern: &MatchPattern| matches!(pattern, MatchPattern::Dictionary(word) if parts.contains(&word.matched_word));
    if judged.sequence().iter().any(|found| of_owner(&found.pattern)) {
        return "this password is easy to guess for who knows your address or name: choose one that has nothing to do with them";
    }
    match judged.feedback().and_then(zxcvbn::feedback::Feedback::warning) {
        Some(
            Warning::ThisIsATop10Password
            | Warning::ThisIsATop100Password
            | Warning::ThisIsACommonPassword
            | Warning::ThisIsSimilarToACommonlyUsedPassword,
        ) => "this password is on the lists that are tried first: choose one that nobody else has",
        Some(Warning::DatesAreOftenEasyToGuess | Warning::RecentYearsAreEasyToGuess) => {
            "dates and years are easy to guess: add words that do not belong together"
        }
        Some(_) => "names, single words, repeats and rows of keys are easy to guess: add words that do not belong together",
        None => "this password is easy to guess: make it longer, with words that do not belong together",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        vec!["siti.rahayu@example.com".to_owned(), "Siti Rahayu".to_owned()]
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for weak in [
            "password",
            "password1",
            "P@ssw0rd123",
            "12345678",
            "qwertyuiop",
            "iloveyou1",
            "aaaaaaaaaaaa",
            "sunshine1998",
            "Berth1234",
            "semangat45",
            "Jakarta2024!",
        ] {
            assert!(check(weak, &known()).is_err(), "{weak}");
        }
    }

    #[test]
    fn what_is_known_of_the_owner_counts_for_nothing() {
        for weak in ["siti.rahayu@example.com", "SitiRahayu1", "rahayu2024", "sitirahayu!"] {
            assert!(check(weak, &known()).is_err(), "{weak}");
        }
        let why = check("SitiRahayu1", &known()).expect_err("refused");
        assert!(why.contains("your address or name"), "{why}");
    }

    #[test]
    fn sensible_ones_pass() {
        for fine in [
            "correct horse battery",
            "attacker's password",
            "a much newer password",
            "kX9$wq2!vLm",
            "kereta malam ke surabaya",
            "pässwörd über alles",
        ] {
            assert_eq!(check(fine, &known()), Ok(()), "{fine}");
        }
        assert!(check(&"ü".repeat(9), &[]).is_err());
        assert!(check(&"längere Wörter, viele davon ".repeat(4), &known()).is_ok());
    }
}
