//! A subgraph answers nobody but the router and its peers; and what a client says about who it is, beside its token, counts for
//! nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    documents, in_the_fleet,
    person::Person,
    process::{Arm, Berth},
    timetable,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};

in_the_fleet!(subgraphs_answer_nobody_else, identity_is_only_in_the_token);

const SERVICES: [&str; 4] = ["user", "inventory", "booking", "payment"];
const HEADER: &str = "x-berth-service";

/// A credential signed with the key of `signer`.
fn credential(keys: &Path, signer: &str, caller: &str, audience: &str, life_secs: i64) -> anyhow::Result<String> {
    let pem = fs::read(keys.join(format!("service-{signer}.pem")))?;
    let now = berth_tests::now_secs();
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("service+jwt".to_owned());
    let claims = json!({ "iss": "berth", "sub": caller, "aud": audience, "iat": now + life_secs - 60, "exp": now + life_secs });
    Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_pem(&pem)?)?)
}

async fn status(client: &Client, path: &str, credential: Option<&str>, token: Option<&str>) -> anyhow::Result<(u16, String)> {
    let mut request = client.request(Method::POST, path).json(&json!({ "query": "{ __typename }" }));
    if let Some(credential) = credential {
        request = request.header(HEADER, credential);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

async fn subgraphs_answer_nobody_else(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let keys = berth.folder().join("keys");
    let person = Person::sign_up(&berth.client()?, "outsider").await?;
    let token = person.client.token().context("no token")?.to_owned();
    for (at, service) in SERVICES.into_iter().enumerate() {
        let subgraph = Client::new(&berth.process(service, 0)?.url())?;
        let other = SERVICES[(at + 1) % SERVICES.len()];
        let bad = [
            ("no credential", None),
            ("words", Some("nonsense".to_owned())),
            ("a person's token", Some(token.clone())),
            ("another caller's key", Some(credential(&keys, "booking", "router", service, 60)?)),
            ("expired", Some(credential(&keys, "router", "router", service, -3_600)?)),
            ("for another service", Some(credential(&keys, "router", "router", other, 60)?)),
            ("of a caller that asks no graph", Some(credential(&keys, "booking", "booking", service, 60)?)),
        ];
        for (name, credential) in &bad {
            for token in [None, Some(token.as_str())] {
                let (status, text) = status(&subgraph, "/graphql", credential.as_deref(), token).await?;
                ensure!(status == 403, "{service} answers {status} to {name}: {text}");
            }
        }
        for path in ["/public/sandbox/payments/x/settle", "/public/webhooks/payments/sandbox"] {
            let (status, text) = status(&subgraph, path, None, None).await?;
            ensure!(status == 403 || status == 404 && service != "payment", "{service}{path} answers {status}: {text}");
        }
        let (status, text) =
            status(&subgraph, "/graphql", Some(&credential(&keys, "router", "router", service, 60)?), None).await?;
        ensure!(status == 200 && text.contains("__typename"), "{service} does not answer the router: {status} {text}");
    }
    peers_are_known(&mut berth, &keys).await?;
    berth.assert_alive()
}

/// Peer calls need a credential too, and it must be a peer's.
async fn peers_are_known(berth: &mut Berth, keys: &Path) -> anyhow::Result<()> {
    let inventory = Client::new(&berth.process("inventory", 1)?.url())?;
    let bad = [
        None,
        Some(credential(keys, "booking", "booking", "payment", 60)?),
        Some(credential(keys, "payment", "booking", "inventory", 60)?),
    ];
    for credential in bad {
        for method in ["commit_hold", "release_hold"] {
            let (status, text) = status(&inventory, &format!("/peer/{method}"), credential.as_deref(), None).await?;
            ensure!(status == 403, "/peer/{method} answers {status}: {text}");
        }
    }
    Ok(())
}

async fn identity_is_only_in_the_token(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let keys = berth.folder().join("keys");
    let client = berth.client()?;
    let people = Person::sign_up_many(&client, "identity", 2).await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let hold = people[0].hold_best(&segment, 1).await?;
    let router = credential(&keys, "router", "router", "inventory", 60)?;
    let claimed = [
        ("x-user-id", people[0].id.as_str()),
        ("x-berth-user", people[0].id.as_str()),
        ("x-forwarded-user", people[0].id.as_str()),
        ("x-berth-viewer", people[0].id.as_str()),
        ("x-berth-roles", "ADMIN"),
        (HEADER, router.as_str()),
    ];
    for token in [None, people[1].client.token()] {
        let mut request = client.request(Method::POST, "/graphql");
        request = request.json(&json!({ "query": documents::HOLD, "variables": { "id": hold.id } }));
        for (name, value) in claimed {
            request = request.header(name, value);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer: Value = request.send().await?.json().await?;
        ensure!(answer["data"]["hold"].is_null(), "a header was believed: {answer}");
    }
    ensure!(people[0].hold_status(&hold.id).await?.as_deref() == Some("ACTIVE"));
    berth.assert_alive()
}
