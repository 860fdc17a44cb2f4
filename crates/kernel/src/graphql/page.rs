//! Relay connections: `first` default 20, at most 100; cursors are opaque.

use async_graphql::{
    Error, OutputType, SimpleObject,
    connection::{Connection, Edge, EmptyFields},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::refuse;

/// How many items a page has when the client does not say.
pub const DEFAULT_FIRST: usize = 20;
/// How many it may have at most.
pub const MAX_FIRST: usize = 100;

/// The count of a connection.
#[derive(Debug, Clone, Default, SimpleObject)]
#[graphql(shareable)]
pub struct Total {
    /// How many items there are in all, over every page. Null where counting would cost too much.
    pub total_count: Option<i32>,
}

/// A wanted page: at most `first` items after the position `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Items at most; read one more to know whether there is a next page.
    pub first: usize,
    /// The text given to the last item of the page before, decoded.
    pub after: Option<String>,
}

/// Why a page can't be served.
pub type PageError = Error;

/// Reads `first` and `after`.
pub fn page(first: Option<i32>, after: Option<String>) -> Result<Page, PageError> {
    let first = match first {
        None => DEFAULT_FIRST,
        Some(first) => match usize::try_from(first) {
            Ok(first) if (1..=MAX_FIRST).contains(&first) => first,
            _ => return Err(refuse("PAGE_TOO_LARGE", "first must be between 1 and 100")),
        },
    };
    Ok(Page { first, after: after.map(|cursor| decode_cursor(cursor, "after")).transpose()? })
}

pub(super) fn decode_cursor(cursor: String, argument: &str) -> Result<String, PageError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| refuse("INVALID_CURSOR", format!("{argument} is not a cursor of this list")))
}

/// The connection of a kind of thing, as [`connection`] makes it.
pub type PageOf<T> = Connection<String, T, Total, EmptyFields>;

/// A connection from the rows of a page. Pass up to `page.first + 1` rows, each with its position: the surplus row only
/// tells that there is a next page.
pub fn connection<T: OutputType>(
    page: &Page,
    mut rows: Vec<(String, T)>,
    total_count: Option<i32>,
) -> Connection<String, T, Total, EmptyFields> {
    let has_next = rows.len() > page.first;
    rows.truncate(page.first);
    let mut connection = Connection::with_additional_fields(page.after.is_some(), has_next, Total { total_count });
    connection.edges.extend(rows.into_iter().map(|(position, node)| Edge::new(URL_SAFE_NO_PAD.encode(position), node)));
    connection
}
