use berth_kernel::mail::Caught;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Person, SIGN_IN, World};

const NEW: &str = "a much newer password";
const CHANGE: &str = "mutation($input: ChangePasswordInput!) { r: changePassword(input: $input) { __typename \
     ... on ChangePasswordSuccess { user { email } } ... on UserError { code path } } }";
const REQUEST: &str = "mutation($input: RequestPasswordResetInput!) { r: requestPasswordReset(input: $input) { __typename \
     ... on RequestPasswordResetSuccess { accepted } ... on UserError { code path } } }";
const RESET: &str = "mutation($input: ResetPasswordInput!) { r: resetPassword(input: $input) { __typename \
     ... on ResetPasswordSuccess { reset } ... on UserError { code path } } }";
const REVOKE: &str = "mutation($input: RevokeSessionInput!) { r: revokeSession(input: $input) { __typename \
     ... on RevokeSessionSuccess { revokedId } ... on UserError { code path } } }";
const SESSIONS: &str = "query($first: Int, $after: String) { me { sessions(first: $first, after: $after) { \
     nodes { id device current createdAt lastSeenAt expiresAt } pageInfo { hasNextPage endCursor } } } }";

async fn change(world: &World, person: &Person, current: &str, new: &str) -> Value {
    world.result(Some(&person.access), CHANGE, json!({ "currentPassword": current, "newPassword": new })).await
}

async fn request(world: &World, email: &str) -> Value {
    world.result(None, REQUEST, json!({ "email": email })).await
}

async fn reset(world: &World, token: &str, new: &str) -> Value {
    world.result(None, RESET, json!({ "token": token, "newPassword": new })).await
}

async fn sessions(world: &World, person: &Person) -> Vec<Value> {
    let data = world.data(Some(&person.access), SESSIONS, json!({})).await;
    data["me"]["sessions"]["nodes"].as_array().expect("a list").clone()
}

async fn sign_in_on(world: &World, device: &str) -> Person {
    let input = json!({ "email": "siti@example.com", "password": PASSWORD, "device": device });
    Person::of(&world.result(None, SIGN_IN, input).await)
}

/// Letters with links, newest first: the link is mailed after the answer.
async fn links(world: &World, count: usize) -> Vec<String> {
    let of = |caught: &Caught| {
        caught.letter.text.split("#token=").nth(1).map(|rest| rest.split_whitespace().next().unwrap().to_owned())
    };
    for _ in 0..200 {
        let found: Vec<String> = world.letters("siti@example.com").await.iter().filter_map(of).collect();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("no {count} letters with links");
}

fn code(result: &Value) -> Option<&str> {
    result["code"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_newest_first_and_ended_one_by_one() {
    let world = World::new().await;
    let first = world.person("siti@example.com").await;
    let phone = sign_in_on(&world, " Siti's\nphone ").await;
    let stranger = world.person("budi@example.com").await;
    world.clock.advance(TimeDelta::minutes(5));
    let phone = Person::of(&world.refresh(&phone.refresh).await);
    let listed = sessions(&world, &phone).await;
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["device"], &listed[0]["current"]), (&json!("Siti's phone"), &json!(true)));
    assert_eq!((&listed[1]["device"], &listed[1]["current"]), (&json!(null), &json!(false)));
    assert!(listed[0]["lastSeenAt"].as_str() > listed[0]["createdAt"].as_str(), "{listed:?}");

    let revoke = |person: &Person, id: &Value| {
        let (access, input) = (person.access.clone(), json!({ "sessionId": id }));
        let world = &world;
        async move { world.result(Some(&access), REVOKE, input).await }
    };
    let oldest = &listed[1]["id"];
    for unknown in [json!("session_x"), json!(""), json!(phone.id), oldest.clone()] {
        assert_eq!(code(&revoke(&stranger, &unknown).await), Some("NOT_FOUND"), "{unknown}");
    }
    assert_eq!(revoke(&phone, oldest).await["revokedId"], *oldest);
    assert_eq!(revoke(&phone, oldest).await["revokedId"], *oldest);
    assert_eq!(code(&world.refresh(&first.refresh).await), Some("SESSION_REVOKED"));
    assert_eq!(sessions(&world, &phone).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_sessions_has_pages() {
    let world = World::new().await;
    world.person("siti@example.com").await;
    let last = sign_in_on(&world, "second").await;
    let page = world.data(Some(&last.access), SESSIONS, json!({ "first": 1 })).await["me"]["sessions"].take();
    assert_eq!((&page["nodes"][0]["device"], &page["pageInfo"]["hasNextPage"]), (&json!("second"), &json!(true)));
    let after = json!({ "first": 5, "after": page["pageInfo"]["endCursor"] });
    let rest = world.data(Some(&last.access), SESSIONS, after).await["me"]["sessions"].take();
    assert_eq!((rest["nodes"].as_array().map(Vec::len), &rest["pageInfo"]["hasNextPage"]), (Some(1), &json!(false)));
    let wrong = world.respond(Some(&last.access), SESSIONS, json!({ "after": "x" })).await;
    assert_eq!(wrong["errors"][0]["extensions"]["code"], "INVALID_CURSOR");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_all_of_ones_own() {
    let world = World::new().await;
    let (first, stranger) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let second = sign_in_on(&world, "second").await;
    let query = "mutation { r: signOutEverywhere { __typename ... on SignOutEverywhereSuccess { ended } } }";
    assert_eq!(world.data(Some(&second.access), query, json!({})).await["r"]["ended"], 2);
    assert_eq!(world.data(Some(&second.access), query, json!({})).await["r"]["ended"], 0);
    for person in [first, second] {
        assert_eq!(code(&world.refresh(&person.refresh).await), Some("SESSION_REVOKED"));
    }
    Person::of(&world.refresh(&stranger.refresh).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_signs_the_others_out_and_is_told() {
    let world = World::new().await;
    let (first, here) = (world.person("siti@example.com").await, sign_in_on(&world, "here").await);
    assert_eq!(code(&change(&world, &here, "wrong", NEW).await), Some("CREDENTIALS_INVALID"));
    let short = change(&world, &here, PASSWORD, "short").await;
    assert_eq!((code(&short), &short["path"]), (Some("INVALID_INPUT"), &json!(["input", "newPassword"])));
    assert_eq!(change(&world, &here, PASSWORD, NEW).await["user"]["email"], "siti@example.com");
    assert_eq!(code(&world.refresh(&first.refresh).await), Some("SESSION_REVOKED"));
    Person::of(&world.refresh(&here.refresh).await);
    assert_eq!(code(&world.sign_in("siti@example.com", PASSWORD).await), Some("CREDENTIALS_INVALID"));
    Person::of(&world.sign_in("siti@example.com", NEW).await);
    let told = world.letters("siti@example.com").await;
    assert_eq!(told.iter().filter(|caught| caught.letter.subject == "Your Berth password was changed").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_from_one_password_one_counts() {
    let world = World::new().await;
    let here = world.person("siti@example.com").await;
    let (one, two) = tokio::join!(change(&world, &here, PASSWORD, NEW), change(&world, &here, PASSWORD, "another new one"));
    let done = [&one, &two].iter().filter(|result| result["__typename"] == "ChangePasswordSuccess").count();
    assert_eq!(done, 1, "{one} {two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_sets_a_password_once_and_ends_every_session() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    let asked = request(&world, " Siti@Example.com").await;
    assert_eq!(asked, request(&world, "nobody@example.com").await, "known and unknown addresses get one answer");
    let token = links(&world, 1).await.remove(0);
    assert_eq!(code(&reset(&world, &token, "short").await), Some("INVALID_INPUT"));
    let racing = futures_util::future::join_all((0..4).map(|_| reset(&world, &token, NEW))).await;
    assert_eq!(racing.iter().filter(|result| result["reset"] == true).count(), 1, "{racing:?}");
    assert_eq!(code(&reset(&world, &token, "yet another one").await), Some("RESET_TOKEN_INVALID"), "a link works once");
    assert_eq!(code(&world.refresh(&person.refresh).await), Some("SESSION_REVOKED"));
    assert_eq!(code(&world.sign_in("siti@example.com", PASSWORD).await), Some("CREDENTIALS_INVALID"));
    Person::of(&world.sign_in("siti@example.com", NEW).await);
    assert!(world.letters("nobody@example.com").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_link_and_a_change_at_the_same_time_one_counts() {
    let world = World::new().await;
    world.person("siti@example.com").await;
    let mut password = PASSWORD.to_owned();
    for round in 1..=6 {
        world.clock.advance(TimeDelta::minutes(2));
        let here = Person::of(&world.sign_in("siti@example.com", &password).await);
        request(&world, "siti@example.com").await;
        let token = links(&world, round).await.remove(0);
        let (by_link, by_change) = (format!("by a link {round} {NEW}"), format!("by a change {round} {NEW}"));
        let (linked, changed) = tokio::join!(reset(&world, &token, &by_link), change(&world, &here, &password, &by_change));
        match (linked["reset"] == true, changed["__typename"] == "ChangePasswordSuccess") {
            (true, false) => assert_eq!(code(&changed), Some("CREDENTIALS_INVALID")),
            (false, true) => assert_eq!(code(&linked), Some("RESET_TOKEN_INVALID"), "the link ends with the other password"),
            _ => panic!("{linked} {changed}"),
        }
        password = if linked["reset"] == true { by_link } else { by_change };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_grow_old_and_a_newer_one_replaces_them() {
    let world = World::new().await;
    world.person("siti@example.com").await;
    request(&world, "siti@example.com").await;
    let old = links(&world, 1).await.remove(0);
    request(&world, "siti@example.com").await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(links(&world, 1).await.len(), 1, "letters are a minute apart");
    world.clock.advance(TimeDelta::seconds(61));
    request(&world, "siti@example.com").await;
    let new = links(&world, 2).await.remove(0);
    assert_eq!(code(&reset(&world, &old, NEW).await), Some("RESET_TOKEN_INVALID"));
    world.clock.advance(TimeDelta::minutes(31));
    assert_eq!(code(&reset(&world, &new, NEW).await), Some("RESET_TOKEN_INVALID"));
    world.user.forget_ended().await.expect("forgets");
    for made_up in ["", "x", &"y".repeat(5000)] {
        assert_eq!(code(&reset(&world, made_up, NEW).await), Some("RESET_TOKEN_INVALID"));
    }
    let bytes = world.bytes_at_rest().await;
    assert!(!bytes.windows(NEW.len()).any(|window| window == NEW.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_links_has_a_limit_for_known_and_unknown_addresses() {
    let world = World::new().await;
    world.person("siti@example.com").await;
    for address in ["siti@example.com", "nobody@example.com"] {
        for _ in 0..3 {
            assert_eq!(request(&world, address).await["accepted"], true);
        }
        assert_eq!(code(&request(&world, address).await), Some("RATE_LIMITED"));
    }
    assert_eq!(code(&request(&world, "a@b\r\nBcc: c@d.example").await), Some("INVALID_INPUT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_not_one_that_is_tried_first() {
    let world = World::new().await;
    let person = world.person("siti@example.com").await;
    request(&world, "siti@example.com").await;
    let token = links(&world, 1).await.remove(0);
    let weak = "siti@example.com1";
    let refused = change(&world, &person, PASSWORD, weak).await;
    assert_eq!((code(&refused), &refused["path"]), (Some("INVALID_INPUT"), &json!(["input", "newPassword"])));
    let refused = reset(&world, &token, weak).await;
    assert_eq!((code(&refused), &refused["path"]), (Some("INVALID_INPUT"), &json!(["input", "newPassword"])));
    assert_eq!(reset(&world, &token, NEW).await["__typename"], "ResetPasswordSuccess", "the link is still good");
}
