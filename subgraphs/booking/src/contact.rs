//! How to reach who booked: rules for address and telephone.

use berth_contracts::Locale;
use serde::Serialize;

/// Stands for the address of somebody who is forgotten: no letter can go there (RFC 2606).
pub const ERASED_EMAIL: &str = "erased@berth.invalid";
/// Stands for the name of a passenger who is forgotten.
pub const ERASED_NAME: &str = "(erased)";

const MAX_EMAIL: usize = 254;
const MAX_ADDRESS: usize = 300;

/// Whom to write to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// E-mail address.
    pub email: String,
    /// Telephone number.
    pub phone: Option<String>,
    /// Postal address.
    pub address: Option<String>,
    /// Language of the letters. Left out of a request's fingerprint when it is the usual one.
    #[serde(skip_serializing_if = "is_usual")]
    pub locale: Locale,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_usual(locale: &Locale) -> bool {
    *locale == Locale::default()
}

/// Which field of a contact is wrong, and why.
pub type ContactFault = (&'static str, &'static str);

impl Contact {
    /// Whether nobody can be written to any more.
    pub fn is_erased(&self) -> bool {
        self.email == ERASED_EMAIL
    }

    /// The contact with surrounding blanks removed, if its parts are acceptable. An empty telephone or address counts as none.
    pub fn checked(self) -> Result<Self, ContactFault> {
        let email = self.email.trim_matches(' ').to_owned();
        if !is_email(&email) {
            return Err(("email", "this is no e-mail address"));
        }
        let phone = given(self.phone);
        if phone.as_deref().is_some_and(|phone| !is_phone(phone)) {
            return Err(("phone", "a telephone number has 5 to 20 digits, optionally with +, blanks, dashes and brackets"));
        }
        let address = given(self.address);
        if address.as_deref().is_some_and(|address| !is_address(address)) {
            return Err(("address", "an address has at most 300 characters and no control characters"));
        }
        Ok(Self { email, phone, address, locale: self.locale })
    }
}

fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim_matches(' ').to_owned()).filter(|text| !text.is_empty())
}

/// One `@`, printable ASCII, a domain of at least two labels. Whether anybody reads it, only a letter can show.
fn is_email(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else { return false };
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    email.len() <= MAX_EMAIL
        && (1..=64).contains(&local.len())
        && local.bytes().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.split('.').all(label)
}

fn is_phone(phone: &str) -> bool {
    let digits = phone.bytes().filter(u8::is_ascii_digit).count();
    let fine = |(at, byte): (usize, u8)| byte.is_ascii_digit() || b" -()".contains(&byte) || (at == 0 && byte == b'+');
    (5..=20).contains(&digits) && phone.len() <= 40 && phone.bytes().enumerate().all(fine)
}

fn is_address(address: &str) -> bool {
    address.chars().count() <= MAX_ADDRESS && !address.chars().any(|letter| letter.is_control() && letter != '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(email: &str) -> Contact {
        Contact { email: email.to_owned(), phone: None, address: None, locale: Locale::En }
    }

    #[test]
    fn addresses_are_read_strictly() {
        for good in ["ani@example.id", " ani.budi+kai@mail.example.co.id ", "a@b.co"] {
            assert!(contact(good).checked().is_ok(), "{good}");
        }
        for bad in [
            "",
            "ani",
            "ani@",
            "@example.id",
            "ani@example",
            "ani@@example.id",
            "a b@example.id",
            "ani@exa mple.id",
            "ani@example.id\r\nBcc: x@y.z",
            "ani\n@example.id",
            "ani@-x.id",
            ".ani@example.id",
            "ani@example..id",
            "ani@example.id\n",
        ] {
            assert_eq!(contact(bad).checked().err().map(|fault| fault.0), Some("email"), "{bad}");
        }
    }

    #[test]
    fn telephone_and_address_are_optional() {
        let with = |phone: &str, address: &str| Contact {
            phone: Some(phone.to_owned()),
            address: Some(address.to_owned()),
            ..contact("ani@example.id")
        };
        let plain = with(" ", "").checked().expect("blank counts as none");
        assert_eq!((plain.phone, plain.address), (None, None));
        assert!(with("+62 812-3456-789", "Jl. Merdeka 1\nBandung").checked().is_ok());
        assert_eq!(with("12", "").checked().err().map(|fault| fault.0), Some("phone"));
        assert_eq!(with("", &"x".repeat(301)).checked().err().map(|fault| fault.0), Some("address"));
    }
}
