//! Phone numbers and user names.

use serde_json::{Value, json};

use crate::world::{PASSWORD, Person, RESEND, World, other_code, six_digits};

const BY_PHONE: &str = "mutation($input: SignUpByPhoneInput!) { r: signUpByPhone(input: $input) { __typename \
     ... on SignUpSuccess { flowId expiresAt } ... on UserError { code message path } ... on RateLimitedError { retryAfterMs } } }";
const USERNAME: &str = "mutation($input: SetUsernameInput!) { r: setUsername(input: $input) { __typename \
     ... on SetUsernameSuccess { user { username } } ... on UserError { code path } } }";
const PROFILE: &str = "mutation($input: UpdateProfileInput!) { r: updateProfile(input: $input) { __typename \
     ... on UpdateProfileSuccess { user { tier profile { firstName lastName fullName } } } ... on UserError { code path } } }";
const NUMBER: &str = "+6281234567890";

async fn start(world: &World, phone: &str) -> Value {
    world.result(None, BY_PHONE, json!({ "phone": phone, "password": PASSWORD })).await
}

async fn text(world: &World) -> String {
    world.texts(NUMBER).await.first().expect("a text message").message.text.clone()
}

async fn by_phone(world: &World) -> Person {
    let flow = start(world, "+62 812-3456-7890").await["flowId"].as_str().expect("a flow").to_owned();
    let code = six_digits(&text(world).await).expect("a code");
    Person::of(&world.verify(&flow, &code).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_and_in_by_phone() {
    let world = World::new().await;
    let siti = by_phone(&world).await;
    let me = world.data(Some(&siti.access), "{ me { email phone username tier } }", json!({})).await;
    assert_eq!(me["me"], json!({ "email": "", "phone": NUMBER, "username": null, "tier": "BASIC" }));
    let again = world.sign_in("+62 (812) 3456 7890", PASSWORD).await;
    assert_eq!(again["user"]["id"], siti.id);
    assert_eq!(world.sign_in(NUMBER, "not her password").await["code"], "CREDENTIALS_INVALID");
    assert_eq!(world.sign_in("081234567890", PASSWORD).await["code"], "CREDENTIALS_INVALID", "a number has its country");
    // Two of them do not get into each other's way.
    let other = start(&world, "+6281234567891").await["flowId"].as_str().expect("a flow").to_owned();
    let code = six_digits(&world.texts("+6281234567891").await[0].message.text).expect("a code");
    assert_ne!(Person::of(&world.verify(&other, &code).await).id, siti.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_number_gets_the_same_answers() {
    let world = World::new().await;
    let siti = by_phone(&world).await;
    let (known, new) = (start(&world, NUMBER).await, start(&world, "+6281234567892").await);
    assert_eq!((&known["__typename"], &new["__typename"]), (&json!("SignUpSuccess"), &json!("SignUpSuccess")));
    let flow = known["flowId"].as_str().expect("a flow");
    world.clock.advance(chrono::TimeDelta::seconds(61));
    assert!(text(&world).await.contains("already has a Berth account"));
    for code in ["000000", "111111"] {
        assert_eq!(world.verify(flow, code).await["code"], "OTP_INVALID");
    }
    world.clock.advance(chrono::TimeDelta::seconds(61));
    assert_eq!(world.result(None, RESEND, json!({ "flowId": flow })).await["__typename"], "ResendOtpSuccess");
    assert_eq!(world.sign_in(NUMBER, PASSWORD).await["user"]["id"], siti.id, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_or_number_is_refused() {
    let world = World::new().await;
    for phone in ["", "081234567890", "+62", "siti@example.com", "+62 812 3456 7890 12345"] {
        let refused = start(&world, phone).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("INVALID_INPUT"), &json!(["input", "phone"])), "{phone}");
    }
    let flow = start(&world, NUMBER).await["flowId"].as_str().expect("a flow").to_owned();
    let code = six_digits(&text(&world).await).expect("a code");
    let wrong = world.verify(&flow, other_code(&code)).await;
    assert_eq!((&wrong["code"], &wrong["attemptsLeft"]), (&json!("OTP_INVALID"), &json!(4)));
    assert_eq!(world.verify(&flow, &code).await["__typename"], "SessionSuccess");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_name_belongs_to_one() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let set =
        async |person: &Person, name: Value| world.result(Some(&person.access), USERNAME, json!({ "username": name })).await;
    assert_eq!(set(&siti, json!("Siti.N")).await["user"]["username"], "siti.n");
    assert_eq!(world.sign_in("SITI.n", PASSWORD).await["user"]["id"], siti.id);
    assert_eq!(set(&budi, json!("sItI.N")).await["code"], "USERNAME_TAKEN");
    for bad in ["admin", "a", "siti@x", "..", "7up"] {
        let refused = set(&siti, json!(bad)).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("INVALID_INPUT"), &json!(["input", "username"])), "{bad}");
    }
    assert_eq!(set(&siti, json!("siti_2")).await["user"]["username"], "siti_2");
    assert_eq!(world.sign_in("siti.n", PASSWORD).await["code"], "CREDENTIALS_INVALID", "the name before is free");
    assert_eq!(set(&budi, json!("siti.n")).await["user"]["username"], "siti.n");
    assert_eq!(set(&siti, Value::Null).await["user"]["username"], Value::Null);
    assert_eq!(world.sign_in("siti_2", PASSWORD).await["code"], "CREDENTIALS_INVALID");
    for _ in 0..4 {
        set(&budi, json!("siti.n")).await;
    }
    assert_eq!(set(&budi, json!("siti_3")).await["code"], "RATE_LIMITED", "names are not tried out");
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_for_a_name_has_one_winner() {
    let world = World::new().await;
    let mut people = Vec::new();
    for number in 0..6 {
        people.push(world.person(&format!("p{number}@example.com")).await);
    }
    let racing = people.iter().map(|person| world.result(Some(&person.access), USERNAME, json!({ "username": "wanted" })));
    let answers = futures_util::future::join_all(racing).await;
    assert_eq!(answers.iter().filter(|answer| answer["__typename"] == "SetUsernameSuccess").count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer["code"] == "USERNAME_TAKEN").count(), 5, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_and_last_name_are_told() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let set = world.result(Some(&siti.access), PROFILE, json!({ "firstName": " Siti ", "lastName": "Nurhaliza" })).await;
    assert_eq!(set["user"]["profile"], json!({ "firstName": "Siti", "lastName": "Nurhaliza", "fullName": null }));
    let refused = world.result(Some(&siti.access), PROFILE, json!({ "firstName": "" })).await;
    assert_eq!(refused["path"], json!(["input", "firstName"]));
}
