//! Relay connections that can be read in both directions: `first` and `after`, or `last` and `before`.

use async_graphql::{
    OutputType,
    connection::{Connection, EmptyFields},
};

use super::{
    Page, PageOf, Total, connection, page,
    page::{PageError, decode_cursor},
    refuse,
};

/// A wanted stretch of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Items at most.
    pub count: usize,
    /// Only behind this position, decoded.
    pub after: Option<String>,
    /// Only before this position, decoded.
    pub before: Option<String>,
    /// Counted from the end.
    pub backward: bool,
}

impl Span {
    /// How many rows to read: one more tells whether there is another page.
    pub fn wanted(&self) -> u64 {
        u64::try_from(self.count + 1).unwrap_or(u64::MAX)
    }
}

/// Reads `first`, `after`, `last` and `before`.
pub fn span(first: Option<i32>, after: Option<String>, last: Option<i32>, before: Option<String>) -> Result<Span, PageError> {
    if first.is_some() && last.is_some() {
        return Err(refuse("INVALID_PAGE", "give first or last, not both"));
    }
    let Page { first: count, after } = page(first.or(last), after)?;
    Ok(Span { count, after, before: before.map(|cursor| decode_cursor(cursor, "before")).transpose()?, backward: last.is_some() })
}

/// A connection from the rows of a stretch, in the order in which they were read: from the end on when it is counted from there.
/// Pass up to [`Span::wanted`] rows, each with its position.
pub fn connection_of<T: OutputType>(span: &Span, mut rows: Vec<(String, T)>) -> PageOf<T> {
    if !span.backward {
        let page = Page { first: span.count, after: span.after.clone() };
        let mut connection = connection(&page, rows, None);
        connection.has_next_page |= span.before.is_some();
        return connection;
    }
    let has_previous = rows.len() > span.count || span.after.is_some();
    rows.truncate(span.count);
    rows.reverse();
    let page = Page { first: span.count, after: None };
    let Connection { edges, .. } = connection(&page, rows, None);
    let fields = Total { total_count: None };
    let mut connection = Connection::<_, _, _, EmptyFields>::with_additional_fields(has_previous, span.before.is_some(), fields);
    connection.edges = edges;
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_from_either_end() {
        let rows = |numbers: &[i32]| numbers.iter().map(|number| (number.to_string(), *number)).collect::<Vec<_>>();
        let shown = |span: &Span, numbers: &[i32]| {
            let connection = connection_of(span, rows(numbers));
            let nodes = connection.edges.iter().map(|edge| edge.node).collect::<Vec<_>>();
            (nodes, connection.has_previous_page, connection.has_next_page)
        };
        let from_begin = span(Some(2), None, None, None).expect("fine");
        assert_eq!(shown(&from_begin, &[1, 2, 3]), (vec![1, 2], false, true));
        assert_eq!(shown(&from_begin, &[1, 2]), (vec![1, 2], false, false));
        let from_end = span(None, None, Some(2), None).expect("fine");
        assert_eq!((from_end.backward, from_end.wanted()), (true, 3));
        assert_eq!(shown(&from_end, &[9, 8, 7]), (vec![8, 9], true, false));
        assert_eq!(shown(&from_end, &[9]), (vec![9], false, false));
        assert!(span(Some(1), None, Some(1), None).is_err());
        assert!(span(None, None, Some(101), None).is_err());
        assert!(span(None, None, None, Some("%".to_owned())).is_err());
    }
}
