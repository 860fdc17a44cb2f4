//! What an answer of a mail server or a gateway means for what was sent.

/// Why something was not delivered, and what becomes of it. The text is the server's answer, without addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server is away, or does not know us: nothing can be sent, and it is not this letter's fault. It waits.
    Away(String),
    /// The server did not take this one now: it is tried again.
    Later(String),
    /// The server will never take this one: it is given up.
    Never(String),
}

const LONGEST: usize = 300;
/// So many digits in a row may be a phone number or a code.
const DIGITS: usize = 6;

/// A server's answer as it may be kept and logged: a word that may be an address, a link, a number or the recipient's name is left
/// out, and it has an end.
pub(crate) fn without_addresses(answer: &str, recipient: &str) -> String {
    let name = recipient.split('@').next().unwrap_or_default().to_lowercase();
    let words = answer.split(|sign: char| sign.is_whitespace() || sign.is_control() || "<>\"'()[],;".contains(sign));
    let kept = words.filter(|word| !word.is_empty()).map(|word| if is_private(word, &name) { "..." } else { word });
    kept.collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

fn is_private(word: &str, name: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let names_somebody = !name.is_empty() && word.to_lowercase().split(|sign: char| !is_of_a_name(sign)).any(|part| part == name);
    word.contains('@') || word.contains("://") || digits >= DIGITS || names_somebody
}

fn is_of_a_name(sign: char) -> bool {
    sign.is_alphanumeric() || "._+-".contains(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_nobody() {
        let to = "rina.kartika+berth@example.org";
        for (answer, kept) in [
            ("550 5.1.1 <rina.kartika+berth@example.org>: user unknown", "550 5.1.1 ... : user unknown"),
            ("5.1.1 User rina.kartika+berth unknown", "5.1.1 User ... unknown"),
            ("5.7.1 listed, see http://lists.example/?ip=1&to=x", "5.7.1 listed see ..."),
            ("no such number +6281234567890\r\nbye", "no such number ... bye"),
            ("4.7.1 greylisted, try again in 300 seconds", "4.7.1 greylisted try again in 300 seconds"),
        ] {
            assert_eq!(without_addresses(answer, to), kept);
        }
        assert_eq!(without_addresses(&"x ".repeat(1000), to).len(), LONGEST);
    }
}
