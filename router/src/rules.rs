//! What an operation is, as far as the front door must know before it runs.

use hive_router::graphql_tools::static_graphql::query::{
    Definition, Document, Field, OperationDefinition, Selection, SelectionSet, VariableDefinition,
};

use crate::walk::sums::{Fragments, selection_set};

/// The root fields of an operation, with fragments resolved. Only for documents that were walked: their fragments end.
pub(crate) fn root_fields<'a>(operation: &'a OperationDefinition, document: &'a Document) -> Vec<&'a Field> {
    let fragments = document.definitions.iter().filter_map(|definition| match definition {
        Definition::Fragment(fragment) => Some((fragment.name.as_str(), fragment)),
        Definition::Operation(_) => None,
    });
    let mut fields = Vec::new();
    collect(selection_set(operation), &fragments.collect(), &mut fields);
    fields
}

fn collect<'a>(set: &'a SelectionSet, fragments: &Fragments<'a>, into: &mut Vec<&'a Field>) {
    for selection in &set.items {
        match selection {
            Selection::Field(field) => into.push(field),
            Selection::InlineFragment(inline) => collect(&inline.selection_set, fragments, into),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(spread.fragment_name.as_str()) {
                    collect(&fragment.selection_set, fragments, into);
                }
            }
        }
    }
}

/// The name of an operation.
pub(crate) fn name(operation: &OperationDefinition) -> Option<&str> {
    match operation {
        OperationDefinition::SelectionSet(_) => None,
        OperationDefinition::Query(query) => query.name.as_deref(),
        OperationDefinition::Mutation(mutation) => mutation.name.as_deref(),
        OperationDefinition::Subscription(subscription) => subscription.name.as_deref(),
    }
}

/// The variables of an operation.
pub(crate) fn variables(operation: &OperationDefinition) -> &[VariableDefinition] {
    match operation {
        OperationDefinition::SelectionSet(_) => &[],
        OperationDefinition::Query(query) => &query.variable_definitions,
        OperationDefinition::Mutation(mutation) => &mutation.variable_definitions,
        OperationDefinition::Subscription(subscription) => &subscription.variable_definitions,
    }
}

/// Root fields whose answer is the same for everybody.
const PUBLIC_FIELDS: [&str; 7] = ["seatAvailability", "searchTrips", "stations", "trip", "__typename", "__schema", "__type"];

/// Whether an operation reads only what is the same for everybody.
pub(crate) fn is_public(operation: &OperationDefinition, document: &Document) -> bool {
    !matches!(operation, OperationDefinition::Mutation(_))
        && root_fields(operation, document).iter().all(|field| PUBLIC_FIELDS.contains(&field.name.as_str()))
}

#[cfg(test)]
mod tests {
    use hive_router::graphql_tools::parser::parse_query;

    use super::*;
    use crate::walk::sums::operations_of;

    fn public(source: &str) -> bool {
        let document = parse_query(source).expect("a document").into_static();
        operations_of(&document).all(|operation| is_public(operation, &document))
    }

    #[test]
    fn only_operations_of_public_fields_are_public() {
        assert!(public("{ __typename trip(id: 1) { id } }"));
        assert!(public("subscription { seatAvailability(tripId: 1) { version } }"));
        assert!(public("query { ...F } fragment F on Query { stations { nodes { id } } }"));
        assert!(!public("{ trip(id: 1) { id } me { id } }"));
        assert!(!public("{ trip: me { id } }"));
        assert!(!public("query { ...F } fragment F on Query { ... { me { id } } }"));
        assert!(!public("query A { trip(id: 1) { id } } query B { me { id } }"));
        assert!(!public("mutation { trip }"));
    }
}
