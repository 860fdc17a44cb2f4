//! Scalars of the graph, and `Money`.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};
use chrono::{FixedOffset, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;

/// An instant with offset, RFC 3339: `2026-12-24T18:05:00+07:00`.
pub type DateTime = chrono::DateTime<FixedOffset>;

/// A calendar date, ISO 8601: 2026-12-24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub NaiveDate);

/// A calendar date, ISO 8601: 2026-12-24.
#[Scalar]
impl ScalarType for Date {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        // Exactly ten characters: chrono alone would take 2026-1-2.
        let date = if text.len() == 10 { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None };
        date.map(Self).ok_or_else(|| InputValueError::custom("a date looks like 2026-12-24"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A date and time on the clocks of a place, without offset: 2026-12-24T18:05:00. Read it together with the time zone beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalDateTime(pub NaiveDateTime);

/// A date and time on the clocks of a place, without offset: 2026-12-24T18:05:00. Read it together with the time zone beside it.
#[Scalar]
impl ScalarType for LocalDateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S");
        time.map(Self).map_err(|_| InputValueError::custom("a local time looks like 2026-12-24T18:05:00"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.format("%Y-%m-%dT%H:%M:%S").to_string())
    }
}

/// Name of a time zone in the IANA database: Asia/Jakarta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(pub String);

/// Name of a time zone in the IANA database: Asia/Jakarta.
#[Scalar]
impl ScalarType for TimeZone {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        let known = text.parse::<Tz>().is_ok();
        if known { Ok(Self(text.clone())) } else { Err(InputValueError::custom("no such zone in the IANA database")) }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// An exact decimal number as a string: 150000.00. Never read it as a floating-point number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal(pub String);

/// An exact decimal number as a string: 150000.00. Never read it as a floating-point number.
#[Scalar]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let fine = all_digits(whole) && all_digits(fraction);
        if fine { Ok(Self(text.clone())) } else { Err(InputValueError::custom("a decimal looks like 150000.00")) }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A whole number of up to 64 bits as a string, because numbers of JSON lose digits beyond 53 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BigInt(pub i64);

/// A whole number of up to 64 bits as a string, because numbers of JSON lose digits beyond 53 bits.
#[Scalar]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        number.map(Self).ok_or_else(|| InputValueError::custom("a BigInt is a whole number of 64 bits in a string"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// An amount of money. Compute with amountMinor, show amount.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
#[graphql(shareable)]
pub struct Money {
    /// The amount in major units as an exact decimal: 150000.00 for Rp 150,000.
    pub amount: Decimal,
    /// The amount in minor units of the currency: 15000000 for Rp 150,000.
    pub amount_minor: BigInt,
    /// ISO 4217 code: IDR.
    pub currency: String,
}

impl From<berth_contracts::Money> for Money {
    fn from(money: berth_contracts::Money) -> Self {
        Self {
            amount: Decimal(money.decimal()),
            amount_minor: BigInt(money.amount_minor),
            currency: money.currency.code().to_owned(),
        }
    }
}

/// An instant in UTC as the graph shows it.
pub fn in_utc(instant: chrono::DateTime<Utc>) -> DateTime {
    instant.fixed_offset()
}
