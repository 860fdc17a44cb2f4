//! Nobody's letter box is filled by others: what anybody can make us send to an address is counted by the address, whoever asks and
//! from wherever.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World};

const RESET: &str = "mutation($input: RequestPasswordResetInput!) { r: requestPasswordReset(input: $input) { __typename \
     ... on UserError { code } ... on RateLimitedError { retryAfterMs } } }";
const PHONE: &str = "mutation($input: RequestPhoneChangeInput!) { r: requestPhoneChange(input: $input) { __typename \
     ... on UserError { code } ... on RateLimitedError { retryAfterMs } } }";
const VICTIM: &str = "siti@example.com";
const NUMBER: &str = "+6281234567890";

/// One every minute for half an hour, each from another network: how many were taken, and the last answer.
async fn links(world: &World, address: &str) -> (usize, Value) {
    let (mut taken, mut last) = (0, Value::Null);
    for number in 0..30 {
        world.clock.advance(TimeDelta::seconds(61));
        let client = format!("203.0.113.{number}");
        last = world.respond_to(&client, RESET, json!({ "input": { "email": address } })).await["data"]["r"].clone();
        taken += usize::from(last["__typename"] == "RequestPasswordResetSuccess");
    }
    (taken, last)
}

#[tokio::test(flavor = "multi_thread")]
async fn links_for_new_passwords_are_few_a_day() {
    let world = World::new().await;
    world.person(VICTIM).await;
    let (taken, last) = links(&world, VICTIM).await;
    assert_eq!((taken, &last["code"]), (20, &json!("RATE_LIMITED")));
    let wait_ms = last["retryAfterMs"].as_u64().or_else(|| last["retryAfterMs"].as_str()?.parse().ok()).expect("a time");
    assert!((1..=4_320_000).contains(&wait_ms), "{last}");
    assert_eq!(links(&world, "nobody@example.com").await.0, 20, "the same for an address that nobody has");
    world.clock.advance(TimeDelta::minutes(73));
    let later = world.respond_to("198.51.100.1", RESET, json!({ "input": { "email": VICTIM } })).await;
    assert_eq!(later["data"]["r"]["__typename"], "RequestPasswordResetSuccess");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_accounts_send_few_codes_to_one_number() {
    let world = World::new().await;
    let mut outcomes = Vec::new();
    for number in 0..22 {
        let person = world.person(&format!("attacker{number}@example.com")).await;
        world.clock.advance(TimeDelta::seconds(61));
        let input = json!({ "password": PASSWORD, "newPhone": NUMBER });
        outcomes.push(world.result(Some(&person.access), PHONE, input).await);
    }
    let taken = outcomes.iter().filter(|outcome| outcome["__typename"] == "RequestContactChangeSuccess").count();
    assert_eq!(taken, 20, "{outcomes:?}");
    assert_eq!(outcomes[21]["code"], "RATE_LIMITED", "{outcomes:?}");
}
