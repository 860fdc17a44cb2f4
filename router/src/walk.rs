//! One walk over each document before the embedded router sees it: what it holds is counted in time linear in its length, and
//! what is over a limit is refused with the number that was reached.

/// What the walk counted in the operation that a request asks for. Fragments count at each place where they are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Bytes of the document.
    pub bytes: usize,
    /// Lexical tokens of the document.
    pub tokens: usize,
    /// Fields inside each other; introspection is left out.
    pub depth: u64,
    /// Aliases.
    pub aliases: u64,
    /// Fields at the root.
    pub root_fields: u64,
    /// Directives.
    pub directives: u64,
    /// Fields and inline fragments after expansion.
    pub selections: u64,
    /// Selections of the widest selection set.
    pub widest_set: u64,
    /// Spreads inside each other.
    pub spreads: u64,
    /// Lists inside lists of introspection, which multiply its answer.
    pub introspection_lists: u64,
    /// Objects that the answer may hold, by the sizes of its pages. With the variables of the request.
    pub cost: u64,
}
