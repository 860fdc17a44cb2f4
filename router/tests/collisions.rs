//! Operations that the embedded router takes for one: its hash does not tell a string from a variable of that name. Each must
//! get its own plan, whoever came first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Rig, Way, read,
    socket::{Received, Socket},
    token,
};

/// Two operations with one hash; `more` stands in both.
fn pair(more: &str) -> [String; 2] {
    ["a: trip(id: $id) { name } b: trip(id: \"id\") { name }", "a: trip(id: \"id\") { name } b: trip(id: $id) { name }"]
        .map(|fields| format!("query Q($id: ID!) {{ {fields} {more} }}"))
}

/// What the first and the second of a pair must answer with the variable `id` = 7.
fn expected(at: usize) -> [String; 2] {
    let names = ["7", "id"].map(|id| format!("Trip \u{2014} {id} \"quoted\""));
    if at == 0 { names } else { [names[1].clone(), names[0].clone()] }
}

fn names(data: &Value) -> [String; 2] {
    ["a", "b"].map(|alias| data[alias]["name"].as_str().unwrap_or("none").to_owned())
}

/// The answer to an operation over a transport.
async fn ask(rig: &Rig, transport: &str, query: &str, token: Option<&str>) -> Value {
    let body = json!({ "query": query, "variables": { "id": "7" } });
    let with = |request: reqwest::RequestBuilder| token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    match transport {
        "POST" => read(with(rig.post(&body))).await.1["data"].take(),
        "GET" => {
            let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let address = rig.url(&format!("/graphql?variables=%7B%22id%22%3A%227%22%7D&query={query}"));
            read(with(rig.client.get(address).header("accept", "application/json"))).await.1["data"].take()
        }
        "WebSocket" => {
            let mut socket = Socket::ready(rig, token).await;
            socket.send(&json!({ "id": "1", "type": "subscribe", "payload": body })).await;
            let Received::Message(mut message) = socket.next_within(Duration::from_secs(5)).await else { return Value::Null };
            message["payload"]["data"].take()
        }
        accept => {
            let request = rig.client.post(rig.url("/graphql")).header("content-type", "application/json");
            let text = with(request.header("accept", accept).body(body.to_string())).send().await.unwrap().text().await.unwrap();
            let begin = text.find("{\"data\"").unwrap_or_default();
            let event = text[begin..].lines().next().unwrap_or_default();
            serde_json::from_str::<Value>(event).unwrap_or_else(|_| panic!("{text}"))["data"].take()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_runs_its_own_plan() {
    for transport in ["POST", "GET", "WebSocket", "text/event-stream"] {
        for first in [0, 1] {
            let rig = Rig::start(Way::InProcess).await;
            let pair = pair("whoami");
            for at in [first, 1 - first, first] {
                let data = ask(&rig, transport, &pair[at], None).await;
                assert_eq!(names(&data), expected(at), "{transport}, the one after {first}");
            }
        }
    }
}

/// `me` is taken away from whoever is not signed in, and what is left is hashed anew.
#[tokio::test(flavor = "multi_thread")]
async fn so_does_what_is_left_when_fields_are_taken_away() {
    let rig = Rig::start(Way::InProcess).await;
    let ann = token("ann");
    for round in 0..2 {
        for (at, query) in pair("me { id }").iter().enumerate() {
            for token in [None, Some(ann.as_str())] {
                let data = ask(&rig, "POST", query, token).await;
                assert_eq!(names(&data), expected(at), "round {round}, signed in: {}", token.is_some());
                let id = data["me"]["id"].as_str();
                assert_eq!(id, token.map(|_| "ann"), "{data}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_of_a_document_is_not_another_one_of_it() {
    let rig = Rig::start(Way::InProcess).await;
    let query = "query A { trip(id: \"x\") { name } } query B { trip(id: \"y\") { name } }";
    for _ in 0..2 {
        for (name, id) in [("A", "x"), ("B", "y")] {
            let (_, body) = read(rig.post(&json!({ "query": query, "operationName": name }))).await;
            assert_eq!(body["data"]["trip"]["name"], json!(format!("Trip \u{2014} {id} \"quoted\"")));
        }
    }
}

/// Places in the text are those of what the client sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_place_in_the_text_that_was_sent() {
    let rig = Rig::start(Way::InProcess).await;
    let (_, body) = rig.query("query Q {\n  whoami\n  nothing\n}", None).await;
    assert_eq!(body["errors"][0]["locations"], json!([{ "line": 3, "column": 3 }]));
    let (_, body) = rig.query("query Q {\n  whoami\n", None).await;
    assert_eq!(support::code(&body), "GRAPHQL_PARSE_FAILED");
}
