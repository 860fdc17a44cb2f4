//! The counts against an expansion that writes everything out, and each number by example.

mod honest;

use std::fmt::Write as _;

use hive_router::graphql_tools::{
    parser::{parse_query, parse_schema},
    static_graphql::query::{Definition, Document, Selection, SelectionSet},
};

use super::{
    Counts, Walked,
    shape::Shape,
    sums::{Endless, Sums, is_introspection, operations_of, selection_set, sum},
    walk,
};
use crate::{config::Limits, document};

fn parsed(text: &str) -> Document {
    parse_query(text).expect("a document").into_static()
}

/// Numbers that look like chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A small document; fragments spread only later ones, or any in one of four documents.
fn document_of(chance: &mut Chance) -> String {
    let fragments = chance.below(5);
    let any = chance.below(4) == 0;
    let mut text = String::from("query Q @d");
    set_of(chance, 3, 0, fragments, &mut text);
    for number in 0..fragments {
        let _ = write!(text, " fragment F{number} on T {}", ["", "@d "][usize::from(chance.below(4) == 0)]);
        set_of(chance, 2, if any { 0 } else { number + 1 }, fragments, &mut text);
    }
    text
}

fn set_of(chance: &mut Chance, levels: u64, from: u64, fragments: u64, text: &mut String) {
    text.push('{');
    for _ in 0..=chance.below(3) {
        match chance.below(6) {
            0 if from < fragments => {
                let _ = write!(text, "...F{} ", from + chance.below(fragments - from));
            }
            1 if levels > 0 => {
                text.push_str("... on T @d");
                set_of(chance, levels - 1, from, fragments, text);
            }
            2 if levels > 0 => {
                text.push_str(["a: b", "__schema", "c @d"][usize::try_from(chance.below(3)).unwrap_or(0)]);
                set_of(chance, levels - 1, from, fragments, text);
            }
            _ => text.push_str(["x ", "y: x ", "z @d @d "][usize::try_from(chance.below(3)).unwrap_or(0)]),
        }
    }
    text.push('}');
}

/// Counts by writing out; `None` when there is no end.
fn written_out(document: &Document, set: &SelectionSet, around: &[&str]) -> Option<Sums> {
    let mut sums = Sums::default();
    for selection in &set.items {
        let (inside, directives, is_field, alias, depth, spread) = match selection {
            Selection::Field(field) => {
                let inside = written_out(document, &field.selection_set, around)?;
                let depth = if is_introspection(&field.name) { 0 } else { inside.depth + 1 };
                (inside, field.directives.len(), true, field.alias.is_some(), depth, 0)
            }
            Selection::InlineFragment(inline) => {
                let inside = written_out(document, &inline.selection_set, around)?;
                (inside, inline.directives.len(), false, false, inside.depth, 0)
            }
            Selection::FragmentSpread(spread) => {
                let name = spread.fragment_name.as_str();
                let found = document.definitions.iter().find_map(|definition| match definition {
                    Definition::Fragment(fragment) if fragment.name == name => Some(fragment),
                    _ => None,
                })?;
                if around.contains(&name) {
                    return None;
                }
                let inside = written_out(document, &found.selection_set, &[around, &[name]].concat())?;
                (inside, spread.directives.len() + found.directives.len(), false, false, inside.depth, 1)
            }
        };
        sums.selections += inside.selections + 1;
        sums.here += if is_field { 1 } else { inside.here };
        sums.aliases += inside.aliases + u64::from(alias);
        sums.directives += inside.directives + directives as u64;
        sums.depth = sums.depth.max(depth);
        sums.spreads = sums.spreads.max(inside.spreads + spread);
    }
    Some(sums)
}

#[test]
fn the_sums_are_those_of_the_document_written_out() {
    let mut chance = Chance(2026);
    let (mut with_end, mut without) = (0, 0);
    for _ in 0..3_000 {
        let text = document_of(&mut chance);
        let document = parsed(&text);
        let operation = operations_of(&document).next().expect("an operation");
        let fragments_end = document.definitions.iter().all(|definition| match definition {
            Definition::Fragment(fragment) => written_out(&document, &fragment.selection_set, &[&fragment.name]).is_some(),
            Definition::Operation(_) => true,
        });
        let naive = written_out(&document, selection_set(operation), &[]).filter(|_| fragments_end);
        let naive = naive.map(|sums| Sums { directives: sums.directives + 1, ..sums });
        match (sum(&document), naive) {
            (Ok(summed), Some(naive)) => {
                assert_eq!(summed.operations, [naive], "{text}");
                with_end += 1;
            }
            (Err(Endless::Cycle(_)), None) => without += 1,
            (other, naive) => panic!("{:?} {naive:?} {text}", other.map(|summed| summed.operations)),
        }
    }
    assert!(with_end > 1_000 && without > 50, "{with_end} {without}");
}

const SCHEMA: &str = "
    type Query { search(first: Int = 20): Shops! near(first: Int): [Shop!]! all(first: Int, last: Int): Shops! node: Node any: Any }
    type Shops { nodes: [Shop!]! edges: [Edge!]! pageInfo: Info! }
    type Edge { node: Shop! }
    type Info { more: Boolean }
    interface Node { id: ID! }
    union Any = Shop | Town
    type Shop implements Node { id: ID! name: String tags: [String!]! doors: [Door!]! towns(first: Int = 5): [Town!]! }
    type Door implements Node { id: ID! shop: Shop! }
    type Town implements Node { id: ID! shops(first: Int): Shops! }
    type Mutation { open: Shop }
    type Subscription { opened: Shop }";

fn shape() -> Shape {
    Shape::new(&parse_schema(SCHEMA).expect("a schema").into_static())
}

fn walked(text: &str, limits: &Limits) -> Result<Walked, String> {
    let size = document::check(text, limits).map_err(|refusal| refusal.code.to_owned())?;
    let walked = walk(&parsed(text), size, &shape(), limits).map_err(|refusal| refusal.code.to_owned())?;
    walked.last().copied().ok_or_else(|| "no operation".to_owned())
}

fn counts(text: &str) -> Counts {
    walked(text, &Limits { cost: 1_000_000, ..Limits::default() }).expect("within its limits").counts
}

#[test]
fn cost_counts_the_objects_that_may_come_back() {
    let cost = |text: &str| counts(text).cost;
    assert_eq!(cost("{ search { pageInfo { more } } }"), 2);
    assert_eq!(cost("{ search { nodes { id name tags } } }"), 1 + 20);
    assert_eq!(cost("{ search(first: 50) { nodes { doors { id } } } }"), 1 + 50 + 50 * 5);
    assert_eq!(cost("{ search(first: 50) { edges { node { id } } } }"), 1 + 50 + 50);
    assert_eq!(cost("{ search(first: 9000) { nodes { id } } }"), 1 + 100);
    assert_eq!(cost("{ search(first: -1) { nodes { id } } }"), 1);
    assert_eq!(cost("{ near(first: 3) { towns { id } } }"), 3 + 3 * 5);
    assert_eq!(cost("{ all(last: 7) { nodes { id } } }"), 1 + 7);
    assert_eq!(cost("{ search { nodes { id } nodes { name } ...F } } fragment F on Shops { nodes { tags } }"), 1 + 20);
    assert_eq!(cost("{ a: search { nodes { id } } b: search { nodes { id } } }"), 2 * 21);
    assert_eq!(cost("query($n: Int) { search(first: $n) { nodes { id } } }"), 1 + 100);
    assert_eq!(cost("{ any { ... on Shop { doors { id } } ... on Town { shops(first: 2) { nodes { id } } } } }"), 1 + 5 + 1 + 2);
    assert_eq!(cost("mutation { open { doors { id } } }"), 6);
}

#[test]
fn a_field_of_an_interface_counts_for_each_type_that_it_may_be() {
    assert_eq!(counts("{ search { nodes { id } } }").selections, 3);
    assert_eq!(counts("{ node { id } }").selections, 1 + 3);
    assert_eq!(counts("{ node { ... on Shop { id name tags } } }").selections, 1 + 3 + 1);
    assert_eq!(counts("{ any { ... on Node { id } } }").selections, 1 + 2 + 1 - 1);
}

#[test]
fn a_set_is_as_wide_as_it_is_when_fields_of_one_name_are_one() {
    assert_eq!(counts("{ search { nodes { id } nodes { id name } } }").widest_set, 3);
    let fragments = "{ search { ...A ...B } } fragment A on Shops { nodes { id } } fragment B on Shops { nodes { id id } }";
    assert_eq!(counts(fragments).widest_set, 3);
    let types = "{ any { ... on Shop { towns { id id } } ... on Town { towns: shops { a: nodes { id } } } } }";
    assert_eq!(counts(types).widest_set, 3);
    assert_eq!(counts("{ search { nodes { id } nodes { id name } } }").repeats, 2);
    assert_eq!(counts("{ search { nodes { id id id id } } }").repeats, 6);
}

#[test]
fn unused_fragments_and_other_operations_count_too() {
    let limits = Limits { selections: 20, ..Limits::default() };
    let twelve = "id ".repeat(12);
    let two = format!("query A {{ search {{ nodes {{ {twelve} }} }} }} query B {{ search {{ nodes {{ {twelve} }} }} }}");
    assert_eq!(walked(&two, &limits).map(drop), Err("MAX_SELECTIONS_EXCEEDED".to_owned()));
    let unused = format!("{{ node {{ id }} }} fragment U on Shop {{ {} }}", "id ".repeat(21));
    assert_eq!(walked(&unused, &limits).map(drop), Err("MAX_SELECTIONS_EXCEEDED".to_owned()));
    let cycle = "{ node { id } } fragment U on Shop { ...V } fragment V on Shop { ...U }";
    assert_eq!(walked(cycle, &limits).map(drop), Err("GRAPHQL_VALIDATION_FAILED".to_owned()));
}

/// The query that every tool asks a schema with.
const INTROSPECTION: &str = include_str!("introspection.graphql");

#[test]
fn the_standard_introspection_is_within_every_limit() {
    let walked = walked(INTROSPECTION, &Limits::default()).expect("within its limits");
    assert!((300..1_000).contains(&walked.counts.cost), "{:?}", walked.counts);
    let nested = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    let twice = nested.replacen(
        "{ __schema",
        "{ b: __schema { types { fields { type { fields { type { fields { name } } } } } } } __schema",
        1,
    );
    assert_eq!(self::walked(&twice, &Limits::default()).map(drop), Err("MAX_COST_EXCEEDED".to_owned()));
}
