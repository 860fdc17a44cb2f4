use berth_kernel::{db::sql, mail::Letter};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Person, RESEND, SIGN_UP, World, other_code};

fn code_of(result: &Value) -> &str {
    result["code"].as_str().unwrap_or_else(|| panic!("no refusal: {result}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_passwords_are_checked() {
    let world = World::new().await;
    for (email, password, field) in [
        ("siti", PASSWORD, "email"),
        ("siti@example.com\r\nBcc: everybody@example.com", PASSWORD, "email"),
        ("siti@example.com,budi@example.com", PASSWORD, "email"),
        ("siti@example.com", "1234567", "password"),
        ("siti@example.com", &"x".repeat(129), "password"),
    ] {
        let refused = world.result(None, SIGN_UP, json!({ "email": email, "password": password })).await;
        assert_eq!((code_of(&refused), &refused["path"]), ("INVALID_INPUT", &json!(["input", field])));
    }
    assert!(world.letters("siti@example.com").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_can_not_be_asked_for() {
    let world = World::new().await;
    let input = json!({ "email": "siti@example.com", "password": PASSWORD, "role": "ADMIN" });
    let response = world.respond(None, SIGN_UP, json!({ "input": input })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{response}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_codes_lock_the_flow_until_a_new_code() {
    let world = World::new().await;
    let flow_id = world.start_sign_up("siti@example.com").await;
    let code = world.code("siti@example.com").await;
    for left in [4, 3, 2, 1, 0] {
        let refused = world.verify(&flow_id, other_code(&code)).await;
        assert_eq!((code_of(&refused), refused["attemptsLeft"].as_i64()), ("OTP_INVALID", Some(left)));
    }
    assert_eq!(code_of(&world.verify(&flow_id, &code).await), "OTP_LOCKED", "even the right code");

    let early = world.result(None, RESEND, json!({ "flowId": flow_id })).await;
    assert_eq!(code_of(&early), "RATE_LIMITED");
    let wait = early["retryAfterMs"].as_i64().expect("a number");
    assert!((1..=60_000).contains(&wait), "{wait}");

    world.clock.advance(TimeDelta::milliseconds(wait));
    let resent = world.result(None, RESEND, json!({ "flowId": flow_id })).await;
    assert_eq!(resent["__typename"], "ResendOtpSuccess", "{resent}");
    let newest = world.code("siti@example.com").await;
    if newest != code {
        assert_eq!(code_of(&world.verify(&flow_id, &code).await), "OTP_INVALID", "only the newest code counts");
    }
    Person::of(&world.verify(&flow_id, &newest).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_lives_ten_minutes_and_works_once() {
    let world = World::new().await;
    let flow_id = world.start_sign_up("siti@example.com").await;
    let code = world.code("siti@example.com").await;
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(code_of(&world.verify(&flow_id, &code).await), "OTP_EXPIRED");

    world.result(None, RESEND, json!({ "flowId": flow_id })).await;
    let code = world.code("siti@example.com").await;
    world.clock.advance(TimeDelta::milliseconds(9 * 60_000 + 55_000));
    Person::of(&world.verify(&flow_id, &code).await);
    assert_eq!(code_of(&world.verify(&flow_id, &code).await), "OTP_INVALID", "used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_bound_to_its_flow() {
    let world = World::new().await;
    let (siti, budi) = (world.start_sign_up("siti@example.com").await, world.start_sign_up("budi@example.com").await);
    let of_siti = world.code("siti@example.com").await;
    if of_siti != world.code("budi@example.com").await {
        assert_eq!(code_of(&world.verify(&budi, &of_siti).await), "OTP_INVALID");
    }
    Person::of(&world.verify(&siti, &of_siti).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_flow_is_like_a_wrong_code() {
    let world = World::new().await;
    let flow_id = world.start_sign_up("siti@example.com").await;
    let code = world.code("siti@example.com").await;
    let wrong = world.verify(&flow_id, other_code(&code)).await;
    let made_up = berth_contracts::Kind::Flow.encode(world.clock.new_key());
    for unknown in ["flow_x", "", "booking_00000000000000000000000000", made_up.as_str()] {
        assert_eq!(world.verify(unknown, "123456").await, wrong);
        assert_eq!(code_of(&world.result(None, RESEND, json!({ "flowId": unknown })).await), "NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sign_up_replaces_the_first_and_its_letter_waits() {
    let world = World::new().await;
    let first = world.start_sign_up("siti@example.com").await;
    let first_code = world.code("siti@example.com").await;
    world.clock.advance(TimeDelta::seconds(10));
    let second = world.start_sign_up("siti@example.com").await;
    assert_eq!(world.letters("siti@example.com").await.len(), 1, "60 seconds between letters");
    assert_eq!(code_of(&world.verify(&first, &first_code).await), "OTP_INVALID");
    world.clock.advance(TimeDelta::seconds(51));
    assert_eq!(world.letters("siti@example.com").await.len(), 2);
    let code = world.code("siti@example.com").await;
    Person::of(&world.verify(&second, &code).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_waits_is_replaced_by_a_newer_one() {
    let world = World::new().await;
    world.start_sign_up("siti@example.com").await;
    assert_eq!(world.letters("siti@example.com").await.len(), 1);
    world.start_sign_up("siti@example.com").await;
    let newest = world.start_sign_up("siti@example.com").await;
    world.clock.advance(TimeDelta::seconds(61));
    assert_eq!(world.letters("siti@example.com").await.len(), 2, "one letter for the two");
    let code = world.code("siti@example.com").await;
    Person::of(&world.verify(&newest, &code).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_address_gets_the_same_answer_and_keeps_its_password() {
    let world = World::new().await;
    let owner = world.person("siti@example.com").await;
    let known = world.result(None, SIGN_UP, json!({ "email": "siti@example.com", "password": "attacker's password" })).await;
    let unknown = world.result(None, SIGN_UP, json!({ "email": "nobody@example.com", "password": "attacker's password" })).await;
    assert_eq!(shape(&known), shape(&unknown));

    let Letter { subject, text, html, .. } = world.letters("siti@example.com").await.remove(0).letter;
    assert_eq!(subject, "You already have a Berth account");
    assert_eq!((crate::world::six_digits(&text), crate::world::six_digits(&html)), (None, None));

    let decoy = known["flowId"].as_str().expect("a text");
    let real = unknown["flowId"].as_str().expect("a text");
    for _ in 0..6 {
        let wrong = other_code(&world.code("nobody@example.com").await);
        assert_eq!(world.verify(decoy, wrong).await, world.verify(real, wrong).await);
    }
    world.clock.advance(TimeDelta::seconds(61));
    let (of_decoy, of_real) = (
        world.result(None, RESEND, json!({ "flowId": decoy })).await,
        world.result(None, RESEND, json!({ "flowId": real })).await,
    );
    assert_eq!(shape(&of_decoy), shape(&of_real));
    assert_eq!(Person::of(&world.sign_in("siti@example.com", PASSWORD).await).id, owner.id);
    assert_eq!(code_of(&world.sign_in("siti@example.com", "attacker's password").await), "CREDENTIALS_INVALID");
}

/// An answer without what differs between any two sign-ups.
fn shape(result: &Value) -> Vec<(String, usize)> {
    let object = result.as_object().expect("an object");
    object
        .iter()
        .map(|(name, value)| {
            (format!("{name}:{}", if name == "__typename" { value.to_string() } else { String::new() }), value.to_string().len())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_planted_before_the_owner_signs_up_is_worth_nothing() {
    let world = World::new().await;
    world.result(None, SIGN_UP, json!({ "email": "siti@example.com", "password": "attacker's password" })).await;
    world.clock.advance(TimeDelta::seconds(61));
    world.person("siti@example.com").await;
    assert_eq!(code_of(&world.sign_in("siti@example.com", "attacker's password").await), "CREDENTIALS_INVALID");
    Person::of(&world.sign_in("siti@example.com", PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_racing_verifications_one_makes_the_account() {
    let world = World::new().await;
    let flow_id = world.start_sign_up("siti@example.com").await;
    let code = world.code("siti@example.com").await;
    let racing = (0..8).map(|_| world.verify(&flow_id, &code));
    let answers = futures_util::future::join_all(racing).await;
    let won = answers.iter().filter(|answer| answer["__typename"] == "SessionSuccess").count();
    assert_eq!(won, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer["__typename"] == "SessionSuccess" || answer["code"] == "OTP_INVALID"));
    assert_eq!(count(&world, "account").await, 1);
    assert_eq!(count(&world, "session").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_wrong_codes_are_all_counted() {
    let world = World::new().await;
    let flow_id = world.start_sign_up("siti@example.com").await;
    let code = world.code("siti@example.com").await;
    let racing = (0..8).map(|_| world.verify(&flow_id, other_code(&code)));
    let answers = futures_util::future::join_all(racing).await;
    let invalid = answers.iter().filter(|answer| answer["code"] == "OTP_INVALID").count();
    assert_eq!((invalid, answers.len() - invalid), (5, 3), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_forgotten() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    world.start_sign_up("budi@example.com").await;
    world.clock.advance(TimeDelta::hours(25));
    world.user.forget_ended().await.expect("forgets");
    assert_eq!((count(&world, "sign_up").await, count(&world, "session").await), (0, 1));
    world.clock.advance(TimeDelta::days(30));
    world.user.forget_ended().await.expect("forgets");
    assert_eq!(count(&world, "session").await, 1, "kept for a while to tell its end");
    assert_eq!(code_of(&world.refresh(&person.refresh).await), "SESSION_EXPIRED");
    world.clock.advance(TimeDelta::days(8));
    world.user.forget_ended().await.expect("forgets");
    assert_eq!((count(&world, "session").await, count(&world, "refresh_token").await, count(&world, "account").await), (0, 0, 1));
    assert_eq!(code_of(&world.refresh(&person.refresh).await), "SESSION_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expiry_that_is_told_is_the_one_that_holds() {
    let world = World::new().await;
    let result = world.result(None, SIGN_UP, json!({ "email": "siti@example.com", "password": PASSWORD })).await;
    let told: DateTime<Utc> = result["expiresAt"].as_str().expect("a text").parse().expect("a time");
    let left = told - world.clock.now();
    assert!(left <= TimeDelta::minutes(10) && left > TimeDelta::minutes(9), "{left}");
}

async fn count(world: &World, table: &str) -> i64 {
    let statement = sql(world.db.read(), &format!("SELECT COUNT(*) AS n FROM {table}"), []);
    let row = world.db.read().query_one_raw(statement).await.expect("reads").expect("a row");
    row.try_get("", "n").expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_tried_first_are_refused() {
    let world = World::new().await;
    for weak in
        ["password123", "qwertyuiop", "sunshine1998", "siti.rahayu@example.com", "Rahayu2024", "aaaaaaaaaaaaaaaa", "bismillah99"]
    {
        let refused = world.result(None, SIGN_UP, json!({ "email": "siti.rahayu@example.com", "password": weak })).await;
        assert_eq!(refused["code"], "INVALID_INPUT", "{weak}: {refused}");
        assert_eq!(refused["path"], json!(["input", "password"]));
        assert!(refused["message"].as_str().is_some_and(|why| why.contains("guess") || why.contains("tried first")), "{refused}");
    }
    assert!(world.letters("siti.rahayu@example.com").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_in_the_language_that_the_request_likes_best() {
    let world = World::new().await;
    for (number, (header, locale, lang)) in [
        ("id-ID,id;q=0.9,en;q=0.8", json!(null), "id"),
        ("de, en;q=0.4", json!(null), "en"),
        ("de, fr;q=0.4", json!(null), "en"),
        ("id", json!("EN"), "en"),
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("reader{number}@example.com");
        let input = json!({ "input": { "email": email, "password": PASSWORD, "locale": locale } });
        let answer = world.respond_with("accept-language", header, SIGN_UP, input).await;
        let flow = answer["data"]["r"]["flowId"].as_str().expect("a flow").to_owned();
        let html = world.letters(&email).await.remove(0).letter.html;
        assert!(html.contains(&format!("lang=\"{lang}\"")), "{header}: {html}");
        let person = Person::of(&world.verify(&flow, &world.code(&email).await).await);
        let settings = world.data(Some(&person.access), "{ me { settings { locale } } }", json!({})).await;
        assert_eq!(settings["me"]["settings"]["locale"], lang.to_uppercase(), "{header}: it stays");
    }
}
