//! Honest documents against the real schema: all of them are within every limit, and what the walk costs is told.

use std::{collections::HashSet, fmt::Write as _, fs, path::Path, time::Instant};

use hive_router::{
    executor::{
        introspection::partition::partition_operation,
        plugins::hooks::{
            on_graphql_params::GraphQLParams,
            on_supergraph_load::{Supergraph, SupergraphOptions},
        },
    },
    graphql_tools::{
        parser::{parse_query, parse_schema},
        validation::{rules::default_rules_validation_plan, validate::validate},
    },
    query_planner::{
        ast::normalization::normalize_operation, graph::PlannerOverrideContext, utils::cancellation::CancellationToken,
    },
};

use super::{INTROSPECTION, Shape, operations_of};
use crate::{config::Limits, documents::Documents, rules};

const SCHEMA: &str = include_str!("../../../../schema/api.graphql");

fn documents() -> Documents {
    let schema = parse_schema::<String>(SCHEMA).expect("a schema").into_static();
    Documents::new(&Limits::default(), [7; 16], Shape::new(&schema))
}

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect("a file of the repository")
}

/// The documents that stand between these marks in a file, with the line breaks of a Rust string put right.
fn documents_in(path: &str, mark: &str) -> Vec<String> {
    let text = file(path).replace("\\\n", "\n").replace("\\\"", "\"");
    let parts = text.split(mark).map(|part| part.trim_start_matches("graphql").to_owned());
    parts.filter(|part| parse_query::<String>(part).is_ok_and(|document| !document.definitions.is_empty())).collect()
}

/// Reads each operation of a document; the highest cost.
fn read_all(documents: &Documents, text: &str) -> Result<u64, String> {
    let document = parse_query::<String>(text).expect("a document").into_static();
    let names = operations_of(&document).map(|operation| rules::name(operation).map(str::to_owned));
    let costs: Result<Vec<u64>, String> = names.map(|name| read(documents, text, name)).collect();
    costs.map(|costs| costs.into_iter().max().unwrap_or_default())
}

fn read(documents: &Documents, text: &str, name: Option<String>) -> Result<u64, String> {
    let params = GraphQLParams { query: Some(text.to_owned()), operation_name: name, ..GraphQLParams::default() };
    documents.read(params).map(|operation| operation.counts.cost).map_err(|refusal| format!("{}: {text}", refusal.message))
}

#[test]
fn honest_documents_are_within_every_limit() {
    let documents = documents();
    assert!(read(&documents, INTROSPECTION, None).is_ok_and(|cost| cost < 1_500));
    let places = [
        ("docs/API-STYLE.md", "```", 1),
        ("router/graphiql/src/tabs.js", "`", 5),
        ("tests/src/documents.rs", "\"", 15),
        ("tests/clients/journey.mjs", "`", 5),
    ];
    for (path, mark, least) in places {
        let found = documents_in(path, mark);
        assert!(found.len() >= least, "{path}: {}", found.len());
        for text in found {
            let cost = read_all(&documents, &text);
            assert!(cost.as_ref().is_ok_and(|cost| *cost <= 2_000), "{path}: {cost:?}");
        }
    }
}

/// Documents that are as bad as 16 KiB allow, in several ways.
fn worst() -> Vec<(&'static str, String)> {
    let mut chain = "{trip(id:1){...F0}}".to_owned();
    for level in 0..150 {
        let _ = write!(chain, " fragment F{level} on Trip{{...F{} ...F{}}}", level + 1, level + 1);
    }
    let names: String = (0..500).map(|number| format!("{}{number}:id ", "x".repeat(25))).collect();
    let wide = "id ".repeat(100);
    let mut many = format!("{{{}}}", "trip(id:1){...A ...B ...C}".repeat(15));
    for name in ["A", "B", "C"] {
        let _ = write!(many, " fragment {name} on Trip{{{}}}", "id ".repeat(100));
    }
    vec![
        ("1,950 equal leaves", format!("{{trip(id:1){{{}}}}}", "id ".repeat(1_950))),
        ("a chain of 150 fragments, two spreads each", chain),
        ("a cycle of eight spreads", format!("{{...A}} fragment A on Query{{{}}}", "...A ".repeat(8))),
        ("500 long aliases", format!("{{trip(id:1){{{names}}}}}")),
        ("4,500 selections in 15 fields", many),
        ("100 equal leaves, within the limits", format!("{{trip(id:\"x\"){{{wide}}}}}")),
        ("60 brackets", format!("{}id{}", "{a".repeat(60), "}".repeat(60))),
        ("a comment of 16 KiB", format!("{{stations{{totalCount}}}}#{}", "x".repeat(16_200))),
        ("a string of 16 KiB", format!("{{trip(id:\"{}\"){{id}}}}", "x".repeat(16_200))),
        ("introspection", INTROSPECTION.to_owned()),
    ]
}

/// Documents within the limits that ask the most of the embedded router.
fn dear() -> Vec<(&'static str, String)> {
    let aliases: String = (0..15).map(|number| format!("a{number}:trip(id:1){{name stops{{id station{{name}}}}}}")).collect();
    let nodes = "...on Booking{code}...on Trip{name}...on Payment{status}...on Hold{expiresAt}";
    let kinds: String = (0..15).map(|number| format!("n{number}:node(id:1){{id {nodes}}}")).collect();
    let mut spread: String = (0..60).map(|number| format!("...S{number} ")).collect();
    spread = format!("{{trip(id:1){{{spread}}}}}");
    for number in 0..60 {
        let _ = write!(spread, " fragment S{number} on Trip{{id name stops{{id}}}}");
    }
    let mut fragments = "{me{bookings(first:9){nodes{...F0}}}}".to_owned();
    for level in 0..9 {
        let _ = write!(fragments, " fragment F{level} on Booking{{...F{} ...F{} code}}", level + 1, level + 1);
    }
    fragments.push_str(" fragment F9 on Booking{code status}");
    vec![
        ("15 trips with their stops", format!("{{{aliases}}}")),
        ("60 fragments beside each other", spread),
        ("15 nodes of four kinds", format!("{{{kinds}}}")),
        ("fragments that double, nine levels", fragments),
        ("100 equal leaves", format!("{{trip(id:1){{{}}}}}", "id ".repeat(100))),
        ("introspection", INTROSPECTION.to_owned()),
    ]
}

fn micros(rounds: u32, mut work: impl FnMut(u32)) -> f64 {
    let started = Instant::now();
    for round in 0..rounds {
        work(round);
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
}

/// What reading a document costs, the first time and afterwards. In a release build, alone on the machine:
/// `cargo test --release -p berth-router --lib walk::tests::honest -- --ignored --nocapture`
#[test]
#[ignore = "a measurement: it prints figures, and holds the worst of them in a release build"]
fn what_reading_costs() {
    let documents = documents();
    println!("{:>10} {:>10}  document", "first µs", "again µs");
    for (name, text) in worst() {
        let first = micros(200, |round| drop(read(&documents, &format!("{text}\n#{round}"), None)));
        let again = micros(1_000, |_| drop(read(&documents, &text, None)));
        println!("{first:>10.1} {again:>10.1}  {name}, {} bytes", text.len());
        assert!(cfg!(debug_assertions) || first < 10_000.0, "{name}");
    }
    for text in documents_in("tests/src/documents.rs", "\"") {
        let first = micros(500, |round| drop(read(&documents, &format!("{text}\n#{round}"), None)));
        let again = micros(2_000, |_| drop(read(&documents, &text, None)));
        let begin: String = text.chars().take(40).collect();
        println!("{first:>10.1} {again:>10.1}  {begin:?}..., {} bytes", text.len());
    }
}

/// What validating, normalising and planning cost, the first time that a document is seen. As above.
#[test]
#[ignore = "a measurement: it prints figures"]
fn what_the_embedded_router_needs() {
    let graph = Supergraph::from_sdl("berth", &file("schema/supergraph.graphql"), SupergraphOptions::default()).expect("a graph");
    let (documents, planner) = (documents(), &graph.planner);
    let plan = default_rules_validation_plan();
    println!("{:>9} {:>9} {:>9}  document", "valid µs", "norm. µs", "plan µs");
    let honest = documents_in("tests/src/documents.rs", "\"").into_iter().map(|text| ("honest", text));
    for (name, text) in dear().into_iter().chain(honest) {
        let within = read_all(&documents, &text);
        let document = parse_query::<String>(&text).expect("a document").into_static();
        let problems = validate(&planner.consumer_schema.document, &document, &plan);
        if within.is_err() || !problems.is_empty() {
            println!("refused: {name} {within:?} {problems:?}"); // then it measures nothing
            continue;
        }
        let valid = micros(20, |_| drop(validate(&planner.consumer_schema.document, &document, &plan)));
        let normal = micros(20, |_| drop(normalize_operation(&planner.supergraph, &document, None)));
        let normalised = normalize_operation(&planner.supergraph, &document, None).expect("an operation");
        let operation = partition_operation(normalised.operation).downstream_operation;
        let token = CancellationToken::new();
        let planned = micros(20, |_| {
            drop(planner.plan_from_normalized_operation(&operation, PlannerOverrideContext::new(HashSet::new(), 0), &token));
        });
        println!("{valid:>9.0} {normal:>9.0} {planned:>9.0}  {name}, {} bytes", text.len());
    }
}
