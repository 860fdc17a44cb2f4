//! Money: a whole number of minor units and its currency. Arithmetic is checked; nothing is a float.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why an amount can't be formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The sum leaves the range of 64 bits.
    #[error("the amount is too large")]
    Overflow,
    /// Two currencies in one sum.
    #[error("the currencies differ")]
    Currency,
    /// Not an ISO 4217 code that Berth knows.
    #[error("the currency is unknown")]
    Unknown,
    /// The amount has a fraction where the other side takes whole units only.
    #[error("the amount is not a whole number of major units")]
    Fraction,
}

/// An ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency {
    code: [u8; 3],
    exponent: u32,
}

impl Currency {
    /// Indonesian rupiah: two digits of minor unit in ISO 4217, though no coin shows them.
    pub const IDR: Self = Self { code: *b"IDR", exponent: 2 };
    /// Euro.
    pub const EUR: Self = Self { code: *b"EUR", exponent: 2 };

    /// Reads a three-letter code in capitals. Codes of ISO 4217 that have no minor unit defined (gold, the test code) are unknown.
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        let letters: [u8; 3] = code.as_bytes().try_into().map_err(|_| MoneyError::Unknown)?;
        let exponent = iso_currency::Currency::from_code(code).and_then(iso_currency::Currency::exponent);
        Ok(Self { code: letters, exponent: exponent.ok_or(MoneyError::Unknown)?.into() })
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("XXX")
    }

    /// How many digits of the minor unit follow the point.
    pub const fn exponent(self) -> u32 {
        self.exponent
    }

    /// Minor units in one major unit.
    pub const fn scale(self) -> i64 {
        10_i64.pow(self.exponent)
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(code: String) -> Result<Self, MoneyError> {
        Self::parse(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

/// An amount in minor units of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units (IDR 1.00 is 100).
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// An amount of minor units.
    pub const fn new(amount_minor: i64, currency: Currency) -> Self {
        Self { amount_minor, currency }
    }

    /// Adds an amount of the same currency.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Currency);
        }
        let sum = self.amount_minor.checked_add(other.amount_minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(sum, self.currency))
    }

    /// The sum of a list; `None` when it is empty.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Option<Self>, MoneyError> {
        let mut amounts = amounts.into_iter();
        let Some(first) = amounts.next() else {
            return Ok(None);
        };
        amounts.try_fold(first, Self::plus).map(Some)
    }

    /// Whole major units, for partners (Midtrans, QRIS) that know no fraction of a rupiah.
    pub fn whole_major(self) -> Result<i64, MoneyError> {
        let scale = self.currency.scale();
        if self.amount_minor % scale == 0 { Ok(self.amount_minor / scale) } else { Err(MoneyError::Fraction) }
    }

    /// From whole major units.
    pub fn from_major(major: i64, currency: Currency) -> Result<Self, MoneyError> {
        major.checked_mul(currency.scale()).map(|minor| Self::new(minor, currency)).ok_or(MoneyError::Overflow)
    }

    /// The exact decimal text without the currency: `150000.00`.
    pub fn decimal(self) -> String {
        let scale = self.currency.scale().unsigned_abs();
        let (sign, amount) = (if self.amount_minor < 0 { "-" } else { "" }, self.amount_minor.unsigned_abs());
        match self.currency.exponent() as usize {
            0 => format!("{sign}{amount}"),
            digits => format!("{sign}{}.{:0digits$}", amount / scale, amount % scale),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency.code(), self.decimal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_follow_the_currency() {
        assert_eq!(Money::new(15_000_000, Currency::IDR).decimal(), "150000.00");
        assert_eq!(Money::new(-5, Currency::EUR).decimal(), "-0.05");
        assert_eq!(Currency::parse("JPY").map(|yen| Money::new(7, yen).decimal()), Ok("7".to_owned()));
    }

    #[test]
    fn minor_units_are_those_of_iso_4217() {
        let digits = |code: &str| Currency::parse(code).map(Currency::exponent);
        for code in ["BIF", "DJF", "GNF", "KMF", "RWF", "UYI", "VUV", "XAF", "XOF", "XPF", "JPY", "KRW"] {
            assert_eq!(digits(code), Ok(0), "{code}");
        }
        for code in ["IQD", "LYD", "BHD", "TND"] {
            assert_eq!(digits(code), Ok(3), "{code}");
        }
        for code in ["ZZZ", "XAU", "XXX", "idr", "RP", "", "\u{e9}U"] {
            assert_eq!(digits(code), Err(MoneyError::Unknown), "{code}");
        }
    }

    #[test]
    fn a_fraction_of_a_rupiah_is_refused() {
        assert_eq!(Money::new(150, Currency::IDR).whole_major(), Err(MoneyError::Fraction));
        assert_eq!(Money::new(18_500_000, Currency::IDR).whole_major(), Ok(185_000));
    }

    #[test]
    fn sums_are_checked() {
        let most = Money::new(i64::MAX, Currency::IDR);
        assert_eq!(most.plus(Money::new(1, Currency::IDR)), Err(MoneyError::Overflow));
        assert_eq!(most.plus(Money::new(1, Currency::EUR)), Err(MoneyError::Currency));
    }
}
