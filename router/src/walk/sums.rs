//! What a document holds, without writing it out: each fragment is walked once, and what it holds is added wherever it is
//! spread. Linear in the length of the document, whatever it contains.

use std::collections::HashMap;

use hive_router::graphql_tools::static_graphql::query::{
    Definition, Directive, Document, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
};

/// The fragments of a document by name.
pub(crate) type Fragments<'a> = HashMap<&'a str, &'a FragmentDefinition>;

/// What a selection set holds, its fragments included. Numbers too large to hold stay at the largest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Fields, inline fragments and spreads.
    pub selections: u64,
    /// Fields of the set itself.
    pub here: u64,
    pub aliases: u64,
    pub directives: u64,
    /// Fields inside each other; introspection is left out.
    pub depth: u64,
    /// Spreads inside each other.
    pub spreads: u64,
}

/// Why the sums can't be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endless<'a> {
    /// The fragment is spread within itself.
    Cycle(&'a str),
    /// Two fragments have this name.
    Twice(&'a str),
}

/// What each operation and fragment holds.
pub(crate) struct Summed<'a> {
    pub fragments: Fragments<'a>,
    /// Of each operation, in the document's order.
    pub operations: Vec<Sums>,
    /// The most selections of a fragment, spread or not.
    pub largest_fragment: u64,
    /// The most spreads inside each other of a fragment, spread or not.
    pub deepest_fragment: u64,
}

/// Walks a document.
pub(crate) fn sum(document: &Document) -> Result<Summed<'_>, Endless<'_>> {
    let mut fragments = Fragments::new();
    for fragment in document.definitions.iter().filter_map(fragment) {
        if fragments.insert(&fragment.name, fragment).is_some() {
            return Err(Endless::Twice(&fragment.name));
        }
    }
    let mut walk = Walk { fragments: &fragments, known: HashMap::new() };
    let (mut largest_fragment, mut deepest_fragment) = (0, 0);
    for fragment in document.definitions.iter().filter_map(fragment) {
        let sums = walk.fragment(fragment)?;
        largest_fragment = sums.selections.max(largest_fragment);
        deepest_fragment = sums.spreads.max(deepest_fragment);
    }
    let mut operations = Vec::new();
    for operation in operations_of(document) {
        let mut sums = walk.set(selection_set(operation))?;
        sums.directives = sums.directives.saturating_add(directives(operation).len() as u64);
        operations.push(sums);
    }
    Ok(Summed { fragments, operations, largest_fragment, deepest_fragment })
}

struct Walk<'a, 'f> {
    fragments: &'f Fragments<'a>,
    /// `None` while the fragment is being walked.
    known: HashMap<&'a str, Option<Sums>>,
}

impl<'a> Walk<'a, '_> {
    fn fragment(&mut self, fragment: &'a FragmentDefinition) -> Result<Sums, Endless<'a>> {
        match self.known.get(fragment.name.as_str()) {
            Some(Some(sums)) => return Ok(*sums),
            Some(None) => return Err(Endless::Cycle(&fragment.name)),
            None => {}
        }
        self.known.insert(&fragment.name, None);
        let mut sums = self.set(&fragment.selection_set)?;
        sums.directives = sums.directives.saturating_add(fragment.directives.len() as u64);
        self.known.insert(&fragment.name, Some(sums));
        Ok(sums)
    }

    fn set(&mut self, set: &'a SelectionSet) -> Result<Sums, Endless<'a>> {
        let mut sums = Sums::default();
        for selection in &set.items {
            sums.add(self.selection(selection)?);
        }
        Ok(sums)
    }

    fn selection(&mut self, selection: &'a Selection) -> Result<Sums, Endless<'a>> {
        let (mut sums, directives) = match selection {
            Selection::Field(field) => {
                let mut sums = self.set(&field.selection_set)?;
                sums.here = 1;
                sums.aliases = sums.aliases.saturating_add(u64::from(field.alias.is_some()));
                sums.depth = if is_introspection(&field.name) { 0 } else { sums.depth.saturating_add(1) };
                (sums, &field.directives)
            }
            Selection::InlineFragment(inline) => (self.set(&inline.selection_set)?, &inline.directives),
            Selection::FragmentSpread(spread) => {
                let fragment = self.fragments.get(spread.fragment_name.as_str());
                let mut sums = fragment.map_or(Ok(Sums::default()), |fragment| self.fragment(fragment))?;
                sums.spreads = sums.spreads.saturating_add(1);
                (sums, &spread.directives)
            }
        };
        sums.selections = sums.selections.saturating_add(1);
        sums.directives = sums.directives.saturating_add(directives.len() as u64);
        Ok(sums)
    }
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.here = self.here.saturating_add(other.here);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.depth = self.depth.max(other.depth);
        self.spreads = self.spreads.max(other.spreads);
    }
}

/// Whether a field asks for the schema itself.
pub(crate) fn is_introspection(field: &str) -> bool {
    matches!(field, "__schema" | "__type")
}

fn fragment(definition: &Definition) -> Option<&FragmentDefinition> {
    match definition {
        Definition::Fragment(fragment) => Some(fragment),
        Definition::Operation(_) => None,
    }
}

/// The operations of a document.
pub(crate) fn operations_of(document: &Document) -> impl Iterator<Item = &OperationDefinition> {
    document.definitions.iter().filter_map(|definition| match definition {
        Definition::Operation(operation) => Some(operation),
        Definition::Fragment(_) => None,
    })
}

/// The selections at the root of an operation.
pub(crate) fn selection_set(operation: &OperationDefinition) -> &SelectionSet {
    match operation {
        OperationDefinition::SelectionSet(set) => set,
        OperationDefinition::Query(query) => &query.selection_set,
        OperationDefinition::Mutation(mutation) => &mutation.selection_set,
        OperationDefinition::Subscription(subscription) => &subscription.selection_set,
    }
}

fn directives(operation: &OperationDefinition) -> &[Directive] {
    match operation {
        OperationDefinition::SelectionSet(_) => &[],
        OperationDefinition::Query(query) => &query.directives,
        OperationDefinition::Mutation(mutation) => &mutation.directives,
        OperationDefinition::Subscription(subscription) => &subscription.directives,
    }
}
