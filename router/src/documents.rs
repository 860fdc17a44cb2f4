//! The documents that clients send: read, walked and kept by their whole text, so that what is kept is used for its own text
//! only. The embedded router looks its own things up by numbers of 64 bits; here it gets numbers that nobody can choose.

use std::{
    collections::HashMap,
    hash::Hasher,
    sync::{Arc, OnceLock},
};

use hive_router::{
    executor::plugins::hooks::on_graphql_params::GraphQLParams,
    graphql_tools::{
        parser::parse_query,
        static_graphql::query::{Document, OperationDefinition, VariableDefinition},
        validation::utils::ValidationError,
    },
    pipeline::normalize::GraphQLNormalizationPayload,
    sonic_rs::{JsonValueTrait, Value},
};
use moka::sync::Cache;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::{
    config::Limits,
    document,
    operation::Operation,
    refusal::Refusal,
    rules,
    walk::{
        self, Walked,
        shape::{Kind, LONGEST_PAGE, Shape},
        sums::operations_of,
    },
};

/// Memory of the documents that are remembered, in bytes, as far as it can be told.
const REMEMBERED_BYTES: u64 = 32 * 1024 * 1024;
/// What a byte of text and a selection that is written out take, parsed and normalised.
const BYTES_PER_BYTE: usize = 16;
const BYTES_PER_SELECTION: usize = 256;

/// Makes the numbers under which the embedded router keeps what belongs to a text. New at each start, so that nobody can tell
/// which texts would have one number.
#[derive(Clone, Copy)]
pub(crate) struct Marker([u8; 16]);

impl Marker {
    pub(crate) fn new(secret: [u8; 16]) -> Self {
        Self(secret)
    }

    /// The MAC of a text and what belongs to it.
    pub(crate) fn mark(self, text: &str, more: Option<&str>) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&(text.len() as u64).to_le_bytes());
        hasher.write(text.as_bytes());
        hasher.write(&[u8::from(more.is_some())]);
        hasher.write(more.unwrap_or_default().as_bytes());
        hasher.finish128().as_u128()
    }
}

/// The documents that were sent last.
pub(crate) struct Documents {
    known: Cache<String, Arc<Known>>,
    shape: Shape,
    limits: Limits,
    pub marker: Marker,
}

/// A document within its limits.
pub(crate) struct Known {
    pub document: Document,
    /// Its operations, in its order.
    pub operations: Vec<KnownOperation>,
    /// What is wrong with it, once that was looked at.
    pub invalid: OnceLock<Arc<Vec<ValidationError>>>,
}

/// One operation of a document.
pub(crate) struct KnownOperation {
    pub name: Option<String>,
    pub kind: Kind,
    /// Its answer is the same for everybody.
    pub public: bool,
    /// Under this the embedded router keeps what belongs to it.
    pub mark: u128,
    /// As the embedded router plans it, once that was made.
    pub normalised: OnceLock<Arc<GraphQLNormalizationPayload>>,
    walked: Walked,
}

impl Documents {
    pub(crate) fn new(limits: &Limits, secret: [u8; 16], shape: Shape) -> Self {
        let weigh = |text: &String, known: &Arc<Known>| u32::try_from(known.bytes(text)).unwrap_or(u32::MAX);
        let known = Cache::builder().max_capacity(REMEMBERED_BYTES).weigher(weigh).build();
        Self { known, shape, limits: limits.clone(), marker: Marker::new(secret) }
    }

    /// The operation that a request asks for. Everything that is asked of the graph comes through here.
    pub(crate) fn read(&self, params: GraphQLParams) -> Result<Operation, Refusal> {
        let text = params.query.as_deref().unwrap_or_default();
        let known = self.known(text)?;
        let at = known.chosen(params.operation_name.as_deref())?;
        let Walked { mut counts, varies } = known.operations[at].walked;
        if varies {
            counts.cost = self.cost(&known, at, &params.variables);
            walk::check_cost(counts.cost, &self.limits)?;
        }
        Ok(Operation { params, counts, known, at })
    }

    fn known(&self, text: &str) -> Result<Arc<Known>, Refusal> {
        if let Some(known) = self.known.get(text) {
            return Ok(known);
        }
        let size = document::check(text, &self.limits)?;
        let document = parse_query::<String>(text).map_err(unreadable)?.into_static();
        let walked = walk::walk(&document, size, &self.shape, &self.limits)?;
        let operations = operations_of(&document).zip(walked);
        let operations = operations.map(|(operation, walked)| self.operation(text, &document, operation, walked)).collect();
        let known = Arc::new(Known { document, operations, invalid: OnceLock::new() });
        self.known.insert(text.to_owned(), known.clone());
        Ok(known)
    }

    fn operation(&self, text: &str, document: &Document, operation: &OperationDefinition, walked: Walked) -> KnownOperation {
        let name = rules::name(operation);
        KnownOperation {
            name: name.map(str::to_owned),
            kind: walk::kind(operation),
            public: rules::is_public(operation, document),
            mark: self.marker.mark(text, name),
            normalised: OnceLock::new(),
            walked,
        }
    }

    fn cost(&self, known: &Known, at: usize, variables: &HashMap<String, Value>) -> u64 {
        let Some(operation) = operations_of(&known.document).nth(at) else { return u64::MAX };
        let defined = rules::variables(operation);
        let page_of = |name: &str| page(variables.get(name), defined.iter().find(|defined| defined.name == name));
        walk::cost(&known.document, operation, &self.shape, &page_of)
    }
}

/// The length of a page that a variable asks for.
fn page(given: Option<&Value>, defined: Option<&VariableDefinition>) -> Option<u64> {
    use hive_router::graphql_tools::static_graphql::query::Value as Written;
    match (given, defined.and_then(|defined| defined.default_value.as_ref())) {
        (Some(given), _) if given.is_null() => None,
        (Some(given), _) => Some(given.as_i64().map_or(LONGEST_PAGE, |number| u64::try_from(number).unwrap_or(0))),
        (None, Some(Written::Int(number))) => number.as_i64().and_then(|number| u64::try_from(number).ok()),
        (None, _) => None,
    }
}

impl Known {
    /// Which operation is meant.
    fn chosen(&self, name: Option<&str>) -> Result<usize, Refusal> {
        let problem = match name {
            None if self.operations.len() == 1 => return Ok(0),
            None if self.operations.is_empty() => "The document has no operation.".to_owned(),
            None => "The document has several operations; say which one in operationName.".to_owned(),
            Some(name) => {
                let named = self.operations.iter().position(|operation| operation.name.as_deref() == Some(name));
                if let Some(at) = named {
                    return Ok(at);
                }
                format!("The document has no operation named {name}.")
            }
        };
        Err(Refusal::document("OPERATION_RESOLUTION_FAILURE", problem))
    }

    fn bytes(&self, text: &str) -> usize {
        let selections = self.operations.iter().map(|operation| operation.walked.counts.selections).max().unwrap_or(0);
        text.len() * BYTES_PER_BYTE + usize::try_from(selections).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_SELECTION)
    }
}

fn unreadable(error: impl std::fmt::Display) -> Refusal {
    Refusal::document("GRAPHQL_PARSE_FAILED", format!("Failed to parse GraphQL operation: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_belongs_to_one_text_one_name_and_one_start() {
        let (one, other) = (Marker::new([1; 16]), Marker::new([2; 16]));
        let marks = [
            one.mark("{ a }", None),
            one.mark("{ b }", None),
            one.mark("{ a } ", None),
            one.mark("{ a }", Some("")),
            one.mark("{ a }", Some("A")),
            one.mark("{ a }A", None),
            other.mark("{ a }", None),
        ];
        for (at, mark) in marks.iter().enumerate() {
            assert_eq!(marks.iter().filter(|other| *other == mark).count(), 1, "{at}");
        }
        assert_eq!(one.mark("{ a }", None), Marker::new([1; 16]).mark("{ a }", None));
    }

    #[test]
    fn a_changed_byte_changes_the_mark() {
        let marker = Marker::new([3; 16]);
        let text = "query Q($id: ID!) { trip(id: $id) { id name } }";
        let whole = marker.mark(text, Some("Q"));
        for at in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).expect("still letters");
            assert_ne!(marker.mark(&changed, Some("Q")), whole, "{at}");
        }
    }

    #[test]
    fn what_is_known_of_a_text_is_given_for_that_text_only() {
        let documents = Documents::new(&Limits::default(), [0; 16], Shape::empty());
        let read = |text: &str| {
            let params = GraphQLParams { query: Some(text.to_owned()), ..GraphQLParams::default() };
            documents.read(params).expect("an operation").known
        };
        let (first, other) = (read("{ a }"), read("{ b }"));
        assert!(Arc::ptr_eq(&first, &read("{ a }")));
        assert!(!Arc::ptr_eq(&first, &other));
        assert!(!Arc::ptr_eq(&first, &read("{ a } ")));
    }

    #[test]
    fn a_page_counts_with_the_variable_of_the_request() {
        let schema = "type Query { all(first: Int = 20): All! } type All { nodes: [One!]! } type One { id: ID! }";
        let schema = hive_router::graphql_tools::parser::parse_schema::<String>(schema).expect("a schema").into_static();
        let documents = Documents::new(&Limits { cost: 50, ..Limits::default() }, [0; 16], Shape::new(&schema));
        let cost = |text: &str, variables: &str| {
            let variables = hive_router::sonic_rs::from_str(variables).expect("JSON");
            let params = GraphQLParams { query: Some(text.to_owned()), variables, ..GraphQLParams::default() };
            documents.read(params).map(|operation| operation.counts.cost).map_err(|refusal| refusal.code)
        };
        let text = "query($n: Int) { all(first: $n) { nodes { id } } }";
        assert_eq!(cost(text, r#"{"n":7}"#), Ok(8));
        assert_eq!(cost(text, r#"{"n":null}"#), Ok(21));
        assert_eq!(cost(text, "{}"), Ok(21));
        assert_eq!(cost(&text.replace("Int)", "Int = 9)"), "{}"), Ok(10));
        for large in [r#"{"n":100}"#, r#"{"n":1e9}"#, r#"{"n":"many"}"#] {
            assert_eq!(cost(text, large), Err("MAX_COST_EXCEEDED"), "{large}");
        }
        assert_eq!(cost(text, r#"{"n":-5}"#), Ok(1));
    }
}
