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
/// Characters of a password that are judged: whatever follows them, it is guessed no sooner.
const JUDGED: usize = 64;
/// Signs that stand for letters (`p4$$w0rd`), for each letter that has any. The library reads a password once in every way that its
/// signs allow, and each way costs the square of the length.
const SIGNS: [&str; 12] = ["4@", "8", "({[<", "3", "69", "1!|", "1|7", "0", "$5", "+7", "%", "2"];
/// Signs that stand for either of two letters: each may double the ways.
const DOUBLE: [char; 3] = ['1', '|', '7'];
/// Most ways times the square of the length: some 15 ms. A password that goes beyond is full of signs, and judged by its beginning.
const WORK: usize = 24 * JUDGED * JUDGED;
/// Parts of an address or a name that are shorter say nothing.
const SHORTEST_PART: usize = 3;

/// Refuses a password that falls to less than 10^8 guesses. `known` is what is known of its owner: address, name. Takes some
/// milliseconds, whatever the password: not for the threads of requests.
pub fn check(password: &str, known: &[String]) -> Result<(), &'static str> {
    let parts = parts(known);
    let words: Vec<&str> = parts.iter().map(String::as_str).chain(OURS).collect();
    let judged = zxcvbn(&beginning(password), &words);
    if judged.score() >= Score::Three { Ok(()) } else { Err(why(&judged, &parts)) }
}

/// As much of a password as can be judged soon.
fn beginning(password: &str) -> String {
    let mut signs: Vec<char> = password.chars().take(JUDGED).collect();
    while signs.len() > 1 && ways(&signs) * signs.len() * signs.len() > WORK {
        signs.pop();
    }
    signs.into_iter().collect()
}

/// In how many ways the library reads it, at most.
fn ways(password: &[char]) -> usize {
    let present = |signs: &str| signs.chars().filter(|sign| password.contains(sign)).count();
    let doubled: usize = DOUBLE.iter().map(|sign| if password.contains(sign) { 2 } else { 1 }).product();
    SIGNS.iter().map(|signs| present(signs).max(1)).product::<usize>() * doubled
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

    /// Time of this thread on a core: other work on the machine does not count.
    fn cpu_ms() -> f64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).expect("a number") / 1e6
    }

    /// Every kind of text that costs a judge of passwords much; the mixed ones were found by climbing towards the slowest.
    fn crafted() -> Vec<String> {
        let units = [
            "a",
            "ab",
            "4@8({[<36991!|17|0$5+7%2",
            "4@8({[<369 1!|7 0$5+%2 password love monkey",
            "12/12/1991",
            "1.1.91",
            "19912001",
            "qwertyuiopasdfghjkl",
            "p@55w0rd$1ove+",
            "\u{130}\u{df}\u{fb01}",
            "\u{1f469}\u{200d}",
            " w<\u{130}'<$43\u{130}MaaaaF\u{130}\u{df}<\u{df}@4[Y9 8|40password{%0@%80<6monkeypassword4",
            "@1H@\u{130}+[9]4@9:u1991:619914ai43<@@0$15312/12/1991W48{@63<",
        ];
        let cycled = |unit: &str| unit.chars().cycle().take(128).collect::<String>();
        let tailed = |unit: &str| format!("{}4@8({{[<3691!|70$5+%2abcd", unit.chars().cycle().take(40).collect::<String>());
        units.iter().map(|unit| cycled(unit)).chain(units.iter().map(|unit| tailed(unit))).collect()
    }

    #[test]
    fn no_password_takes_long_to_judge() {
        let known = vec![format!("{}@example.com", "a.bcd".repeat(40)), "Siti Rahayu ".repeat(8)];
        let _warm = check("warm", &known);
        for password in crafted() {
            let before = cpu_ms();
            let _judged = check(&password, &known);
            let took = cpu_ms() - before;
            assert!(took < 50.0, "{took} ms for {password}");
        }
    }

    #[test]
    fn the_beginning_of_a_strong_password_is_strong() {
        let long = "a kind of long sentence that goes on and on, with a comma and more words than anybody types";
        assert_eq!(beginning(long).chars().count(), JUDGED);
        assert_eq!(check(long, &known()), Ok(()));
        let full_of_signs = "4@8({[<3691!|70$5+%2abcd4@8({[<3691!|70$5+%2";
        assert!((12..JUDGED).contains(&beginning(full_of_signs).len()));
        assert_eq!(check(full_of_signs, &known()), Ok(()));
        assert!(check(&"password".repeat(16), &known()).is_err(), "length alone is no strength");
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
