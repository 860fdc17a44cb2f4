//! What the front door refuses before any service is asked: tokens, webhooks, and everything that is too much.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_tests::{
    in_both_arms,
    notices::{self, Payer},
    person::Person,
    process::Arm,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

in_both_arms!(tokens, webhooks, limits);

async fn tokens(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "tokens").await?;
    let token = person.client.token().context("no token")?;
    let mut parts = token.split('.');
    let (head, claims, signature) =
        (parts.next().context("head")?, parts.next().context("claims")?, parts.next().context("signature")?);
    let stated: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    let stated_head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head)?)?;
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (_, keys) = client.get("/.well-known/jwks.json").await?;
    let keys: Value = serde_json::from_str(&keys)?;
    let public = keys["keys"][0]["x"].as_str().context("no key")?;
    let mut hs256 = Header::new(Algorithm::HS256);
    hs256.typ = Some("at+jwt".to_owned());
    hs256.kid = stated_head["kid"].as_str().map(str::to_owned);
    let mut other = stated.clone();
    other["sub"] = json!(format!("user_{}", "0".repeat(26)));
    let none = json!({ "alg": "none", "typ": "at+jwt", "kid": stated_head["kid"] });
    let forged = [
        ("alg none", format!("{}.{claims}.", encode(&none))),
        ("alg none with the old signature", format!("{}.{claims}.{signature}", encode(&none))),
        (
            "HS256 with the public key",
            jsonwebtoken::encode(&hs256, &stated, &EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(public)?))?,
        ),
        ("HS256 with the key's text", jsonwebtoken::encode(&hs256, &stated, &EncodingKey::from_secret(public.as_bytes()))?),
        ("other claims", format!("{head}.{}.{signature}", encode(&other))),
        ("no signature", format!("{head}.{claims}.")),
        ("half", format!("{head}.{claims}")),
        ("words", "nonsense".to_owned()),
    ];
    let me = "{ me { id } }";
    for (name, token) in forged {
        let answer = client.with_token(&token).send(me, Value::Null).await?;
        ensure!(answer.status == 401 && answer.refusal_code()? == "TOKEN_INVALID", "{name}: {} {}", answer.status, answer.text);
        let public = client.with_token(&token).send("{ __typename }", Value::Null).await?;
        ensure!(public.status == 401, "{name}: a bad token is taken for nobody: {}", public.text);
    }
    ensure!(client.query(me, Value::Null).await?["me"].is_null(), "nobody is nobody");
    client.advance(601).await?;
    let late = person.client.send(me, Value::Null).await?;
    ensure!(late.refusal_code()? == "TOKEN_EXPIRED", "{}", late.text);
    berth.assert_alive()
}

async fn webhooks(arm: Arm) -> anyhow::Result<()> {
    let mut berth = notices::setup(arm).start().await?;
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    let mut unsigned: Value = serde_json::from_str(&payer.notification("settlement"))?;
    unsigned["signature_key"] = json!("0".repeat(128));
    let mut changed: Value = serde_json::from_str(&payer.notification("settlement"))?;
    changed["gross_amount"] = json!("1.00");
    let unknown = notices::notification(&format!("payment_{}", "0".repeat(26)), "1.00", "settlement");
    let cases = [
        ("wrong signature", unsigned.to_string(), 401),
        ("changed amount", changed.to_string(), 401),
        ("unknown order", unknown.to_string(), 404),
        ("no JSON", "nonsense".to_owned(), 400),
        ("no object", "[]".to_owned(), 400),
        ("nothing", String::new(), 400),
        ("too long", format!("{{\"x\":\"{}\"}}", "x".repeat(65 * 1024)), 413),
        ("far too long", "x".repeat(300 * 1024), 413),
    ];
    for (name, body, status) in cases {
        ensure!(notices::post(&client, body).await? == status, "{name} is not answered with {status}");
    }
    for status in [200, 200] {
        ensure!(notices::post(&client, payer.notification("settlement")).await? == status, "a doubled notice");
    }
    ensure!(client.post("/webhooks/payments/nobody").await?.0 == 404);
    tokio::time::sleep(Duration::from_millis(700)).await;
    ensure!(payer.person.payment(&payer.payment_id).await?["status"] == "PENDING", "a notice was believed without a look");
    berth.assert_alive()
}

/// Fragments below each other, each of which spreads the next one twice.
fn doubling(levels: usize) -> String {
    let fragment = |level: usize| format!(" fragment F{level} on Trip {{ ...F{next} ...F{next} }}", next = level + 1);
    let fragments: String = (0..levels).map(fragment).collect();
    format!("{{ trip(id: \"x\") {{ ...F0 }} }}{fragments} fragment F{levels} on Trip {{ id }}")
}

async fn limits(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let nested = (0..14).fold("__typename".to_owned(), |inner, _| format!("trip(id: \"x\") {{ {inner} }}"));
    let deep = "{ me { bookings { nodes { parts { trip { stops { station { id } } } } } } } }".to_owned();
    let too_deep = format!(
        "{{ {} }}",
        (0..14).fold("id".to_owned(), |inner, _| format!(
            "node(id: \"x\") {{ ... on Trip {{ stops {{ station {{ {inner} }} }} }} }}"
        ))
    );
    let many = |count: usize, field: &str| (0..count).map(|number| format!("a{number}: {field} ")).collect::<String>();
    let cases: BTreeMap<&str, String> = BTreeMap::from([
        ("aliases", format!("{{ {} }}", many(31, "__typename"))),
        ("root fields", format!("{{ {} }}", many(16, "stations { totalCount }"))),
        ("depth", too_deep),
        ("nested", format!("{{ {nested} }}")),
        ("tokens", format!("{{ {} }}", "__typename ".repeat(2100))),
        ("length", format!("{{ __typename }} # {}", "x".repeat(17 * 1024))),
        ("directives", format!("{{ __typename {} }}", "@include(if: true) ".repeat(21))),
        ("parentheses", "{".repeat(3000)),
        ("cycle", format!("{{...A}} fragment A on Query{{{}}}", "...A ".repeat(8))),
        ("written out", doubling(22)),
        ("one place", format!("{{ trip(id: \"x\") {{ {} }} }}", "id ".repeat(1_900))),
        ("cost", deep.replace("bookings", "bookings(first: 100)")),
        ("syntax", "query {".to_owned()),
        (
            "entities",
            "{ _entities(representations: [{ __typename: \"User\", id: \"x\" }]) { ... on User { email } } }".to_owned(),
        ),
        ("service", "{ _service { sdl } }".to_owned()),
    ]);
    for (name, query) in &cases {
        let answer = client.send(query, Value::Null).await?;
        answer.refusal_code().with_context(|| format!("{name}: HTTP {}", answer.status))?;
        ensure!(answer.body["data"].is_null(), "{name} was answered: {}", answer.text);
    }
    ensure!(client.send(&deep, Value::Null).await?.status == 200);

    let long = json!({ "query": "{ __typename }", "variables": { "x": "x".repeat(257 * 1024) } }).to_string();
    let answer = client.send_body(long).await?;
    ensure!(answer.status == 413 && answer.refusal_code()? == "BODY_TOO_LARGE", "{} {}", answer.status, answer.text);
    let batch = client.send_body(r#"[{"query":"{ __typename }"},{"query":"{ __typename }"}]"#).await?;
    ensure!(batch.refusal_code()? == "BATCHING_NOT_SUPPORTED", "{}", batch.text);
    for body in ["", "null", "7", "{", "\"x\"", "{\"query\":7}", "{\"query\":\"{ __typename }\",\"variables\":[]}", "\u{fffd}"] {
        let answer = client.send_body(body).await?;
        ensure!(answer.status == 400, "{body:?}: {} {}", answer.status, answer.text);
        answer.refusal_code()?;
    }
    let form = client
        .request(reqwest::Method::POST, "/graphql")
        .header("content-type", "text/plain")
        .body("{ __typename }")
        .send()
        .await?;
    ensure!(form.status() == 415, "{}", form.status());
    let header = client
        .request(reqwest::Method::GET, "/graphql?query=%7B__typename%7D")
        .header("x-long", "x".repeat(40 * 1024))
        .send()
        .await;
    ensure!(header.is_err() || header.is_ok_and(|answer| answer.status().is_client_error()), "long headers");
    berth.assert_alive()
}
