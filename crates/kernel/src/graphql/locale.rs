//! The language of what is written to a person.

use async_graphql::Enum;

/// A language in which Berth writes to people. May grow.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "berth_contracts::Locale")]
pub enum Locale {
    /// English.
    En,
    /// Indonesian.
    Id,
}
