//! Values as people write them. A variable is a text, whatever it holds: whether `4711` is a number, a password or a port is
//! known only to the setting.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Expected, IntoDeserializer, Unexpected, Visitor, value::MapDeserializer},
    forward_to_deserialize_any,
};

use super::Config;

/// A value in one of the forms that a setting can take.
#[derive(Debug, Clone)]
pub enum Written {
    /// As it stands.
    Text(String),
    /// Read as a whole number.
    Number(i64),
    /// Read as yes or no.
    Flag(bool),
}

/// The value in the form that the setting of this key takes; otherwise what would fit.
pub fn fitting(key: &str, text: &str) -> Result<Written, String> {
    let number = text.parse().ok().map(Written::Number);
    let flag = text.parse().ok().map(Written::Flag);
    let mut wanted = String::new();
    for form in [Some(Written::Text(text.to_owned())), number, flag].into_iter().flatten() {
        match assembled([(key.to_owned(), form.clone())]) {
            Ok(_) => return Ok(form),
            Err(Misfit(expected)) => wanted = expected,
        }
    }
    Err(wanted)
}

/// The settings with these values, and the defaults.
pub fn assembled(values: impl IntoIterator<Item = (String, Written)>) -> Result<Config, Misfit> {
    Config::deserialize(MapDeserializer::new(values.into_iter()))
}

/// A value that does not fit, by what would. It does not hold the value.
#[derive(Debug)]
pub struct Misfit(String);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        // Only addresses are read from texts by rules of their own.
        Self("an address with a port".to_owned())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let range = |least: &str, most: &dyn fmt::Display| format!("a whole number from {least} to {most}");
        Self(match expected.as_str() {
            "u16" => range("0", &u16::MAX),
            "u32" => range("0", &u32::MAX),
            "u64" | "usize" => "a whole number that is not negative".to_owned(),
            "i64" => "a whole number".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "socket address" => "an address with a port".to_owned(),
            _ => expected,
        })
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Self(known.join(" or "))
    }
}

impl<'de> IntoDeserializer<'de, Misfit> for Written {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Written {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self {
            Self::Text(text) => visitor.visit_string(text),
            Self::Number(number) => visitor.visit_i64(number),
            Self::Flag(flag) => visitor.visit_bool(flag),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self {
            Self::Text(text) => visitor.visit_enum(text.into_deserializer()),
            Self::Number(_) | Self::Flag(_) => Err(<Misfit as de::Error>::unknown_variant("", variants)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}
