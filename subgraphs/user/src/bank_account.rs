//! A bank account to which somebody is paid out.

use std::fmt;

use uuid::Uuid;

use crate::{error::Invalid, person};

/// A bank account of somebody.
#[derive(Debug, Clone)]
pub struct BankAccount {
    /// Key.
    pub id: Uuid,
    /// Which bank.
    pub bank_code: String,
    /// Whose name it is in.
    pub holder_name: String,
    /// Its number.
    pub number: BankNumber,
}

/// Number of a bank account: capital letters and digits. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct BankNumber(String);

impl BankAccount {
    /// The account this describes.
    pub fn checked(id: Uuid, bank_code: &str, holder_name: &str, number: &str) -> Result<Self, Invalid> {
        let at = |field| move |why| Invalid { field, why };
        Ok(Self {
            id,
            bank_code: bank_code_of(bank_code).map_err(at("bankCode"))?,
            holder_name: person::full_name(holder_name).map_err(at("holderName"))?,
            number: BankNumber::parse(number).map_err(at("number"))?,
        })
    }
}

/// Three digits, as in Indonesia (014), or a BIC of 8 or 11 characters (ISO 9362).
fn bank_code_of(text: &str) -> Result<String, &'static str> {
    let code = text.trim().to_ascii_uppercase();
    let national = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let letters = |range: std::ops::Range<usize>| code.as_bytes()[range].iter().all(u8::is_ascii_uppercase);
    let bic = matches!(code.len(), 8 | 11) && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) && letters(0..6);
    if national || bic { Ok(code) } else { Err("a bank has three digits, or a BIC of 8 or 11 characters") }
}

impl BankNumber {
    /// Reads a number as people write it: 6 to 20 digits, or an IBAN whose check digits are right. Blanks and hyphens are dropped.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let number: String = text.trim().chars().filter(|sign| !matches!(sign, ' ' | '-')).collect();
        let number = number.to_ascii_uppercase();
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (6..=20).contains(&number.len()) || is_iban(&number) {
            return Ok(Self(number));
        }
        Err("a bank account has 6 to 20 digits, or an IBAN with the right check digits")
    }

    /// A number that was checked when it was stored.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number as it is shown: all but the last four characters are stars.
    pub fn masked(&self) -> String {
        let hidden = self.0.len().saturating_sub(4);
        format!("{}{}", "*".repeat(hidden), self.0.get(hidden..).unwrap_or_default())
    }
}

impl fmt::Debug for BankNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// ISO 13616: the first four characters moved to the end, letters as 10 to 35, must leave 1 when divided by 97.
fn is_iban(text: &str) -> bool {
    let plain = (15..=34).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain || !text.as_bytes()[..2].iter().all(u8::is_ascii_uppercase) {
        return false;
    }
    let (begin, rest) = text.split_at(4);
    let left = rest.chars().chain(begin.chars()).fold(0, |left, sign| match sign.to_digit(36) {
        Some(value) if value >= 10 => (left * 100 + value) % 97,
        Some(value) => (left * 10 + value) % 97,
        None => left,
    });
    left == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked_and_masked() {
        for good in ["1234567890", "123-456-7890", "GB82 WEST 1234 5698 7654 32", "de89370400440532013000"] {
            assert!(BankNumber::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "12345", "123456789012345678901", "12345X", "GB82WEST12345698765433", "GB82"] {
            assert!(BankNumber::parse(bad).is_err(), "{bad}");
        }
        let number = BankNumber::parse("1234567890").expect("fine");
        assert_eq!((number.masked().as_str(), format!("{number:?}").as_str()), ("******7890", "******7890"));
    }

    #[test]
    fn banks_have_codes() {
        for good in ["014", "CENAIDJA", "cenaidjaxxx"] {
            assert!(bank_code_of(good).is_ok(), "{good}");
        }
        for bad in ["", "14", "0145", "CENA1DJA", "BANK"] {
            assert!(bank_code_of(bad).is_err(), "{bad}");
        }
    }
}
