//! Second factors, limits by client and without Redis, and work before a sign-up, as a front end and an attacker meet them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    documents, in_both_arms,
    person::{PASSWORD, Person},
    process::Arm,
};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

in_both_arms!(
    a_second_factor_guards_the_password,
    clients_are_told_apart_behind_a_proxy,
    a_sign_up_costs_work,
    limits_hold_without_redis,
);

const ENROL: &str = "mutation { enrolTotp { __typename ... on EnrolTotpSuccess { secret } ... on UserError { code } } }";
const CONFIRM: &str = "mutation($input: ConfirmTotpInput!) { confirmTotp(input: $input) { __typename \
     ... on ConfirmTotpSuccess { recoveryCodes } ... on UserError { code } } }";
const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) { __typename \
     ... on SecondFactorRequired { challengeId } ... on UserError { code } } }";
const COMPLETE: &str = "mutation($input: CompleteSignInInput!) { completeSignIn(input: $input) { __typename \
     ... on SessionSuccess { session { accessToken refreshToken } user { id email } } ... on UserError { code } } }";
const RESET: &str = "mutation($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { __typename } }";
const TASK: &str = "mutation { requestSignUpChallenge { __typename \
     ... on RequestSignUpChallengeSuccess { challenge bits } ... on UserError { code } } }";

/// The code that an app with this secret shows now.
fn code(secret: &str) -> anyhow::Result<String> {
    let step = berth_tests::now_secs() / 30;
    let mut mac = Hmac::<Sha1>::new_from_slice(&BASE32_NOPAD.decode(secret.as_bytes())?)?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] % 16);
    let number = digest[at..at + 4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    Ok(format!("{:06}", number % 1_000_000))
}

async fn a_second_factor_guards_the_password(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "careful").await?;
    let enrolled = person.client.query(ENROL, json!({})).await?;
    let secret = enrolled["enrolTotp"]["secret"].as_str().context("no secret")?;
    let confirmed = person.client.mutate(CONFIRM, json!({ "code": code(secret)? })).await?.done()?;
    let asked = client.query(SIGN_IN, json!({ "input": { "email": person.email, "password": PASSWORD } })).await?;
    ensure!(asked["signIn"]["__typename"] == "SecondFactorRequired", "{asked}");
    let input = |code: &Value| json!({ "challengeId": asked["signIn"]["challengeId"], "code": code });
    ensure!(client.mutate(COMPLETE, input(&json!("AAAAA-AAAAA"))).await?.refused()?.code == "SECOND_FACTOR_INVALID");
    let opened = client.mutate(COMPLETE, input(&confirmed["recoveryCodes"][0])).await?.done()?;
    ensure!(opened["user"]["email"] == person.email.as_str(), "{opened}");
    let me = person.client.query("{ me { secondFactor { totpEnabled recoveryCodesLeft } passkeys { id } } }", json!({})).await?;
    ensure!(me["me"]["secondFactor"] == json!({ "totpEnabled": true, "recoveryCodesLeft": 9 }), "{me}");
    berth.assert_alive()
}

/// Asks for a link as a client that writes this `X-Forwarded-For`; answers the type of the outcome.
async fn ask_for_link(client: &Client, forwarded: &str, number: usize) -> anyhow::Result<String> {
    let input = json!({ "input": { "email": format!("nobody{number}@example.org") } });
    let request =
        client.request(Method::POST, "/graphql").header("x-forwarded-for", forwarded).header("x-berth-client", "9.9.9.9");
    let answer: Value = request.json(&json!({ "query": RESET, "variables": input })).send().await?.json().await?;
    let outcome = answer["data"]["requestPasswordReset"]["__typename"].as_str().map(str::to_owned);
    outcome.with_context(|| answer.to_string())
}

async fn clients_are_told_apart_behind_a_proxy(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_TRUSTED_PROXIES", "1").start().await?;
    let client = berth.client()?;
    for number in 0..20 {
        let forwarded = format!("198.51.100.{number}, 203.0.113.9");
        ensure!(ask_for_link(&client, &forwarded, number).await? == "RequestPasswordResetSuccess", "{number}");
    }
    ensure!(
        ask_for_link(&client, "198.51.100.77, 203.0.113.9", 20).await? == "RateLimitedError",
        "it wrote itself a new address"
    );
    ensure!(ask_for_link(&client, "203.0.113.9, 203.0.113.10", 21).await? == "RequestPasswordResetSuccess", "another client");
    berth.assert_alive()
}

async fn a_sign_up_costs_work(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_SIGN_UP_WORK", "10").start().await?;
    let client = berth.client()?;
    let input = |work: Value| json!({ "email": "worker@example.org", "password": PASSWORD, "work": work });
    ensure!(client.mutate(documents::SIGN_UP, input(Value::Null)).await?.refused()?.code == "WORK_REQUIRED");
    let task = client.query(TASK, json!({})).await?["requestSignUpChallenge"].take();
    ensure!(task["bits"] == 10, "{task}");
    let challenge = task["challenge"].as_str().context("no challenge")?;
    let is_done = |nonce: &String| {
        let digest = Sha256::digest(format!("{challenge}:{nonce}"));
        digest[0] == 0 && digest[1] < 64
    };
    let nonce = (0..u64::MAX).map(|number| number.to_string()).find(is_done).context("endless")?;
    let work = json!({ "challenge": challenge, "nonce": nonce });
    client.mutate(documents::SIGN_UP, input(work.clone())).await?.done()?;
    ensure!(client.mutate(documents::SIGN_UP, input(work)).await?.refused()?.code == "WORK_REQUIRED", "work counts twice");
    berth.assert_alive()
}

/// Thirty sign-ins in one request; how many were refused as too many.
async fn thirty_sign_ins(client: &Client, email: &str) -> anyhow::Result<usize> {
    let field = format!("signIn(input: {{ email: \"{email}\", password: \"wrong password\" }}) {{ __typename }}");
    let mut limited = 0;
    for half in 0..2 {
        let fields: Vec<String> = (0..15).map(|alias| format!("a{half}x{alias}: {field}")).collect();
        let data = client.query(&format!("mutation {{ {} }}", fields.join(" ")), json!({})).await?;
        let outcomes = data.as_object().context("no object")?.values();
        limited += outcomes.filter(|outcome| outcome["__typename"] == "RateLimitedError").count();
    }
    Ok(limited)
}

async fn limits_hold_without_redis(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "attacked").await?;
    ensure!((5..=10).contains(&thirty_sign_ins(&client, "nobody@example.org").await?));
    if arm == Arm::Fleet {
        berth.redis()?.kill()?;
    }
    let begun = Instant::now();
    ensure!(thirty_sign_ins(&client, "nobody@example.org").await? >= 20, "the limit is gone with Redis");
    ensure!((5..=10).contains(&thirty_sign_ins(&client, "another@example.org").await?), "no limit without Redis");
    Person::sign_in(&client, &person.email).await?;
    ensure!(begun.elapsed() < Duration::from_secs(20), "Redis was waited for: {:?}", begun.elapsed());
    berth.assert_alive()
}
