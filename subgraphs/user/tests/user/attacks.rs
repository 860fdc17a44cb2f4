use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Person, SIGN_IN, World, other_code};

fn aliases(count: usize, field: &str) -> String {
    let fields: Vec<String> = (0..count).map(|alias| format!("a{alias}: {field}")).collect();
    format!("mutation {{ {} }}", fields.join(" "))
}

fn codes(data: &Value) -> Vec<String> {
    let object = data.as_object().expect("an object");
    object.values().map(|result| result["code"].as_str().unwrap_or("none").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_aliases_are_thirty_tries() {
    let world = World::new().await;
    let flow_id = world.start_sign_up("siti@example.com").await;
    let code = world.code("siti@example.com").await;
    let wrong = other_code(&code);
    let field = format!("verifyOtp(input: {{ flowId: \"{flow_id}\", code: \"{wrong}\" }}) {{ ... on UserError {{ code }} }}");
    let found = codes(&world.data(None, &aliases(30, &field), json!({})).await);
    let invalid = found.iter().filter(|code| *code == "OTP_INVALID").count();
    let locked = found.iter().filter(|code| *code == "OTP_LOCKED").count();
    let limited = found.iter().filter(|code| *code == "RATE_LIMITED").count();
    assert_eq!((invalid, locked, limited), (5, 5, 20));
    assert_eq!(world.verify(&flow_id, &code).await["code"], "RATE_LIMITED", "even with the right code");
    world.clock.advance(TimeDelta::seconds(31));
    assert_eq!(world.verify(&flow_id, &code).await["code"], "OTP_LOCKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_aliased_sign_ins_are_throttled() {
    let world = World::new().await;
    world.person("siti@example.com").await;
    for email in ["siti@example.com", "nobody@example.com"] {
        let field =
            format!("signIn(input: {{ email: \"{email}\", password: \"wrong password\" }}) {{ ... on UserError {{ code }} }}");
        let found = codes(&world.data(None, &aliases(30, &field), json!({})).await);
        let invalid = found.iter().filter(|code| *code == "CREDENTIALS_INVALID").count();
        let limited = found.iter().filter(|code| *code == "RATE_LIMITED").count();
        assert_eq!(invalid + limited, 30);
        assert!((20..=21).contains(&invalid), "{invalid}");
    }
    let limited = world.sign_in("siti@example.com", PASSWORD).await;
    assert_eq!(limited["code"], "RATE_LIMITED", "even with the right password");
    world.clock.advance(TimeDelta::milliseconds(limited["retryAfterMs"].as_i64().expect("a number")));
    Person::of(&world.sign_in("siti@example.com", PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_aliased_sign_ups_send_one_letter() {
    let world = World::new().await;
    let field = format!(
        "signUp(input: {{ email: \"siti@example.com\", password: \"{PASSWORD}\" }}) {{ __typename ... on UserError {{ code }} }}"
    );
    let found = codes(&world.data(None, &aliases(30, &field), json!({})).await);
    assert_eq!(found.iter().filter(|code| *code == "RATE_LIMITED").count(), 25);
    assert_eq!(world.letters("siti@example.com").await.len(), 1);
    world.clock.advance(TimeDelta::seconds(61));
    assert!(world.letters("siti@example.com").await.len() <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_address_look_alike() {
    let world = World::new().await;
    world.person("siti@example.com").await;
    world.start_sign_up("unproved@example.com").await;
    let ask = |email: &str| world.respond(None, SIGN_IN, json!({ "input": { "email": email, "password": "wrong password" } }));
    let wrong = ask("siti@example.com").await;
    assert_eq!(wrong["data"]["r"]["code"], "CREDENTIALS_INVALID");
    for email in ["nobody@example.com", "unproved@example.com", "no address at all", ""] {
        assert_eq!(ask(email).await, wrong);
    }
    let unproved = json!({ "input": { "email": "unproved@example.com", "password": PASSWORD } });
    assert_eq!(world.respond(None, SIGN_IN, unproved).await, wrong, "no account before the address is proved");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_addresses_cost_as_much_as_known_ones() {
    let world = World::with(berth_user::UserConfig::default()).await;
    world.person("siti@example.com").await;
    let mut known = std::time::Duration::ZERO;
    let mut unknown = std::time::Duration::ZERO;
    for round in 0..8 {
        let begun = std::time::Instant::now();
        world.sign_in("siti@example.com", "wrong password").await;
        known += begun.elapsed();
        let begun = std::time::Instant::now();
        world.sign_in(&format!("nobody{round}@example.com"), "wrong password").await;
        unknown += begun.elapsed();
    }
    // Without the decoy the second is a hundred times faster; the bound leaves room for a busy machine.
    assert!(unknown * 3 > known, "known {known:?}, unknown {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_can_not_end_another_persons() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    world.data(Some(&budi.access), "mutation { signOut { __typename } }", json!({})).await;
    Person::of(&world.refresh(&siti.refresh).await);
    assert_eq!(world.refresh(&budi.refresh).await["code"], "SESSION_REVOKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genuine_token_of_another_database_opens_nothing() {
    let (here, there) = (World::new().await, World::new().await);
    let person = there.person("siti@example.com").await;
    let response = here.respond(Some(&person.access), "{ me { id } }", json!({})).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "TOKEN_EXPIRED", "its key may have been ours, and is gone");
    assert!(response["data"]["me"].is_null());
}
