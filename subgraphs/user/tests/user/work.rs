//! Work that a sign-up costs.

use berth_user::{UserConfig, work::Work};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{PASSWORD, SIGN_UP, World, cheap};

const TASK: &str = "mutation { r: requestSignUpChallenge { __typename \
     ... on RequestSignUpChallengeSuccess { challenge bits expiresAt } ... on UserError { code } } }";

async fn task(world: &World) -> Value {
    world.data(None, TASK, json!({})).await["r"].take()
}

/// A nonce whose hash has at least `least` and fewer than `most` zero bits.
fn done(challenge: &str, least: u32, most: u32) -> Value {
    let fits = |nonce: &String| (least..most).contains(&Work { challenge, nonce }.bits());
    let nonce = (0..u64::MAX).map(|number| number.to_string()).find(fits).expect("endless");
    json!({ "challenge": challenge, "nonce": nonce })
}

async fn sign_up(world: &World, email: &str, work: Value) -> Value {
    world.result(None, SIGN_UP, json!({ "email": email, "password": PASSWORD, "work": work })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_costs_work_where_it_is_asked_for() {
    let world = World::with(UserConfig { sign_up_work_bits: 10, ..cheap() }).await;
    let asked = task(&world).await;
    assert_eq!(asked["bits"], 10);
    let challenge = asked["challenge"].as_str().expect("a challenge").to_owned();
    let refused = sign_up(&world, "siti@example.com", Value::Null).await;
    assert_eq!((&refused["code"], &refused["path"]), (&json!("WORK_REQUIRED"), &json!(["input", "work"])));
    for (work, why) in [
        (done(&challenge, 0, 10), "too little"),
        (done("1999999999999.madeup.signature", 10, 99), "not our task"),
        (json!({ "challenge": "", "nonce": "" }), "nothing"),
        (json!({ "challenge": challenge, "nonce": "0".repeat(65) }), "too long"),
    ] {
        assert_eq!(sign_up(&world, "siti@example.com", work).await["code"], "WORK_REQUIRED", "{why}");
    }
    let work = done(&challenge, 10, 99);
    assert_eq!(sign_up(&world, "siti@example.com", work.clone()).await["__typename"], "SignUpSuccess");
    assert_eq!(sign_up(&world, "budi@example.com", work).await["code"], "WORK_REQUIRED", "a task is done once");
    let challenge = task(&world).await["challenge"].as_str().expect("a challenge").to_owned();
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(sign_up(&world, "budi@example.com", done(&challenge, 10, 99)).await["code"], "WORK_REQUIRED", "too late");
    world.user.forget_ended().await.expect("forgets");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_work_is_asked_for_unless_it_is_set() {
    let world = World::new().await;
    assert_eq!(task(&world).await["bits"], 0);
    assert_eq!(sign_up(&world, "siti@example.com", Value::Null).await["__typename"], "SignUpSuccess");
}
