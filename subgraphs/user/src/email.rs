//! An e-mail address, in the one form in which it is stored and compared.

const MAX_CHARS: usize = 254;
const MAX_LOCAL_CHARS: usize = 64;
const SIGNS: &str = "!#$%&'*+/=?^_`{|}~-";

/// A normalised address: plain ASCII `local@domain`, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Reads an address. Spaces around it are dropped; control characters, comments, quotes and line breaks are refused,
    /// so an address can never add a header or a second recipient to a letter.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.chars().any(char::is_control) {
            return Err("an e-mail address has no control characters or line breaks");
        }
        let text = text.trim_matches(' ').to_ascii_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or("an e-mail address has an @")?;
        if text.len() > MAX_CHARS || local.len() > MAX_LOCAL_CHARS {
            return Err("an e-mail address has at most 254 characters, at most 64 of them before the @");
        }
        if !local.split('.').all(is_atom) {
            return Err("the part of the e-mail address before the @ is malformed");
        }
        let labels: Vec<&str> = domain.split('.').collect();
        let top = labels.last().copied().unwrap_or_default();
        if labels.len() < 2 || !labels.iter().all(|label| is_label(label)) || top.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("the part of the e-mail address after the @ is no domain name");
        }
        Ok(Self(text))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_atom(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || SIGNS.contains(letter))
}

fn is_label(label: &str) -> bool {
    let fits = (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    fits && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        assert_eq!(Email::parse("  Siti.N+kai@Example.CO.id ").expect("fine").as_str(), "siti.n+kai@example.co.id");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let bad = [
            "",
            "siti",
            "@example.com",
            "siti@",
            "siti@localhost",
            "si ti@example.com",
            "siti@exa mple.com",
            "a@b@example.com",
            "siti@example.com\r\nBcc: all@example.com",
            "siti@example.com\n",
            ".siti@example.com",
            "si..ti@example.com",
            "siti@-example.com",
            "siti@example..com",
            "siti@127.0.0.1",
            "\"siti\"@example.com",
            "siti@example.com,b@example.com",
            "<siti@example.com>",
            "sítí@example.com",
            long.as_str(),
        ];
        for text in bad {
            assert!(Email::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
