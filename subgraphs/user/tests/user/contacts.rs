//! Another e-mail address or phone number: proved at both ends.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Person, World, other_code, six_digits};

const EMAIL: &str = "mutation($input: RequestEmailChangeInput!) { r: requestEmailChange(input: $input) { __typename \
     ... on RequestContactChangeSuccess { changeId expiresAt } ... on UserError { code path } ... on RateLimitedError { retryAfterMs } } }";
const PHONE: &str = "mutation($input: RequestPhoneChangeInput!) { r: requestPhoneChange(input: $input) { __typename \
     ... on RequestContactChangeSuccess { changeId expiresAt } ... on UserError { code path } } }";
const CONFIRM: &str = "mutation($input: ConfirmContactChangeInput!) { r: confirmContactChange(input: $input) { __typename \
     ... on ConfirmContactChangeSuccess { user { id email phone } } ... on UserError { code path } ... on OtpInvalidError { attemptsLeft } } }";
const STOP: &str = "mutation($input: StopContactChangeInput!) { r: stopContactChange(input: $input) { __typename \
     ... on StopContactChangeSuccess { stopped } ... on UserError { code path } } }";
const OLD: &str = "siti@example.com";
const NEW: &str = "siti.new@example.com";
const NUMBER: &str = "+6281234567890";

async fn ask(world: &World, person: &Person, new: &str) -> Value {
    world.result(Some(&person.access), EMAIL, json!({ "password": PASSWORD, "newEmail": new })).await
}

async fn asked(world: &World, person: &Person, new: &str) -> String {
    ask(world, person, new).await["changeId"].as_str().expect("a change").to_owned()
}

async fn confirm(world: &World, person: &Person, change: &str, new: &str, old: &str) -> Value {
    world.result(Some(&person.access), CONFIRM, json!({ "changeId": change, "newCode": new, "oldCode": old })).await
}

async fn link(world: &World, to: &str) -> String {
    let text = world.letters(to).await[0].letter.text.clone();
    let word = text.split_whitespace().find(|word| word.contains("/stop-change#token=")).expect("a link").to_owned();
    word.split_once("#token=").expect("a token").1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_codes_move_an_account_to_another_address() {
    let world = World::new().await;
    let siti = world.person(OLD).await;
    let change = asked(&world, &siti, " Siti.New@Example.com ").await;
    let (new, old) = (world.code(NEW).await, world.code(OLD).await);
    for (n, o, left) in
        [(other_code(&new), old.as_str(), 4), (new.as_str(), other_code(&old), 3), (old.as_str(), new.as_str(), 2)]
    {
        let refused = confirm(&world, &siti, &change, n, o).await;
        assert_eq!((&refused["code"], &refused["attemptsLeft"]), (&json!("OTP_INVALID"), &json!(left)));
    }
    let done = confirm(&world, &siti, &change, &new, &old).await;
    assert_eq!(done["user"], json!({ "id": siti.id, "email": NEW, "phone": null }));
    assert_eq!(world.letters(OLD).await[0].letter.subject, "The address of your Berth account was changed");
    assert_eq!(world.sign_in(OLD, PASSWORD).await["code"], "CREDENTIALS_INVALID");
    assert_eq!(world.sign_in(NEW, PASSWORD).await["user"]["id"], siti.id);
    assert_eq!(confirm(&world, &siti, &change, &new, &old).await["code"], "NOT_FOUND", "once");
    assert_ne!(world.person(OLD).await.id, siti.id, "the old address is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_address_can_stop_it() {
    let world = World::new().await;
    let siti = world.person(OLD).await;
    let change = asked(&world, &siti, NEW).await;
    let (new, old, token) = (world.code(NEW).await, world.code(OLD).await, link(&world, OLD).await);
    assert_eq!(world.result(None, STOP, json!({ "token": "made up" })).await["code"], "RESET_TOKEN_INVALID");
    assert_eq!(world.result(None, STOP, json!({ "token": token })).await["stopped"], true);
    assert_eq!(world.result(None, STOP, json!({ "token": token })).await["code"], "RESET_TOKEN_INVALID");
    assert_eq!(confirm(&world, &siti, &change, &new, &old).await["code"], "NOT_FOUND");
    assert_eq!(world.refresh(&siti.refresh).await["code"], "SESSION_REVOKED", "who asked knew the password");
    assert_eq!(world.sign_in(OLD, PASSWORD).await["user"]["id"], siti.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_somebody_else_looks_like_any_other() {
    let world = World::new().await;
    let (siti, budi) = (world.person(OLD).await, world.person("budi@example.com").await);
    let change = asked(&world, &siti, "budi@example.com").await;
    assert_eq!(world.letters("budi@example.com").await[0].letter.subject, "You already have a Berth account");
    let old = world.code(OLD).await;
    assert_eq!(confirm(&world, &siti, &change, "123456", &old).await["code"], "OTP_INVALID");
    assert_eq!(world.sign_in("budi@example.com", PASSWORD).await["user"]["id"], budi.id);
    // Free when it was asked for, taken when it is confirmed.
    world.clock.advance(TimeDelta::seconds(61));
    let change = asked(&world, &siti, NEW).await;
    let (new, old) = (world.code(NEW).await, world.code(OLD).await);
    world.person(NEW).await;
    assert_eq!(confirm(&world, &siti, &change, &new, &old).await["code"], "OTP_INVALID");
    let foreign = confirm(&world, &budi, &change, &new, &old).await;
    assert_eq!((&foreign["code"], &foreign["path"]), (&json!("NOT_FOUND"), &json!(["input", "changeId"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_are_proved_paused_and_end() {
    let world = World::new().await;
    let siti = world.person(OLD).await;
    let wrong = world.result(Some(&siti.access), EMAIL, json!({ "password": "not hers", "newEmail": NEW })).await;
    assert_eq!(wrong["code"], "CREDENTIALS_INVALID");
    let bad = ask(&world, &siti, "siti@example.com\r\nBcc: all@example.com").await;
    assert_eq!((&bad["code"], &bad["path"]), (&json!("INVALID_INPUT"), &json!(["input", "newEmail"])));
    let change = asked(&world, &siti, NEW).await;
    assert_eq!(ask(&world, &siti, "another@example.com").await["code"], "RATE_LIMITED");
    let (new, old) = (world.code(NEW).await, world.code(OLD).await);
    for _ in 0..5 {
        assert_eq!(confirm(&world, &siti, &change, other_code(&new), &old).await["code"], "OTP_INVALID");
    }
    assert_eq!(confirm(&world, &siti, &change, &new, &old).await["code"], "OTP_LOCKED");
    world.clock.advance(TimeDelta::seconds(61));
    let change = asked(&world, &siti, NEW).await;
    let (new, old) = (world.code(NEW).await, world.code(OLD).await);
    world.clock.advance(TimeDelta::minutes(10));
    let siti = Person::of(&world.sign_in(OLD, PASSWORD).await);
    assert_eq!(confirm(&world, &siti, &change, &new, &old).await["code"], "OTP_EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_number_is_added_and_changed() {
    let world = World::new().await;
    let siti = world.person(OLD).await;
    let ask = async |number: &str| {
        let asked = world.result(Some(&siti.access), PHONE, json!({ "password": PASSWORD, "newPhone": number })).await;
        asked["changeId"].as_str().expect("a change").to_owned()
    };
    let code = async |number: &str| six_digits(&world.texts(number).await[0].message.text).expect("a code");
    let change = ask(NUMBER).await;
    let done = confirm(&world, &siti, &change, &code(NUMBER).await, &world.code(OLD).await).await;
    assert_eq!(
        done["user"],
        json!({ "id": siti.id, "email": OLD, "phone": NUMBER }),
        "the e-mail address proved the first number"
    );
    assert_eq!(world.sign_in(NUMBER, PASSWORD).await["user"]["id"], siti.id);
    world.clock.advance(TimeDelta::seconds(61));
    let change = ask("+6281234567891").await;
    let done = confirm(&world, &siti, &change, &code("+6281234567891").await, &code(NUMBER).await).await;
    assert_eq!(done["user"]["phone"], "+6281234567891");
    assert_eq!(world.sign_in(NUMBER, PASSWORD).await["code"], "CREDENTIALS_INVALID");
    assert!(world.texts(NUMBER).await[0].message.text.contains("was changed"));
}
