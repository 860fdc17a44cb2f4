//! A known query is refused for the same variables, with the same words, as one that nobody has seen.
#![allow(clippy::expect_used, reason = "tests")]

use async_graphql::{
    EmptyMutation, EmptySubscription, Enum, Executor, InputObject, MaybeUndefined, Object, OneofObject, Request, Schema,
    Variables,
};
use berth_kernel::documents::{CheckOnce, Documents};
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(Enum, Copy, Clone, PartialEq, Eq)]
enum Mode {
    Rail,
    Ferry,
}

#[derive(InputObject)]
struct Passenger {
    name: String,
    age: Option<i32>,
}

#[derive(OneofObject)]
enum Pick {
    Seats(Vec<String>),
    Best(i32),
}

#[derive(InputObject)]
struct Wanted {
    id: async_graphql::ID,
    mode: Mode,
    pick: Option<Pick>,
    passengers: Vec<Passenger>,
    #[graphql(default = 3)]
    limit: i32,
    note: MaybeUndefined<String>,
}

struct Query;

#[Object]
impl Query {
    async fn told(&self, wanted: Wanted, first: Option<i32>) -> String {
        let pick = match wanted.pick {
            Some(Pick::Seats(seats)) => seats.join("+"),
            Some(Pick::Best(count)) => count.to_string(),
            None => String::new(),
        };
        let people: Vec<String> = wanted.passengers.into_iter().map(|who| format!("{} {:?}", who.name, who.age)).collect();
        let rail = wanted.mode == Mode::Rail;
        format!("{:?} {rail} {pick} {people:?} {} {:?} {first:?}", wanted.id, wanted.limit, wanted.note)
    }
}

const WHOLE: &str = "query($wanted: Wanted!, $first: Int) { told(wanted: $wanted, first: $first) }";
const PARTS: &str = "query($who: [Passenger!]!, $mode: Mode!, $pick: Pick, $more: Int!, $first: Int = 7) {
    told(wanted: { id: 5, mode: $mode, passengers: $who, pick: $pick, limit: $more }, first: $first) }";
/// Not good whatever the variables are: but only who gives all of them hears of it.
const BROKEN: &str = "query($mode: Mode) { told(wanted: { id: 5, mode: $mode, passengers: [], bogus: 1 }) }";

fn good() -> [(&'static str, Value); 3] {
    let who = json!([{ "name": "Siti" }]);
    [
        (WHOLE, json!({ "wanted": { "id": "a", "mode": "RAIL", "passengers": who }, "first": 1 })),
        (PARTS, json!({ "who": who, "mode": "FERRY", "pick": { "best": 2 }, "more": 1, "first": 2 })),
        (BROKEN, json!({})),
    ]
}

/// Any value, often one that fits somewhere.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2_i64..5).prop_map(Value::from),
        Just(json!(5_000_000_000_i64)),
        Just(json!(1.5)),
        prop_oneof![Just("RAIL"), Just("FERRY"), Just("BUS"), Just("5A")].prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![
            Just("id"),
            Just("mode"),
            Just("pick"),
            Just("passengers"),
            Just("limit"),
            Just("note"),
            Just("name"),
            Just("age"),
            Just("seats"),
            Just("best"),
            Just("bogus")
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name.prop_map(str::to_owned), inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// A good value with one part put in place of another, so that most of it fits.
fn nearly_good() -> impl Strategy<Value = (&'static str, Value)> {
    (0_usize..3, value(), any::<prop::sample::Index>(), any::<bool>()).prop_map(|(query, part, at, drop)| {
        let (text, mut variables) = good()[query].clone();
        let mut paths = Vec::new();
        walk(&variables, String::new(), &mut paths);
        let path = &paths[at.index(paths.len())];
        if let (true, Some((parent, name))) = (drop, path.rsplit_once('/')) {
            if let Some(Value::Object(fields)) = variables.pointer_mut(parent) {
                fields.remove(name);
                fields.extend(part.as_object().into_iter().flatten().take(1).map(|(name, part)| (name.clone(), part.clone())));
            }
        } else if let Some(place) = variables.pointer_mut(path) {
            *place = part;
        }
        (text, variables)
    })
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| walk(inner, format!("{path}/{name}"), paths)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, inner)| walk(inner, format!("{path}/{at}"), paths)),
        _ => {}
    }
    paths.push(path);
}

fn request(text: &str, variables: &Value) -> Request {
    Request::new(text).variables(Variables::from_json(variables.clone()))
}

async fn answer(schema: &impl Executor, request: Request) -> Value {
    serde_json::to_value(schema.execute(request).await).expect("json")
}

fn assert_the_same(cases: &[(&str, Value)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let each_time = Schema::build(Query, EmptyMutation, EmptySubscription).finish();
    let once = Schema::build(Query, EmptyMutation, EmptySubscription).extension(CheckOnce).finish();
    let documents = Documents::default();
    runtime.block_on(async {
        for (text, variables) in good().iter().chain(cases) {
            let expected = answer(&each_time, request(text, variables)).await;
            let seen = answer(&once, documents.parsed(request(text, variables))).await;
            assert_eq!(seen, expected, "{text} {variables}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn known_queries_are_refused_like_new_ones(nearly in nearly_good(), any in value()) {
        let whole = (WHOLE, json!({ "wanted": any, "first": 1 }));
        assert_the_same(&[nearly, whole]);
    }
}

#[test]
fn what_a_literal_around_a_variable_hides_is_found_when_the_variable_comes() {
    assert_the_same(&[(BROKEN, json!({})), (BROKEN, json!({ "mode": "RAIL" })), (BROKEN, json!({ "mode": null }))]);
}

#[test]
fn unknown_fields_of_an_input_are_refused_in_a_known_query() {
    let unknown = json!({ "wanted": { "id": "a", "mode": "RAIL", "passengers": [], "price": 1 }, "first": 1 });
    let two =
        json!({ "wanted": { "id": "a", "mode": "RAIL", "passengers": [], "pick": { "best": 1, "seats": [] } }, "first": 1 });
    let absent = json!({ "wanted": { "id": "a", "mode": "RAIL" }, "first": 1 });
    let deep = json!({ "wanted": { "id": "a", "mode": "RAIL", "passengers": [{ "name": "A", "role": "ADMIN" }] }, "first": 1 });
    assert_the_same(&[(WHOLE, unknown), (WHOLE, two), (WHOLE, absent), (WHOLE, deep)]);
}
