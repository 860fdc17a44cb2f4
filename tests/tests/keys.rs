//! Keys change while everything runs: nobody is signed out by a new key, and nobody gets in with one that is not trusted any more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_tests::{client::Client, eventually, in_both_arms, person::Person, process::Arm, world::Berth};
use serde_json::{Value, json};

in_both_arms!(a_new_key_signs_nobody_out, a_key_in_wrong_hands_opens_nothing);

const ME: &str = "{ me { id } }";
/// Every process reads the keys anew within 5 s.
const SEEN: Duration = Duration::from_secs(40);

async fn a_new_key_signs_nobody_out(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let before = Person::sign_up(&client, "steady").await?;
    let old = kid(&before)?;
    let new = rotate(&mut berth, &["--after-secs", "20"])?;
    ensure!(!new.is_empty() && new != old, "the new key is {new}");
    // Published before it signs.
    until_published(&client, &new).await?;
    ensure!(kid(&Person::sign_in(&client, &before.email).await?)? == old, "the new key signs too early");
    let signed_by_new = || async {
        let person = Person::sign_in(&client, &before.email).await?;
        Ok((kid(&person)? == new).then_some(person))
    };
    let after = eventually("a token by the new key", SEEN, signed_by_new).await?;
    for person in [&before, &after] {
        ensure!(person.client.query(ME, json!({})).await?["me"]["id"] == json!(before.id));
    }
    ensure!(published(&client).await?.contains(&old), "the old key is gone too early");
    ensure!(text(&mut berth, &["keys", "list"])?.contains(&format!("{old}\t-\tverifies")));
    client.advance(16 * 60).await?;
    ensure!(!published(&client).await?.contains(&old), "the old key is still published");
    let mut late = after.clone();
    late.refresh().await?;
    ensure!(late.client.query(ME, json!({})).await?["me"]["id"] == json!(before.id));
    berth.assert_alive()
}

async fn a_key_in_wrong_hands_opens_nothing(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let mut person = Person::sign_up(&client, "robbed").await?;
    person.client.query(ME, json!({})).await?;
    let new = rotate(&mut berth, &["--compromised"])?;
    let refused = || async {
        let answer = person.client.send(ME, json!({})).await?;
        Ok((answer.error_code() == Some("TOKEN_EXPIRED")).then_some(()))
    };
    // What a client of ours does at that code is to refresh: nobody is signed out.
    eventually("the old token is refused", SEEN, refused).await?;
    let renewed = || async {
        let again = person.clone();
        let renewed = refreshed(again).await?;
        Ok((kid(&renewed)? == new).then_some(renewed))
    };
    person = eventually("a token by the new key", SEEN, renewed).await?;
    ensure!(person.client.query(ME, json!({})).await?["me"]["id"] == json!(person.id));
    let foreign = berth.processes()[0].run(&["keys", "rotate", "nothing"])?;
    ensure!(!foreign.status.success(), "an unknown purpose is accepted");
    berth.assert_alive()
}

async fn refreshed(mut person: Person) -> anyhow::Result<Person> {
    person.refresh().await?;
    Ok(person)
}

/// The name of the key that signed a person's token.
fn kid(person: &Person) -> anyhow::Result<String> {
    let head = person.client.token().and_then(|token| token.split('.').next()).context("no token")?;
    let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head)?)?;
    head["kid"].as_str().map(str::to_owned).context("a token without kid")
}

async fn published(client: &Client) -> anyhow::Result<BTreeSet<String>> {
    let (_, set) = client.get("/.well-known/jwks.json").await?;
    let set: Value = serde_json::from_str(&set)?;
    let keys = set["keys"].as_array().context("no keys")?;
    Ok(keys.iter().filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect())
}

async fn until_published(client: &Client, kid: &str) -> anyhow::Result<()> {
    eventually("the new key in the key set", SEEN, || async { Ok(published(client).await?.contains(kid).then_some(())) }).await
}

/// Answers the new key's name.
fn rotate(berth: &mut Berth, arguments: &[&str]) -> anyhow::Result<String> {
    let told = text(berth, &[&["keys", "rotate"], arguments].concat())?;
    told.split_whitespace().next().map(str::to_owned).context("nothing told")
}

fn text(berth: &mut Berth, arguments: &[&str]) -> anyhow::Result<String> {
    let done = berth.processes()[0].run(arguments)?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}
