//! Validation rules that the embedded router lacks.

use std::collections::HashMap;

use hive_router::graphql_tools::{
    ast::{OperationVisitor, OperationVisitorContext},
    static_graphql::query::{Definition, Document, FragmentDefinition, OperationDefinition, Selection, SelectionSet},
    validation::{
        rules::{ValidationRule, ValidationVisitor},
        utils::{ValidationError, ValidationErrorContext},
    },
};

type Fragments<'a> = HashMap<&'a str, &'a FragmentDefinition>;

/// Fragments spread inside each other deeper than this are not followed: the depth limit refuses them.
const MAX_SPREADS: usize = 16;

/// Bounds the fields at the root of an operation, fragments included.
pub(crate) struct MaxRootFields(pub usize);

impl ValidationRule for MaxRootFields {
    fn error_code(&self) -> &'static str {
        "MAX_ROOT_FIELDS_EXCEEDED"
    }

    fn visitor<'doc>(&self) -> ValidationVisitor<'doc> {
        Box::new(RootFields(self.0))
    }
}

struct RootFields(usize);

impl<'doc> OperationVisitor<'doc, ValidationErrorContext> for RootFields {
    fn enter_document(
        &mut self,
        _: &mut OperationVisitorContext<'doc>,
        found: &mut ValidationErrorContext,
        document: &'doc Document,
    ) {
        for operation in operations(document) {
            if root_fields(operation, document).len() > self.0 {
                found.report_error(ValidationError {
                    locations: vec![],
                    message: format!("An operation may have {} fields at its root.", self.0),
                    error_code: "MAX_ROOT_FIELDS_EXCEEDED",
                });
            }
        }
    }
}

/// Bounds introspection that walks from types to fields to types: each such step multiplies the
/// answer, and the depth limit leaves introspection alone because the standard query is deep.
pub(crate) struct IntrospectionDepth;

const MAX_INTROSPECTION_LISTS: usize = 3;

impl ValidationRule for IntrospectionDepth {
    fn error_code(&self) -> &'static str {
        "INTROSPECTION_DEPTH_EXCEEDED"
    }

    fn visitor<'doc>(&self) -> ValidationVisitor<'doc> {
        Box::new(IntrospectionLists)
    }
}

struct IntrospectionLists;

impl<'doc> OperationVisitor<'doc, ValidationErrorContext> for IntrospectionLists {
    fn enter_document(
        &mut self,
        _: &mut OperationVisitorContext<'doc>,
        found: &mut ValidationErrorContext,
        document: &'doc Document,
    ) {
        let fragments = fragments(document);
        let too_deep = operations(document).flat_map(|operation| root_selections(operation, document)).any(|selection| {
            matches!(selection, Selection::Field(field) if field.name == "__schema" || field.name == "__type")
                && nested_lists(std::slice::from_ref(selection), &fragments, 0, 0)
        });
        if too_deep {
            found.report_error(ValidationError {
                locations: vec![],
                message: "The introspection query is nested too deeply.".to_owned(),
                error_code: "INTROSPECTION_DEPTH_EXCEEDED",
            });
        }
    }
}

fn nested_lists(selections: &[Selection], fragments: &Fragments<'_>, lists: usize, spreads: usize) -> bool {
    selections.iter().any(|selection| match selection {
        Selection::Field(field) => {
            let multiplies = matches!(field.name.as_str(), "fields" | "interfaces" | "possibleTypes" | "inputFields");
            let lists = lists + usize::from(multiplies);
            lists > MAX_INTROSPECTION_LISTS || nested_lists(&field.selection_set.items, fragments, lists, spreads)
        }
        Selection::InlineFragment(inline) => nested_lists(&inline.selection_set.items, fragments, lists, spreads),
        Selection::FragmentSpread(spread) => {
            spreads > MAX_SPREADS
                || fragments
                    .get(spread.fragment_name.as_str())
                    .is_some_and(|fragment| nested_lists(&fragment.selection_set.items, fragments, lists, spreads + 1))
        }
    })
}

fn fragments(document: &Document) -> Fragments<'_> {
    document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::Fragment(fragment) => Some((fragment.name.as_str(), fragment)),
            Definition::Operation(_) => None,
        })
        .collect()
}

/// The operations of a document.
pub(crate) fn operations(document: &Document) -> impl Iterator<Item = &OperationDefinition> {
    document.definitions.iter().filter_map(|definition| match definition {
        Definition::Operation(operation) => Some(operation),
        Definition::Fragment(_) => None,
    })
}

fn selection_set(operation: &OperationDefinition) -> &SelectionSet {
    match operation {
        OperationDefinition::SelectionSet(set) => set,
        OperationDefinition::Query(query) => &query.selection_set,
        OperationDefinition::Mutation(mutation) => &mutation.selection_set,
        OperationDefinition::Subscription(subscription) => &subscription.selection_set,
    }
}

/// Names of the root fields of an operation, with fragments resolved.
pub(crate) fn root_fields<'a>(operation: &'a OperationDefinition, document: &'a Document) -> Vec<&'a str> {
    root_selections(operation, document)
        .into_iter()
        .filter_map(|selection| match selection {
            Selection::Field(field) => Some(field.name.as_str()),
            _ => None,
        })
        .collect()
}

/// The root fields of an operation, with fragments resolved.
pub(crate) fn root_selections<'a>(operation: &'a OperationDefinition, document: &'a Document) -> Vec<&'a Selection> {
    let mut fields = Vec::new();
    collect(selection_set(operation), &fragments(document), 0, &mut fields);
    fields
}

fn collect<'a>(set: &'a SelectionSet, fragments: &Fragments<'a>, spreads: usize, into: &mut Vec<&'a Selection>) {
    for selection in &set.items {
        match selection {
            Selection::Field(_) => into.push(selection),
            Selection::InlineFragment(inline) => collect(&inline.selection_set, fragments, spreads, into),
            Selection::FragmentSpread(spread) if spreads < MAX_SPREADS => {
                if let Some(fragment) = fragments.get(spread.fragment_name.as_str()) {
                    collect(&fragment.selection_set, fragments, spreads + 1, into);
                }
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// Why it is not clear which operation to run; `None` when it is.
pub(crate) fn choice_problem(document: &Document, chosen: Option<&str>) -> Option<String> {
    let Some(chosen) = chosen else {
        let several = operations(document).count() > 1;
        return several.then(|| "The document has several operations; say which one in operationName.".to_owned());
    };
    let known = operations(document).any(|operation| name(operation) == Some(chosen));
    (!known).then(|| format!("The document has no operation named {chosen}."))
}

fn name(operation: &OperationDefinition) -> Option<&str> {
    match operation {
        OperationDefinition::SelectionSet(_) => None,
        OperationDefinition::Query(query) => query.name.as_deref(),
        OperationDefinition::Mutation(mutation) => mutation.name.as_deref(),
        OperationDefinition::Subscription(subscription) => subscription.name.as_deref(),
    }
}

/// Root fields whose answer is the same for everybody.
const PUBLIC_FIELDS: [&str; 7] = ["seatAvailability", "searchTrips", "stations", "trip", "__typename", "__schema", "__type"];

/// Whether every operation of the document reads only what is the same for everybody.
pub(crate) fn is_public(document: &Document) -> bool {
    operations(document).all(|operation| {
        !matches!(operation, OperationDefinition::Mutation(_))
            && root_fields(operation, document).iter().all(|name| PUBLIC_FIELDS.contains(name))
    })
}

#[cfg(test)]
mod tests {
    use hive_router::graphql_tools::parser::parse_query;

    use super::*;

    fn public(source: &str) -> bool {
        is_public(&parse_query(source).expect("a document").into_static())
    }

    #[test]
    fn only_documents_of_public_fields_are_public() {
        assert!(public("{ __typename trip(id: 1) { id } }"));
        assert!(public("subscription { seatAvailability(tripId: 1) { version } }"));
        assert!(public("query { ...F } fragment F on Query { stations { nodes { id } } }"));
        assert!(!public("{ trip(id: 1) { id } me { id } }"));
        assert!(!public("{ trip: me { id } }"));
        assert!(!public("query { ...F } fragment F on Query { ... { me { id } } }"));
        assert!(!public("query A { trip(id: 1) { id } } query B { me { id } }"));
        assert!(!public("mutation { trip }"));
    }

    #[test]
    fn nested_introspection_is_seen_through_fragments() {
        let document = parse_query(
            "{ __schema { ...A } } fragment A on S { fields { t { fields { t { fields { t { fields { x } } } } } } } }",
        )
        .expect("a document")
        .into_static();
        let found = operations(&document)
            .flat_map(|operation| root_selections(operation, &document))
            .any(|field| nested_lists(std::slice::from_ref(field), &fragments(&document), 0, 0));
        assert!(found);
    }

    #[test]
    fn one_operation_must_be_meant() {
        let problem = |source: &str, chosen| choice_problem(&parse_query(source).expect("a document").into_static(), chosen);
        assert_eq!(problem("{ a }", None), None);
        assert_eq!(problem("query A { a } mutation B { b }", Some("B")), None);
        assert!(problem("query A { a } mutation B { b }", None).is_some());
        assert!(problem("query A { a }", Some("B")).is_some());
        assert!(problem("{ a }", Some("")).is_some());
    }

    #[test]
    fn cyclic_fragments_end() {
        assert!(public("{ ...A } fragment A on Query { ...A }"));
    }
}
