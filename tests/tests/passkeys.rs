//! Passkeys through the front door, with an authenticator in software: the site is the public address that people see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

#[allow(dead_code, reason = "its lies are told in the tests of the user service")]
#[path = "../../subgraphs/user/tests/user/authenticator.rs"]
mod authenticator;

use anyhow::{Context, ensure};
use authenticator::{Device, Key};
use berth_tests::{client::Client, in_both_arms, person::Person, process::Arm};
use serde_json::{Value, json};

in_both_arms!(a_passkey_signs_in, a_new_passkey_needs_a_fresh_proof);

const BEGIN: &str = "mutation($input: BeginPasskeyRegistrationInput) { beginPasskeyRegistration(input: $input) { __typename \
     ... on BeginPasskeyRegistrationSuccess { options } ... on UserError { code } } }";
const FINISH: &str = "mutation($input: FinishPasskeyRegistrationInput!) { finishPasskeyRegistration(input: $input) { __typename \
     ... on FinishPasskeyRegistrationSuccess { passkey { id name } } ... on UserError { code } } }";
const BEGIN_SIGN_IN: &str = "mutation { beginPasskeySignIn { __typename ... on BeginPasskeySignInSuccess { options } } }";
const FINISH_SIGN_IN: &str = "mutation($input: FinishPasskeySignInInput!) { finishPasskeySignIn(input: $input) { __typename \
     ... on SessionSuccess { session { accessToken } user { id } } ... on UserError { code } } }";
const REMOVE: &str = "mutation($input: RemovePasskeyInput!) { removePasskey(input: $input) { __typename \
     ... on RemovePasskeySuccess { removedId } ... on UserError { code } } }";

/// A device in a browser that shows the public address.
fn device(client: &Client, key: Key) -> Device {
    let origin: &'static str = client.url().to_owned().leak();
    Device { key, origin, ..Device::ed25519() }
}

async fn registered(person: &Person, mut device: Device) -> anyhow::Result<(Device, Value)> {
    let asked = person.client.mutate(BEGIN, json!({})).await?.done()?;
    let credential = device.create(asked["options"].as_str().context("no options")?);
    let kept = person.client.mutate(FINISH, json!({ "credential": credential, "name": "Phone" })).await?.done()?;
    Ok((device, kept["passkey"]["id"].clone()))
}

async fn answer(client: &Client, device: &mut Device) -> anyhow::Result<Value> {
    let mut asked = client.query(BEGIN_SIGN_IN, json!({})).await?["beginPasskeySignIn"].take();
    let options = asked["options"].take();
    Ok(json!({ "credential": device.get(options.as_str().context("no options")?), "device": "phone" }))
}

async fn a_passkey_signs_in(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "keyholder").await?;
    let mut last = None;
    for key in [Device::p256().key, Device::ed25519().key] {
        let (mut device, id) = registered(&person, device(&client, key)).await?;
        let input = answer(&client, &mut device).await?;
        let opened = client.mutate(FINISH_SIGN_IN, input.clone()).await?.done()?;
        ensure!(opened["user"]["id"] == person.id.as_str(), "{opened}");
        let token = opened["session"]["accessToken"].as_str().context("no token")?;
        let me = client.with_token(token).query("{ me { passkeys { name lastUsedAt } } }", Value::Null).await?;
        ensure!(me["me"]["passkeys"][0]["lastUsedAt"].is_string(), "{me}");
        ensure!(client.mutate(FINISH_SIGN_IN, input).await?.refused()?.code == "PASSKEY_INVALID", "a replay");
        last = Some((device, id));
    }
    let (mut device, id) = last.context("no device")?;
    let elsewhere = Device { origin: "https://evil.example", key: device.key, id: device.id.clone(), ..Device::p256() };
    let mut elsewhere = Device { user_handle: device.user_handle.clone(), ..elsewhere };
    let input = answer(&client, &mut elsewhere).await?;
    ensure!(client.mutate(FINISH_SIGN_IN, input).await?.refused()?.code == "PASSKEY_INVALID", "another site");
    device.key = elsewhere.key;
    ensure!(person.client.mutate(REMOVE, json!({ "passkeyId": id })).await?.done()?["removedId"] == id);
    let input = answer(&client, &mut device).await?;
    ensure!(client.mutate(FINISH_SIGN_IN, input).await?.refused()?.code == "PASSKEY_INVALID", "it was removed");
    berth.assert_alive()
}

/// Refreshing is no proof: whoever found the device, or a token, can do that.
async fn a_new_passkey_needs_a_fresh_proof(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let mut person = Person::sign_up(&client, "keyholder").await?;
    let (mut device, id) = registered(&person, device(&client, Device::p256().key)).await?;
    client.advance(601).await?;
    person.refresh().await?;
    ensure!(person.client.mutate(BEGIN, json!({})).await?.refused()?.code == "PROOF_REQUIRED");
    ensure!(person.client.mutate(REMOVE, json!({ "passkeyId": id })).await?.refused()?.code == "PROOF_REQUIRED");
    let input = answer(&client, &mut device).await?;
    let opened = client.mutate(FINISH_SIGN_IN, input).await?.done()?;
    let fresh = client.with_token(opened["session"]["accessToken"].as_str().context("no token")?);
    fresh.mutate(BEGIN, json!({})).await?.done()?;
    ensure!(fresh.mutate(REMOVE, json!({ "passkeyId": id })).await?.done()?["removedId"] == id);
    berth.assert_alive()
}
