//! One walk over each document before the embedded router sees it: what it holds is counted in time linear in its length,
//! and what is over a limit is refused with the number that was reached.
//!
//! First [`sums`] counts what the document would hold written out, without writing it out. When that is within the limit,
//! [`merged`] writes it out to see what it asks of the graph: how wide a set becomes, and how many objects come back.

pub(crate) mod merged;
pub(crate) mod shape;
pub(crate) mod sums;
#[cfg(test)]
mod tests;

use hive_router::graphql_tools::static_graphql::query::{Document, OperationDefinition};

use crate::{config::Limits, document::Size, refusal::Refusal};
use merged::{Merged, PageOf, merge};
use shape::{Kind, Shape};
use sums::{Endless, Summed, Sums, operations_of, selection_set, sum};

/// What the walk counted in the operation that a request asks for. Fragments count at each place where they are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Bytes of the document.
    pub bytes: u64,
    /// Lexical tokens of the document.
    pub tokens: u64,
    /// Fields inside each other; introspection is left out.
    pub depth: u64,
    /// Aliases.
    pub aliases: u64,
    /// Fields at the root.
    pub root_fields: u64,
    /// Directives.
    pub directives: u64,
    /// Fields, inline fragments and spreads of all operations of the document, written out.
    pub selections: u64,
    /// Fields of the widest selection set, after fragments and after fields of one name were put together.
    pub widest_set: u64,
    /// Pairs of fields of one name in one place, and pairs of fragments: validation compares each.
    pub repeats: u64,
    /// Spreads inside each other.
    pub spreads: u64,
    /// Lists of introspection inside each other, which multiply its answer.
    pub introspection_lists: u64,
    /// Objects that the answer may hold, by the sizes of its pages.
    pub cost: u64,
}

/// What the walk found out about one operation of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walked {
    pub counts: Counts,
    /// The cost depends on variables of the request, and is as high as they can make it.
    pub varies: bool,
}

/// Walks a document; its operations come in its order.
pub(crate) fn walk(document: &Document, size: Size, shape: &Shape, limits: &Limits) -> Result<Vec<Walked>, Refusal> {
    let summed = sum(document).map_err(refuse_endless)?;
    let selections = summed.operations.iter().fold(0_u64, |all, sums| all.saturating_add(sums.selections));
    let selections = selections.max(summed.largest_fragment);
    let spreads = summed.operations.iter().map(|sums| sums.spreads).max().unwrap_or(0).max(summed.deepest_fragment);
    let fragments = summed.fragments.len() as u64;
    let repeats = fragments * fragments.saturating_sub(1) / 2;
    let written_out = Counts { selections, repeats, spreads, ..Counts::default() };
    check_written_out(&written_out, limits)?;
    let mut walked = Vec::with_capacity(summed.operations.len());
    for (operation, sums) in operations_of(document).zip(&summed.operations) {
        let counts = counts_of(size, *sums, written_out);
        check_operation(&counts, limits)?;
        let merged = merged(&summed, operation, shape, &|_| Some(shape::LONGEST_PAGE));
        let counts = with_merged(counts, &merged);
        check_merged(&counts, merged.varies, limits)?;
        walked.push(Walked { counts, varies: merged.varies });
    }
    Ok(walked)
}

/// What an operation costs with these variables; it was walked before.
pub(crate) fn cost(document: &Document, operation: &OperationDefinition, shape: &Shape, page_of: PageOf) -> u64 {
    sum(document).map_or(u64::MAX, |summed| merged(&summed, operation, shape, page_of).cost)
}

fn merged(summed: &Summed, operation: &OperationDefinition, shape: &Shape, page_of: PageOf) -> Merged {
    merge(shape, &summed.fragments, shape.root(kind(operation)), selection_set(operation), page_of)
}

fn counts_of(size: Size, sums: Sums, written_out: Counts) -> Counts {
    Counts {
        bytes: size.bytes as u64,
        tokens: size.tokens as u64,
        depth: sums.depth,
        aliases: sums.aliases,
        root_fields: sums.here,
        directives: sums.directives,
        ..written_out
    }
}

fn with_merged(counts: Counts, merged: &Merged) -> Counts {
    Counts {
        selections: counts.selections.max(merged.selections),
        widest_set: merged.widest_set,
        repeats: counts.repeats.saturating_add(merged.repeats),
        introspection_lists: merged.introspection_lists,
        cost: merged.cost,
        ..counts
    }
}

fn check_written_out(counts: &Counts, limits: &Limits) -> Result<(), Refusal> {
    within("MAX_SELECTIONS_EXCEEDED", "selections, fragments written out", counts.selections, limits.selections)?;
    within("MAX_SPREADS_EXCEEDED", "fragments spread inside each other", counts.spreads, limits.spreads)
}

fn check_operation(counts: &Counts, limits: &Limits) -> Result<(), Refusal> {
    within("MAX_DEPTH_EXCEEDED", "fields inside each other", counts.depth, limits.depth)?;
    within("MAX_ROOT_FIELDS_EXCEEDED", "fields at its root", counts.root_fields, limits.root_fields)?;
    within("MAX_ALIASES_EXCEEDED", "aliases", counts.aliases, limits.aliases)?;
    within("MAX_DIRECTIVES_EXCEEDED", "directives", counts.directives, limits.directives)
}

fn check_merged(counts: &Counts, varies: bool, limits: &Limits) -> Result<(), Refusal> {
    within("MAX_SELECTIONS_EXCEEDED", "selections for the types that they are asked of", counts.selections, limits.selections)?;
    within("MAX_SELECTION_SET_EXCEEDED", "fields in one place", counts.widest_set, limits.selection_set)?;
    let pairs = "pairs of fields of one name in one place, and of fragments";
    within("MAX_REPEATS_EXCEEDED", pairs, counts.repeats, limits.repeats)?;
    let lists = "lists of introspection inside each other";
    within("INTROSPECTION_DEPTH_EXCEEDED", lists, counts.introspection_lists, limits.introspection_lists)?;
    if varies { Ok(()) } else { check_cost(counts.cost, limits) }
}

/// Refuses an operation that asks for too many objects.
pub(crate) fn check_cost(cost: u64, limits: &Limits) -> Result<(), Refusal> {
    within("MAX_COST_EXCEEDED", "objects in its answer, as its pages say", cost, limits.cost)
}

/// Refuses more than the limit, with the number that was reached.
pub(crate) fn within(code: &'static str, what: &str, reached: u64, limit: usize) -> Result<(), Refusal> {
    if reached <= limit as u64 {
        return Ok(());
    }
    Err(Refusal::document(code, format!("The document asks for {reached} {what}; {limit} are allowed.")))
}

fn refuse_endless(endless: Endless<'_>) -> Refusal {
    let message = match endless {
        Endless::Cycle(name) => format!("The fragment {name} is spread within itself."),
        Endless::Twice(name) => format!("There are two fragments named {name}."),
    };
    Refusal::document("GRAPHQL_VALIDATION_FAILED", message)
}

/// The kind of an operation.
pub(crate) fn kind(operation: &OperationDefinition) -> Kind {
    match operation {
        OperationDefinition::SelectionSet(_) | OperationDefinition::Query(_) => Kind::Query,
        OperationDefinition::Mutation(_) => Kind::Mutation,
        OperationDefinition::Subscription(_) => Kind::Subscription,
    }
}
