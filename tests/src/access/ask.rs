//! Asks a running Berth and tells what kind of answer came.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use serde_json::{Value, json};

use super::{Caller, Matrix, Row, cast::Cast};
use crate::{
    client::{Client, Fault},
    live::{Feed, Transport},
};

const FIRST_EVENT_WITHIN: Duration = Duration::from_secs(10);

/// Rows of queries that are asked at the same time.
const ROWS_AT_ONCE: usize = 4;

/// Every answer that is not the one in the matrix: callers who got the same are told together.
pub async fn differences(matrix: &Matrix, cast: &Cast) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    // What only reads can be asked in any order; each mutation waits for the one above.
    for rows in matrix.rows().chunk_by(|row, next| !row.changes() && !next.changes()) {
        let told = stream::iter(rows).map(|row| differences_of(matrix, row, cast)).buffered(ROWS_AT_ONCE);
        found.extend(told.try_concat().await?);
    }
    Ok(found)
}

/// The callers of a row ask at the same time, only its owner after all others.
async fn differences_of(matrix: &Matrix, row: &Row, cast: &Cast) -> anyhow::Result<Vec<String>> {
    let ask = |caller: Caller| async move {
        let document = row.document(|thing| cast.thing(thing, caller));
        let client = if row.fresh { cast.fresh_client(caller).await? } else { cast.client(caller) };
        let (class, text) = class_of(row, &client, &document).await?;
        Ok::<_, anyhow::Error>((caller, class, document, text))
    };
    let mut answers = try_join_all(Caller::ALL.into_iter().filter(|caller| *caller != Caller::Owner).map(ask)).await?;
    answers.push(ask(Caller::Owner).await?);
    let mut alike: BTreeMap<String, (Vec<&str>, String)> = BTreeMap::new();
    for (caller, class, document, text) in answers {
        let expected = matrix.expected(row, caller)?;
        if class != expected {
            let told = alike.entry(format!("{class} instead of {expected}"));
            told.or_insert_with(|| (vec![], format!("{document}\n    {text}"))).0.push(caller.name());
        }
    }
    let tell = |(what, (callers, example)): (String, (Vec<&str>, String))| {
        format!("{} as {}: {what}\n    {example}", row.field, callers.join(", "))
    };
    Ok(alike.into_iter().map(tell).collect())
}

async fn class_of(row: &Row, client: &Client, document: &str) -> anyhow::Result<(String, String)> {
    let (root, field) = row.parts();
    let body = if root == "Subscription" { first_event(client, document).await? } else { answer(client, document).await? };
    Ok((class(&body, field), body.to_string()))
}

async fn answer(client: &Client, document: &str) -> anyhow::Result<Value> {
    let answer = client.send(document, Value::Null).await?;
    Ok(if answer.body.is_null() { json!({ "errors": [{ "message": answer.text }] }) } else { answer.body })
}

async fn first_event(client: &Client, document: &str) -> anyhow::Result<Value> {
    let mut feed = match Feed::open(client, Transport::Sse, document, json!({})).await {
        Ok(feed) => feed,
        Err(error) => return Ok(refused(&error)),
    };
    feed.next(FIRST_EVENT_WITHIN).await?.context("the stream ended before its first event")
}

/// A stream that did not begin: its answer stands in the error's text.
fn refused(error: &anyhow::Error) -> Value {
    let text = format!("{error:#}");
    let json = text.find('{').map_or("", |at| &text[at..]);
    let code = Fault::of(0, json.to_owned()).code;
    json!({ "errors": [{ "message": text, "extensions": { "code": code } }] })
}

/// The class of an answer: see the head of the matrix.
pub fn class(body: &Value, field: &str) -> String {
    if let Some(error) = body["errors"].get(0) {
        return error["extensions"]["code"].as_str().filter(|code| !code.is_empty()).unwrap_or("UNTYPED").to_owned();
    }
    let value = &body["data"][field];
    if let Some(code) = value["code"].as_str().filter(|_| value["__typename"].is_string()) {
        return code.to_owned();
    }
    if is_nothing(value) { "NOT_FOUND".to_owned() } else { "ALLOWED".to_owned() }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_one_class() {
        let cases = [
            (json!({ "data": { "r": { "id": "x" } } }), "ALLOWED"),
            (json!({ "data": { "r": { "nodes": [] } } }), "ALLOWED"),
            (json!({ "data": { "r": null } }), "NOT_FOUND"),
            (json!({ "data": { "r": { "status": null } } }), "NOT_FOUND"),
            (json!({ "data": { "r": { "__typename": "NotFoundError", "code": "NOT_FOUND" } } }), "NOT_FOUND"),
            (json!({ "data": { "r": { "code": "a booking's own" } } }), "ALLOWED"),
            (json!({ "data": { "r": null }, "errors": [{ "extensions": { "code": "FORBIDDEN" } }] }), "FORBIDDEN"),
            (json!({ "errors": [{ "message": "?" }] }), "UNTYPED"),
        ];
        for (body, expected) in cases {
            assert_eq!(class(&body, "r"), expected, "{body}");
        }
    }
}
