//! An authenticator app as a second factor, and recovery codes.

use chrono::TimeDelta;
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::world::{PASSWORD, Person, World};

pub const ENROL: &str =
    "mutation { r: enrolTotp { __typename ... on EnrolTotpSuccess { uri secret } ... on UserError { code } } }";
const CONFIRM: &str = "mutation($input: ConfirmTotpInput!) { r: confirmTotp(input: $input) { __typename \
     ... on ConfirmTotpSuccess { recoveryCodes } ... on UserError { code path } } }";
const DISABLE: &str = "mutation($input: DisableTotpInput!) { r: disableTotp(input: $input) { __typename \
     ... on DisableTotpSuccess { disabled } ... on UserError { code path } } }";
const REGENERATE: &str = "mutation($input: RegenerateRecoveryCodesInput!) { r: regenerateRecoveryCodes(input: $input) { __typename \
     ... on RegenerateRecoveryCodesSuccess { recoveryCodes } ... on UserError { code path } } }";
const SIGN_IN: &str = "mutation($input: SignInInput!) { r: signIn(input: $input) { __typename \
     ... on SecondFactorRequired { challengeId expiresAt } ... on UserError { code message path } } }";
const COMPLETE: &str = "mutation($input: CompleteSignInInput!) { r: completeSignIn(input: $input) { __typename \
     ... on SessionSuccess { session { accessToken refreshToken } user { id } } ... on UserError { code path } \
     ... on SecondFactorInvalidError { attemptsLeft } ... on RateLimitedError { retryAfterMs } } }";
const REQUEST: &str = "mutation($input: RequestPasswordResetInput!) { r: requestPasswordReset(input: $input) { __typename } }";
const RESET: &str = "mutation($input: ResetPasswordInput!) { r: resetPassword(input: $input) { __typename } }";
const EMAIL: &str = "siti@example.com";

/// An authenticator app.
pub struct App(Vec<u8>);

impl App {
    pub fn with(secret: &str) -> Self {
        Self(BASE32_NOPAD.decode(secret.as_bytes()).expect("base 32"))
    }

    /// The code it shows, some seconds from now.
    pub fn shows(&self, world: &World, in_secs: i64) -> String {
        let step = (world.clock.now().timestamp() + in_secs) / 30;
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("any length");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let at = usize::from(digest[19] % 16);
        let number = digest[at..at + 4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }

    /// Six digits that it shows neither now nor around now.
    pub fn never_shows(&self, world: &World) -> String {
        let near: Vec<String> = [-30, 0, 30].map(|secs| self.shows(world, secs)).to_vec();
        (0..10).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).expect("ten are enough")
    }
}

fn code(result: &Value) -> Option<&str> {
    result["code"].as_str()
}

async fn me(world: &World, person: &Person) -> Value {
    let query = "{ me { secondFactor { totpEnabled recoveryCodesLeft } } }";
    world.data(Some(&person.access), query, json!({})).await["me"]["secondFactor"].take()
}

async fn input(world: &World, person: &Person, mutation: &str, input: Value) -> Value {
    world.result(Some(&person.access), mutation, input).await
}

/// Somebody with a second factor: the person, the app, the recovery codes. The present code is used.
async fn protected(world: &World) -> (Person, App, Vec<String>) {
    let person = world.person(EMAIL).await;
    let enrolled = world.data(Some(&person.access), ENROL, json!({})).await["r"].take();
    let app = App::with(enrolled["secret"].as_str().expect("a secret"));
    let confirmed = input(world, &person, CONFIRM, json!({ "code": app.shows(world, 0) })).await;
    assert_eq!(confirmed["__typename"], "ConfirmTotpSuccess", "{confirmed}");
    let codes = confirmed["recoveryCodes"].as_array().expect("a list");
    (person, app, codes.iter().map(|code| code.as_str().expect("a code").to_owned()).collect())
}

/// The challenge of a sign-in with the right password.
async fn challenge(world: &World, password: &str) -> String {
    let asked = world.result(None, SIGN_IN, json!({ "email": EMAIL, "password": password })).await;
    assert_eq!(asked["__typename"], "SecondFactorRequired", "{asked}");
    asked["challengeId"].as_str().expect("an id").to_owned()
}

async fn complete(world: &World, challenge: &str, code: &str) -> Value {
    world.result(None, COMPLETE, json!({ "challengeId": challenge, "code": code })).await
}

fn next_step(world: &World) {
    world.clock.advance(TimeDelta::seconds(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_alone_opens_no_session_any_more() {
    let world = World::new().await;
    let (person, app, codes) = protected(&world).await;
    assert_eq!(me(&world, &person).await, json!({ "totpEnabled": true, "recoveryCodesLeft": 10 }));
    assert_eq!((codes.len(), codes[0].len()), (10, 11));
    let asked = challenge(&world, PASSWORD).await;
    assert!(asked.starts_with("challenge_"));
    assert_eq!(code(&complete(&world, &asked, &app.shows(&world, 0)).await), Some("SECOND_FACTOR_INVALID"), "used to confirm");
    next_step(&world);
    let used = app.shows(&world, 0);
    let opened = Person::of(&complete(&world, &asked, &used).await);
    assert_eq!(opened.id, person.id);
    assert_eq!(
        code(&complete(&world, &asked, &app.shows(&world, 0)).await),
        Some("CHALLENGE_ENDED"),
        "a challenge opens one session"
    );
    let again = challenge(&world, PASSWORD).await;
    assert_eq!(code(&complete(&world, &again, &used).await), Some("SECOND_FACTOR_INVALID"), "a code works once");
    let wrong = world.result(None, SIGN_IN, json!({ "email": EMAIL, "password": "wrong password" })).await;
    assert_eq!(code(&wrong), Some("CREDENTIALS_INVALID"));
    assert!(
        world.letters(EMAIL).await.iter().any(|caught| caught.letter.text.contains("authenticator app")),
        "the owner is told"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_has_five_tries_and_five_minutes() {
    let world = World::new().await;
    let (_, app, _) = protected(&world).await;
    next_step(&world);
    let late = challenge(&world, PASSWORD).await;
    world.clock.advance(TimeDelta::minutes(5));
    assert_eq!(code(&complete(&world, &late, &app.shows(&world, 0)).await), Some("CHALLENGE_ENDED"));
    let asked = challenge(&world, PASSWORD).await;
    for left in (0..5).rev() {
        let wrong = complete(&world, &asked, &app.never_shows(&world)).await;
        assert_eq!((code(&wrong), &wrong["attemptsLeft"]), (Some("SECOND_FACTOR_INVALID"), &json!(left)));
    }
    assert_eq!(code(&complete(&world, &asked, &app.shows(&world, 0)).await), Some("CHALLENGE_ENDED"));
    for unknown in ["", "challenge_x", "challenge_00000000000000000000000000"] {
        assert_eq!(code(&complete(&world, unknown, &app.shows(&world, 0)).await), Some("CHALLENGE_ENDED"), "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_challenges_give_no_new_tries_to_a_guesser() {
    let world = World::new().await;
    let (_, app, _) = protected(&world).await;
    world.clock.advance(TimeDelta::minutes(10));
    let (mut tried, mut limited) = (0, 0);
    for _ in 0..4 {
        let asked = challenge(&world, PASSWORD).await;
        for _ in 0..5 {
            match code(&complete(&world, &asked, &app.never_shows(&world)).await) {
                Some("RATE_LIMITED") => limited += 1,
                Some("SECOND_FACTOR_INVALID") => tried += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((tried, limited), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_stands_in_once() {
    let world = World::new().await;
    let (person, app, codes) = protected(&world).await;
    let asked = challenge(&world, PASSWORD).await;
    let typed = codes[3].to_lowercase().replace('-', " ");
    Person::of(&complete(&world, &asked, &typed).await);
    assert_eq!(me(&world, &person).await["recoveryCodesLeft"], 9);
    let asked = challenge(&world, PASSWORD).await;
    assert_eq!(code(&complete(&world, &asked, &codes[3]).await), Some("SECOND_FACTOR_INVALID"));
    assert!(world.letters(EMAIL).await.iter().any(|caught| caught.letter.text.contains("one of the recovery codes")));
    next_step(&world);
    let renewed = input(&world, &person, REGENERATE, json!({ "code": app.shows(&world, 0) })).await;
    let fresh = renewed["recoveryCodes"].as_array().expect("a list");
    assert_eq!(fresh.len(), 10);
    assert_eq!(code(&complete(&world, &asked, &codes[4]).await), Some("SECOND_FACTOR_INVALID"), "the old ones are dead");
    Person::of(&complete(&world, &asked, fresh[0].as_str().expect("a code")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_racing_uses_of_one_code_one_counts() {
    let world = World::new().await;
    let (_, app, codes) = protected(&world).await;
    next_step(&world);
    for shown in [app.shows(&world, 0), codes[0].clone()] {
        let first = challenge(&world, PASSWORD).await;
        let second = challenge(&world, PASSWORD).await;
        let both = tokio::join!(complete(&world, &first, &shown), complete(&world, &second, &shown));
        let opened = [&both.0, &both.1].iter().filter(|result| result["__typename"] == "SessionSuccess").count();
        assert_eq!(opened, 1, "{both:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_by_link_does_not_pass_the_second_factor() {
    let world = World::new().await;
    let (_, app, _) = protected(&world).await;
    world.result(None, REQUEST, json!({ "email": EMAIL })).await;
    let mut token = None;
    for _ in 0..200 {
        let letters = world.letters(EMAIL).await;
        token = letters
            .iter()
            .find_map(|caught| Some(caught.letter.text.split("#token=").nth(1)?.split_whitespace().next()?.to_owned()));
        if token.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let new = "a much newer password";
    let reset = world.result(None, RESET, json!({ "token": token.expect("a link"), "newPassword": new })).await;
    assert_eq!(reset["__typename"], "ResetPasswordSuccess");
    next_step(&world);
    let asked = challenge(&world, new).await;
    Person::of(&complete(&world, &asked, &app.shows(&world, 0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_off_needs_the_password_or_a_code() {
    let world = World::new().await;
    let (person, app, _) = protected(&world).await;
    for (proof, refused) in [
        (json!({}), "INVALID_INPUT"),
        (json!({ "password": PASSWORD, "code": "1" }), "INVALID_INPUT"),
        (json!({ "password": "wrong password" }), "CREDENTIALS_INVALID"),
        (json!({ "code": app.never_shows(&world) }), "SECOND_FACTOR_INVALID"),
        (json!({ "code": app.shows(&world, 0) }), "SECOND_FACTOR_INVALID"),
    ] {
        assert_eq!(code(&input(&world, &person, DISABLE, proof.clone()).await), Some(refused), "{proof}");
    }
    let again = world.data(Some(&person.access), ENROL, json!({})).await["r"].take();
    assert_eq!(code(&again), Some("INVALID_TRANSITION"), "nobody replaces the secret of a factor that is on");
    let waiting = challenge(&world, PASSWORD).await;
    assert_eq!(input(&world, &person, DISABLE, json!({ "password": PASSWORD })).await["disabled"], true);
    assert_eq!(me(&world, &person).await, json!({ "totpEnabled": false, "recoveryCodesLeft": 0 }));
    assert_eq!(code(&complete(&world, &waiting, &app.shows(&world, 30)).await), Some("CHALLENGE_ENDED"));
    Person::of(&world.sign_in(EMAIL, PASSWORD).await);
    assert_eq!(code(&input(&world, &person, DISABLE, json!({ "password": PASSWORD })).await), Some("INVALID_TRANSITION"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_counts_once_it_came_back_and_lies_sealed() {
    let world = World::new().await;
    let person = world.person(EMAIL).await;
    let first = world.data(Some(&person.access), ENROL, json!({})).await["r"].take();
    let second = world.data(Some(&person.access), ENROL, json!({})).await["r"].take();
    assert_ne!(first["secret"], second["secret"]);
    assert!(
        second["uri"].as_str().is_some_and(|uri| uri.starts_with("otpauth://totp/Berth:siti%40example.com?secret=")),
        "{second}"
    );
    Person::of(&world.sign_in(EMAIL, PASSWORD).await);
    let replaced = App::with(first["secret"].as_str().expect("a secret"));
    let app = App::with(second["secret"].as_str().expect("a secret"));
    let refused = input(&world, &person, CONFIRM, json!({ "code": replaced.shows(&world, 0) })).await;
    assert_eq!(code(&refused), Some("SECOND_FACTOR_INVALID"));
    let confirmed = input(&world, &person, CONFIRM, json!({ "code": app.shows(&world, 0) })).await;
    let bytes = world.bytes_at_rest().await;
    let found = |text: &Value| {
        let text = text.as_str().expect("a text");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(found(&json!(EMAIL)), "the search works");
    assert!(!found(&second["secret"]) && !found(&confirmed["recoveryCodes"][0]));
    let refused = input(&world, &person, CONFIRM, json!({ "code": app.shows(&world, 30) })).await;
    assert_eq!(code(&refused), Some("INVALID_TRANSITION"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_sets_nothing_up() {
    let world = World::new().await;
    for (mutation, input) in [
        (ENROL, json!({})),
        (CONFIRM, json!({ "code": "000000" })),
        (DISABLE, json!({ "code": "000000" })),
        (REGENERATE, json!({ "code": "000000" })),
    ] {
        let response = world.respond(None, mutation, json!({ "input": input })).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{response}");
    }
}
