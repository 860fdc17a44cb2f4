//! What is known of a person, and the rules for it.

use berth_kernel::clock::latest_today;
use chrono::{DateTime, Months, NaiveDate, Utc};

const MAX_NAME_CHARS: usize = 100;
const MAX_ADDRESS_CHARS: usize = 500;
const MAX_AGE_MONTHS: u32 = 130 * 12;

/// A name as on the document.
pub fn full_name(text: &str) -> Result<String, &'static str> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = name.chars().count();
    let readable = name.chars().any(char::is_alphabetic) && !name.chars().any(char::is_control);
    if readable && count <= MAX_NAME_CHARS { Ok(name) } else { Err("a name has 1 to 100 characters, letters among them") }
}

/// A date of birth: not after today anywhere on Earth, not more than 130 years ago.
pub fn birth_date(date: NaiveDate, now: DateTime<Utc>) -> Result<NaiveDate, &'static str> {
    let today = latest_today(now);
    let oldest = today.checked_sub_months(Months::new(MAX_AGE_MONTHS)).unwrap_or(NaiveDate::MIN);
    if (oldest..=today).contains(&date) { Ok(date) } else { Err("a date of birth lies in the past, at most 130 years ago") }
}

/// A phone number: international (`+62 812...`, E.164) or as dialled within the country (`0812...`). Spaces, hyphens, dots and
/// brackets are dropped.
pub fn phone(text: &str) -> Result<String, &'static str> {
    const WHY: &str = "a phone number has + and 8 to 15 digits, or 0 and 7 to 14 more digits";
    let number: String = text.trim().chars().filter(|sign| !matches!(sign, ' ' | '-' | '.' | '(' | ')')).collect();
    let (digits, lengths) = match number.strip_prefix('+') {
        Some(digits) if digits.starts_with('0') => return Err(WHY),
        Some(digits) => (digits, 8..=15),
        None if number.starts_with('0') => (number.as_str(), 8..=15),
        None => return Err(WHY),
    };
    let fine = digits.bytes().all(|byte| byte.is_ascii_digit()) && lengths.contains(&digits.len());
    if fine { Ok(number) } else { Err(WHY) }
}

/// A postal address, on one line or several.
pub fn address(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let count = text.chars().count();
    let strange = text.chars().any(|sign| sign.is_control() && sign != '\n');
    let fine = (1..=MAX_ADDRESS_CHARS).contains(&count) && !strange;
    if fine { Ok(text.to_owned()) } else { Err("an address has 1 to 500 characters") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_numbers() {
        assert_eq!(phone("+62 812-3456-7890").as_deref(), Ok("+6281234567890"));
        assert_eq!(phone("0812 3456 7890").as_deref(), Ok("081234567890"));
        for text in ["", "+", "12345678", "+0812345678", "+62", "+62812345678901234", "+62abc12345", "0812345\r\n"] {
            assert!(phone(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn births_lie_in_the_past() {
        let now = "2026-12-24T11:00:00Z".parse().expect("a time");
        let day = |text: &str| text.parse::<NaiveDate>().expect("a date");
        assert!(birth_date(day("2026-12-25"), now).is_ok(), "it is already tomorrow on Kiritimati");
        assert!(birth_date(day("2026-12-26"), now).is_err());
        assert!(birth_date(day("1896-12-26"), now).is_ok());
        assert!(birth_date(day("1896-12-24"), now).is_err());
    }

    #[test]
    fn names_have_letters() {
        assert_eq!(full_name("  Siti   Nurhaliza ").as_deref(), Ok("Siti Nurhaliza"));
        for text in ["", "   ", "123", "a\u{7}b"] {
            assert!(full_name(text).is_err(), "{text:?} was taken");
        }
        assert!(full_name(&"a".repeat(101)).is_err());
    }
}
