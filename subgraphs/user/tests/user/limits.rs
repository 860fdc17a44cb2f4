//! Limits on attempts: of replicas together, and of clients by their network.

use std::{env, time::Duration};

use berth_kernel::{
    bus::{Bus, RedisSettings},
    clock::Clock,
    jobs::Background,
};
use chrono::TimeDelta;
use serde_json::json;

use crate::world::{PASSWORD, Person, SIGN_IN, SIGN_UP, World, cheap};

/// A replica on the Redis that `BERTH_TEST_REDIS_URL` names, among those with this prefix; `None` where there is no Redis.
async fn replica(prefix: &str, background: &Background) -> Option<World> {
    let url = env::var("BERTH_TEST_REDIS_URL").ok()?;
    let settings = RedisSettings { prefix: prefix.to_owned(), ..RedisSettings::default() };
    let bus = Bus::redis(&url, settings, background.clone()).expect("a bus");
    for _ in 0..200 {
        if bus.is_healthy() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Some(World::on(cheap(), bus).await)
}

async fn refused(world: &World, email: &str) -> bool {
    world.sign_in(email, "wrong password").await["code"] == "RATE_LIMITED"
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_together() {
    let (prefix, background) = (format!("t{}", Clock::system().new_key().simple()), Background::default());
    let Some(one) = replica(&prefix, &background).await else { return };
    let other = replica(&prefix, &background).await.expect("a second one");
    for round in 0..10 {
        assert!(!refused(&one, "siti@example.com").await && !refused(&other, "siti@example.com").await, "{round}");
    }
    // 20 were at once; while they were made one more may have come.
    let more = [
        refused(&one, "siti@example.com").await,
        refused(&other, "siti@example.com").await,
        refused(&one, "siti@example.com").await,
    ];
    assert!(more.iter().filter(|refused| **refused).count() >= 2, "{more:?}");
    assert!(!refused(&other, "budi@example.com").await, "another address");

    let mut redis = redis::Client::open(env::var("BERTH_TEST_REDIS_URL").expect("set"))
        .expect("a client")
        .get_multiplexed_async_connection()
        .await
        .expect("Redis");
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}:limit:*")).query_async(&mut redis).await.expect("keys");
    assert_eq!(keys.len(), 4, "two names, and what they may stand for: {keys:?}");
    assert!(!keys.iter().any(|key| key.contains("siti") || key.contains("example")), "no address stands in Redis");
    for key in &keys {
        let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await.expect("a time");
        assert!((1..=60_000).contains(&left), "{key} stays for {left} ms");
    }
    background.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_limited_whatever_address_it_names() {
    let world = World::new().await;
    let sign_up = async |client: &str, number: usize| {
        let input = json!({ "input": { "email": format!("somebody{number}@example.com"), "password": "correct horse battery" } });
        world.respond_to(client, SIGN_UP, input).await["data"]["r"]["__typename"].as_str().expect("a type").to_owned()
    };
    for number in 0..30 {
        assert_eq!(sign_up("203.0.113.9", number).await, "SignUpSuccess");
    }
    assert_eq!(sign_up("203.0.113.9", 30).await, "RateLimitedError");
    assert_eq!(sign_up("203.0.113.10", 31).await, "SignUpSuccess", "another client");
    assert_eq!(sign_up("10.0.0.1", 32).await, "SignUpSuccess", "a proxy that nobody told us of");
    world.clock.advance(TimeDelta::seconds(21));
    assert_eq!(sign_up("203.0.113.9", 33).await, "SignUpSuccess");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_executed_field_counts_for_the_client() {
    let world = World::new().await;
    let field = |number: usize| {
        format!("a{number}: signIn(input: {{ email: \"u{number}@example.com\", password: \"wrong password\" }}) {{ __typename }}")
    };
    let mut limited = 0;
    for request in 0..4 {
        let fields: Vec<String> = (0..30).map(|alias| field(request * 30 + alias)).collect();
        let response = world.respond_to("203.0.113.9", &format!("mutation {{ {} }}", fields.join(" ")), json!({})).await;
        let outcomes = response["data"].as_object().expect("an object").values();
        limited += outcomes.filter(|outcome| outcome["__typename"] == "RateLimitedError").count();
    }
    assert!((10..=20).contains(&limited), "of 120 sign-ins 100 were at once, and {limited} were refused");
    let one = json!({ "input": { "email": "somebody@example.com", "password": "wrong password" } });
    assert!(world.respond_to("203.0.113.10", SIGN_IN, one).await["data"]["r"]["__typename"] == "InvalidCredentialsError");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_an_account_share_its_allowance() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let named = "mutation { r: setUsername(input: { username: \"siti.nur\" }) { __typename } }";
    assert_eq!(world.data(Some(&siti.access), named, json!({})).await["r"]["__typename"], "SetUsernameSuccess");
    world.clock.advance(TimeDelta::minutes(2));
    // Neither name is used up, and what is left of the account is the same as for names that nobody has.
    for (name, nobodys) in [("siti@example.com", "nobody@example.com"), ("siti.nur", "no.body")] {
        for _ in 0..18 {
            let (known, unknown) = (world.sign_in(name, "a wrong one").await, world.sign_in(nobodys, "a wrong one").await);
            assert_eq!((&known, &known["code"]), (&unknown, &json!("CREDENTIALS_INVALID")));
        }
    }
    // One attempt comes back every 3 seconds.
    let right = [world.sign_in("siti.nur", PASSWORD).await, world.sign_in("siti.nur", PASSWORD).await];
    assert!(right.iter().any(|answer| answer["code"] == "CREDENTIALS_INVALID"), "{right:?}");
    world.clock.advance(TimeDelta::minutes(2));
    Person::of(&world.sign_in("siti.nur", PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_are_counted_by_their_token() {
    let world = World::new().await;
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    for _ in 0..10 {
        Person::of(&world.refresh(&siti.refresh).await);
    }
    assert_eq!(world.refresh(&siti.refresh).await["code"], "RATE_LIMITED");
    Person::of(&world.refresh(&budi.refresh).await);
    world.clock.advance(TimeDelta::seconds(31));
    Person::of(&world.refresh(&siti.refresh).await);
}
