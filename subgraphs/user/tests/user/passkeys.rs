//! Passkeys, with an authenticator in software.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{
    authenticator::{Device, PRESENT},
    second_factor::{App, ENROL},
    world::{Person, World},
};

const BEGIN: &str = "mutation { r: beginPasskeyRegistration { __typename \
     ... on BeginPasskeyRegistrationSuccess { options expiresAt } ... on UserError { code } } }";
const FINISH: &str = "mutation($input: FinishPasskeyRegistrationInput!) { r: finishPasskeyRegistration(input: $input) { __typename \
     ... on FinishPasskeyRegistrationSuccess { passkey { id name createdAt lastUsedAt } } ... on UserError { code message path } } }";
const BEGIN_SIGN_IN: &str = "mutation { r: beginPasskeySignIn { __typename \
     ... on BeginPasskeySignInSuccess { options expiresAt } ... on UserError { code } } }";
const FINISH_SIGN_IN: &str = "mutation($input: FinishPasskeySignInInput!) { r: finishPasskeySignIn(input: $input) { __typename \
     ... on SessionSuccess { session { accessToken refreshToken } user { id } } ... on UserError { code message path } } }";
const RENAME: &str = "mutation($input: RenamePasskeyInput!) { r: renamePasskey(input: $input) { __typename \
     ... on RenamePasskeySuccess { passkey { id name } } ... on UserError { code path } } }";
const REMOVE: &str = "mutation($input: RemovePasskeyInput!) { r: removePasskey(input: $input) { __typename \
     ... on RemovePasskeySuccess { removedId } ... on UserError { code path } } }";
const LIST: &str = "{ me { passkeys { id name createdAt lastUsedAt } } }";

async fn options(world: &World, access: Option<&str>, begin: &str) -> String {
    let asked = world.data(access, begin, json!({})).await["r"].take();
    asked["options"].as_str().unwrap_or_else(|| panic!("{asked}")).to_owned()
}

async fn finish(world: &World, person: &Person, credential: &str) -> Value {
    world.result(Some(&person.access), FINISH, json!({ "credential": credential, "name": " My\nphone " })).await
}

/// A device whose passkey the account has.
async fn registered(world: &World, person: &Person, mut device: Device) -> Device {
    let credential = device.create(&options(world, Some(&person.access), BEGIN).await);
    let kept = finish(world, person, &credential).await;
    assert_eq!(kept["__typename"], "FinishPasskeyRegistrationSuccess", "{kept}");
    device
}

async fn enter(world: &World, credential: &str) -> Value {
    world.result(None, FINISH_SIGN_IN, json!({ "credential": credential, "device": "phone" })).await
}

async fn sign_in(world: &World, device: &mut Device) -> Value {
    let asked = options(world, None, BEGIN_SIGN_IN).await;
    enter(world, &device.get(&asked)).await
}

fn is_refused(result: &Value) -> bool {
    result["code"] == "PASSKEY_INVALID"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_without_a_password() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    world.person("budi@example.com").await;
    for device in [Device::p256(), Device::ed25519(), Device { format: "packed", ..Device::p256() }] {
        let mut device = registered(&world, &siti, device).await;
        let opened = Person::of(&sign_in(&world, &mut device).await);
        assert_eq!(opened.id, siti.id);
        Person::of(&world.refresh(&opened.refresh).await);
    }
    let listed = world.data(Some(&siti.access), LIST, json!({})).await["me"]["passkeys"].take();
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
    assert_eq!(listed[0]["name"], "My phone");
    assert!(listed[0]["lastUsedAt"].is_string());
    let letters = world.letters("siti@example.com").await;
    assert_eq!(letters.iter().filter(|caught| caught.letter.text.contains("passkey was added")).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_asked_in_the_shape_they_know() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    registered(&world, &siti, Device::p256()).await;
    let asked: Value = serde_json::from_str(&options(&world, Some(&siti.access), BEGIN).await).expect("JSON");
    assert_eq!(asked["rp"], json!({ "id": "127.0.0.1", "name": "Berth" }));
    assert_eq!(asked["user"]["name"], "siti@example.com");
    assert_eq!(asked["pubKeyCredParams"][0], json!({ "type": "public-key", "alg": -7 }));
    assert_eq!(asked["excludeCredentials"].as_array().map(Vec::len), Some(1));
    let selection = json!({ "residentKey": "required", "requireResidentKey": true, "userVerification": "required" });
    assert_eq!(asked["authenticatorSelection"], selection);
    let first: Value = serde_json::from_str(&options(&world, None, BEGIN_SIGN_IN).await).expect("JSON");
    let mut second: Value = serde_json::from_str(&options(&world, None, BEGIN_SIGN_IN).await).expect("JSON");
    assert_ne!(first["challenge"], second["challenge"]);
    second["challenge"] = first["challenge"].clone();
    assert_eq!(first, second, "everybody is asked the same");
    assert_eq!((&first["allowCredentials"], &first["userVerification"]), (&json!([]), &json!("required")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_another_site_or_request_is_refused() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let lies: [fn(&mut Device); 8] = [
        |device| device.origin = "https://evil.example",
        |device| device.origin = "http://127.0.0.1:4001",
        |device| device.site = "evil.example",
        |device| device.flags = PRESENT,
        |device| device.flags = 0x04,
        |device| device.cross_origin = true,
        |device| device.kind = Some("webauthn.other"),
        |device| device.flags |= 0x10,
    ];
    for (number, lie) in lies.iter().enumerate() {
        world.clock.advance(TimeDelta::minutes(5));
        let siti = Person::of(&world.sign_in("siti@example.com", crate::world::PASSWORD).await);
        let mut device = Device::p256();
        lie(&mut device);
        let credential = device.create(&options(&world, Some(&siti.access), BEGIN).await);
        assert!(is_refused(&finish(&world, &siti, &credential).await), "registration {number}");
        let mut device = registered(&world, &siti, Device::p256()).await;
        lie(&mut device);
        assert!(is_refused(&sign_in(&world, &mut device).await), "sign-in {number}");
    }
    let _ = siti;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_works_once_for_its_purpose_and_five_minutes() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let mut device = registered(&world, &siti, Device::p256()).await;

    let asked = options(&world, None, BEGIN_SIGN_IN).await;
    let credential = device.get(&asked);
    Person::of(&enter(&world, &credential).await);
    assert!(is_refused(&enter(&world, &credential).await), "a replay");
    let made_up = device.get(&json!({ "challenge": "bWFkZSB1cA" }).to_string());
    assert!(is_refused(&enter(&world, &made_up).await));

    let of_siti = options(&world, Some(&siti.access), BEGIN).await;
    let mut other = Device::p256();
    let credential = other.create(&of_siti);
    assert!(is_refused(&finish(&world, &budi, &credential).await), "another person's challenge");
    assert_eq!(
        finish(&world, &siti, &credential).await["__typename"],
        "FinishPasskeyRegistrationSuccess",
        "which that did not use up"
    );
    assert!(is_refused(&finish(&world, &siti, &credential).await), "a replay");
    let crossed = other.get(&options(&world, Some(&siti.access), BEGIN).await);
    assert!(is_refused(&enter(&world, &crossed).await), "a challenge for a new passkey signs nobody in");

    let asked = options(&world, None, BEGIN_SIGN_IN).await;
    world.clock.advance(TimeDelta::minutes(5));
    assert!(is_refused(&enter(&world, &device.get(&asked)).await), "too late");
    let asked = options(&world, None, BEGIN_SIGN_IN).await;
    device.origin = "https://evil.example";
    assert!(is_refused(&enter(&world, &device.get(&asked)).await));
    device.origin = crate::authenticator::ORIGIN;
    assert!(is_refused(&enter(&world, &device.get(&asked)).await), "a failed answer uses the challenge up too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_speaks_for_its_owner_only() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let mut of_siti = registered(&world, &siti, Device::p256()).await;
    let mut of_budi = registered(&world, &budi, Device::p256()).await;
    // Budi's device says it is Siti.
    let own_handle = of_budi.user_handle.clone();
    of_budi.user_handle = of_siti.user_handle.clone();
    assert!(is_refused(&sign_in(&world, &mut of_budi).await));
    of_budi.user_handle = None;
    assert!(is_refused(&sign_in(&world, &mut of_budi).await), "who it is must be said");
    // Budi's key under the id of Siti's.
    of_budi.user_handle = of_siti.user_handle.clone();
    let own_id = std::mem::replace(&mut of_budi.id, of_siti.id.clone());
    assert!(is_refused(&sign_in(&world, &mut of_budi).await), "a wrong signature");
    let credential = of_budi.create(&options(&world, Some(&budi.access), BEGIN).await);
    assert!(is_refused(&finish(&world, &budi, &credential).await), "an id that is registered already");
    (of_budi.id, of_budi.user_handle) = (own_id, own_handle);
    assert_eq!(Person::of(&sign_in(&world, &mut of_budi).await).id, budi.id);
    assert_eq!(Person::of(&sign_in(&world, &mut of_siti).await).id, siti.id);
    // Refusals look alike, whatever the reason.
    let unknown = sign_in(&world, &mut Device::p256()).await;
    of_siti.site = "evil.example";
    assert_eq!(unknown, sign_in(&world, &mut of_siti).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_passkey_is_noticed_by_its_counter() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let mut device = registered(&world, &siti, Device { count: 7, ..Device::p256() }).await;
    assert!(is_refused(&sign_in(&world, &mut device).await), "it did not rise");
    device.count = 8;
    Person::of(&sign_in(&world, &mut device).await);
    device.count = 6;
    assert!(is_refused(&sign_in(&world, &mut device).await));
    device.count = 0;
    assert!(is_refused(&sign_in(&world, &mut device).await));
    device.count = 9;
    Person::of(&sign_in(&world, &mut device).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn passkeys_are_renamed_and_removed_by_their_owner() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let mut device = registered(&world, &siti, Device::p256()).await;
    let listed = world.data(Some(&siti.access), LIST, json!({})).await;
    let id = listed["me"]["passkeys"][0]["id"].clone();
    assert!(id.as_str().is_some_and(|id| id.starts_with("passkey_")));
    let rename = async |person: &Person, name: &str| {
        world.result(Some(&person.access), RENAME, json!({ "passkeyId": id, "name": name })).await
    };
    let remove = async |person: &Person| world.result(Some(&person.access), REMOVE, json!({ "passkeyId": id })).await;
    assert_eq!(rename(&budi, "mine").await["code"], "NOT_FOUND");
    assert_eq!(remove(&budi).await["code"], "NOT_FOUND");
    assert_eq!(rename(&siti, " \n ").await["code"], "INVALID_INPUT");
    assert_eq!(rename(&siti, "the red one").await["passkey"]["name"], "the red one");
    Person::of(&sign_in(&world, &mut device).await);
    assert_eq!(remove(&siti).await["removedId"], id);
    assert_eq!(remove(&siti).await["code"], "NOT_FOUND");
    assert!(is_refused(&sign_in(&world, &mut device).await));
    for begin in [BEGIN] {
        let response = world.respond(None, begin, json!({})).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_needs_no_second_factor() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let mut device = registered(&world, &siti, Device::ed25519()).await;
    let enrolled = world.data(Some(&siti.access), ENROL, json!({})).await["r"].take();
    let shown = App::with(enrolled["secret"].as_str().expect("a secret")).shows(&world, 0);
    let confirm = "mutation($input: ConfirmTotpInput!) { r: confirmTotp(input: $input) { __typename } }";
    let confirmed = world.result(Some(&siti.access), confirm, json!({ "code": shown })).await;
    assert_eq!(confirmed["__typename"], "ConfirmTotpSuccess");
    assert_eq!(Person::of(&sign_in(&world, &mut device).await).id, siti.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    for nonsense in ["", "null", "{}", "[]", &"x".repeat(20_000), r#"{"id":"a","rawId":"b","type":"public-key","response":{}}"#] {
        assert!(is_refused(&enter(&world, nonsense).await), "{nonsense}");
        assert!(is_refused(&finish(&world, &siti, nonsense).await), "{nonsense}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_way_in_needs_a_fresh_proof() {
    const ENROL: &str =
        "mutation($input: EnrolTotpInput) { r: enrolTotp(input: $input) { __typename ... on UserError { code path } } }";
    const BEGIN: &str = "mutation($input: BeginPasskeyRegistrationInput) { r: beginPasskeyRegistration(input: $input) { __typename \
         ... on UserError { code path } } }";
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let mut device = registered(&world, &siti, Device::p256()).await;
    let id = world.data(Some(&siti.access), LIST, json!({})).await["me"]["passkeys"][0]["id"].take();

    world.clock.advance(TimeDelta::minutes(11));
    let old = Person::of(&world.refresh(&siti.refresh).await);
    let ask = async |person: &Person, mutation: &str, mut input: Value, password: Option<&str>| {
        if let Some(password) = password {
            input["currentPassword"] = password.into();
        }
        if mutation == REMOVE {
            input["passkeyId"] = id.clone();
        }
        world.result(Some(&person.access), mutation, input).await
    };
    for mutation in [ENROL, BEGIN, REMOVE] {
        let refused = ask(&old, mutation, json!({}), None).await;
        assert_eq!((&refused["code"], &refused["path"]), (&json!("PROOF_REQUIRED"), &json!(["input", "currentPassword"])));
        assert_eq!(ask(&old, mutation, json!({}), Some("a wrong one")).await["code"], "CREDENTIALS_INVALID", "{mutation}");
        let done = ask(&old, mutation, json!({}), Some(crate::world::PASSWORD)).await;
        assert!(done["__typename"].as_str().is_some_and(|name| name.ends_with("Success")), "{done}");
        if mutation == BEGIN {
            // A passkey proves as well, by signing in: the session is fresh, and a wrong password is wrong in it too.
            let fresh = Person::of(&sign_in(&world, &mut device).await);
            assert_eq!(ask(&fresh, BEGIN, json!({}), None).await["__typename"], "BeginPasskeyRegistrationSuccess");
            assert_eq!(ask(&fresh, BEGIN, json!({}), Some("a wrong one")).await["code"], "CREDENTIALS_INVALID");
        }
    }
    for _ in 0..40 {
        ask(&old, ENROL, json!({}), Some("a wrong one")).await;
    }
    assert_eq!(ask(&old, ENROL, json!({}), Some(crate::world::PASSWORD)).await["code"], "RATE_LIMITED", "they are counted");
}
