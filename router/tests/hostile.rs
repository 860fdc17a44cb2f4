//! Documents that cost more than they look: over every transport each is refused before anything is worked out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Rig, Way, socket::Socket};

/// What a refusal may take, the way to the front door and back included; the best of five counts. A debug build is slower, and shares its machine.
const QUICK: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 10 });
/// Longer than this and the front door hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// A fragment that spreads itself eight times: walked as a tree it has no end.
fn cycle() -> String {
    format!("{{...A}} fragment A on Query{{{}}}", "...A ".repeat(8))
}

/// `levels` fragments below each other; each spreads the next one `width` times, under a field so that nothing is at the root.
fn nested(levels: usize, width: usize) -> String {
    let mut text = "{trip(id:1){...F0}}".to_owned();
    for level in 0..levels {
        let _ = write!(text, " fragment F{level} on Trip{{{}}}", format!("...F{} ", level + 1).repeat(width));
    }
    let _ = write!(text, " fragment F{levels} on Trip{{id}}");
    text
}

/// The same leaf again and again.
fn leaves() -> String {
    format!("{{trip(id:1){{{}}}}}", "id ".repeat(1_950))
}

/// The same, but every selection set is narrow: only where equal fields are merged it becomes wide.
fn merged() -> String {
    format!("{{trip(id:1){{{}}}}}", "fan{id} ".repeat(400))
}

/// Each fragment names itself twice, the second time as a cycle.
fn doubled() -> String {
    "{...A} fragment A on Query{whoami} fragment A on Query{...A ...A}".to_owned()
}

/// Many sets, each as wide as is allowed, of equal leaves.
fn repeated() -> String {
    let sets: String = (0..13).map(|number| format!("a{number}:trip(id:1){{{}}}", "id ".repeat(130))).collect();
    format!("{{{sets}}}")
}

fn cases() -> [(String, &'static str); 7] {
    [
        (cycle(), "GRAPHQL_VALIDATION_FAILED"),
        (nested(9, 8), "MAX_SELECTIONS_EXCEEDED"),
        (nested(22, 2), "MAX_SELECTIONS_EXCEEDED"),
        (leaves(), "MAX_SELECTION_SET_EXCEEDED"),
        (merged(), "MAX_SELECTION_SET_EXCEEDED"),
        (repeated(), "MAX_REPEATS_EXCEEDED"),
        (doubled(), "GRAPHQL_VALIDATION_FAILED"),
    ]
}

async fn text_of(request: reqwest::RequestBuilder) -> String {
    let answer = async { request.send().await.unwrap().text().await.unwrap() };
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| "no answer".to_owned())
}

fn post(rig: &Rig, query: &str, accept: &str) -> reqwest::RequestBuilder {
    let body = json!({ "query": query }).to_string();
    let request = rig.client.post(rig.url("/graphql")).header("content-type", "application/json");
    request.header("accept", accept).body(body)
}

fn get(rig: &Rig, query: &str) -> reqwest::RequestBuilder {
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    rig.client.get(rig.url(&format!("/graphql?query={query}"))).header("accept", "application/json")
}

async fn over_http(rig: &Rig, transport: &str, query: &str) -> String {
    let request = match transport {
        "POST" => post(rig, query, "application/json"),
        "GET" => get(rig, query),
        "SSE" => post(rig, query, "text/event-stream"),
        _ => post(rig, query, "multipart/mixed;subscriptionSpec=\"1.0\", application/json"),
    };
    text_of(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_refuses_them_at_once() {
    let rig = Rig::start(Way::InProcess).await;
    let mut socket = Socket::ready(&rig, None).await;
    for (number, (query, code)) in cases().iter().enumerate() {
        for transport in ["POST", "GET", "SSE", "multipart", "WebSocket"] {
            let mut best = Duration::MAX;
            for attempt in 0..5 {
                let started = Instant::now();
                let text = if transport == "WebSocket" {
                    socket.subscribe(&format!("{number}-{attempt}"), query).await;
                    socket.message().await.to_string()
                } else {
                    over_http(&rig, transport, query).await
                };
                best = best.min(started.elapsed());
                assert!(text.contains(code), "{transport} {code}: {text} for {}", &query[..query.len().min(90)]);
            }
            assert!(best < QUICK, "{transport} {code}: {best:?} for {}", &query[..query.len().min(90)]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_the_number_that_was_reached_and_the_limit() {
    let rig = Rig::start(Way::InProcess).await;
    let many = |count: usize, text: &str| text.repeat(count);
    let aliases: String = (0..31).map(|number| format!(" a{number}: id")).collect();
    let introspection = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    let cases = [
        (nested(9, 8), "287609418", "5000"),
        (nested(17, 1), "18", "16"),
        (leaves(), "1950", "200"),
        (format!("{{ trip(id: 1) {{{aliases} }} }}"), "31", "30"),
        (format!("{{ {} }}", many(16, "whoami ")), "16", "15"),
        (format!("{{ whoami{} }}", many(21, " @include(if: true)")), "21", "20"),
        (format!("{{ {} }}", many(2_000, "whoami ")), "2002", "2000"),
        (format!("{{ whoami }} #{}", "x".repeat(16 * 1024)), "16396", "16384"),
        (format!("{{ trip(id: 1) {{ {} id {} }} }}", many(6, "fan { favourite { "), many(12, "} ")), "14", "12"),
        (introspection.to_owned(), "4", "3"),
    ];
    for (query, reached, limit) in cases {
        let (_, body) = rig.query(&query, None).await;
        let message = body["errors"][0]["message"].as_str().unwrap();
        let numbers: Vec<&str> =
            message.split(|letter: char| !letter.is_ascii_digit()).filter(|number| !number.is_empty()).collect();
        assert_eq!(numbers, [reached, limit], "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_settings() {
    let narrow = Rig::with(Way::InProcess, |config| config.limits.selections = 4).await;
    let (_, body) = narrow.query("{ trip(id: 1) { id name fan { id name } } }", None).await;
    assert_eq!(support::code(&body), "MAX_SELECTIONS_EXCEEDED");
    let shallow = Rig::with(Way::InProcess, |config| config.limits.cost = 2).await;
    let (_, body) = shallow.query("{ trip(id: 1) { fan { favourite { id } } } }", None).await;
    assert_eq!(support::code(&body), "MAX_COST_EXCEEDED");
    let (_, body) = shallow.query("{ trip(id: 1) { fan { id } } }", None).await;
    assert_eq!(body.get("errors"), None::<&Value>);
}
