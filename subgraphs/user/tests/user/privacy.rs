//! Leaving, and a copy of one's data.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use berth_contracts::{
    Kind,
    event::Event,
    peer::{PeerError, PeerResult, RecordsPeer},
};
use berth_kernel::db::sql;
use berth_user::Neighbours;
use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::world::{ADD_PASSENGER, PASSWORD, Person, World};

const DELETE: &str = "mutation($input: DeleteAccountInput!) { r: deleteAccount(input: $input) { __typename \
     ... on DeleteAccountSuccess { deleted } ... on UserError { code path } ... on OpenBookingsError { count } } }";
const EXPORT: &str = "mutation($input: ExportPersonalDataInput!) { r: exportPersonalData(input: $input) { __typename \
     ... on ExportPersonalDataSuccess { document createdAt } ... on UserError { code path } ... on RateLimitedError { retryAfterMs } } }";
const REMOVE: &str = "mutation($input: RemoveAccountInput!) { r: removeAccount(input: $input) { __typename \
     ... on RemoveAccountSuccess { removedId } ... on UserError { code path } } }";
const PROFILE: &str = "mutation($input: UpdateProfileInput!) { r: updateProfile(input: $input) { __typename } }";

/// Another service: keeps one fact of anybody, and so many open affairs. `u32::MAX`: it does not answer.
#[derive(Default)]
pub struct Neighbour(&'static str, AtomicU32);

#[async_trait]
impl RecordsPeer for Neighbour {
    async fn records(&self, user_id: Uuid) -> PeerResult<Value> {
        Ok(json!({ "kept": format!("{} of {}", self.0, Kind::User.encode(user_id)) }))
    }

    async fn open_affairs(&self, _person_id: Uuid) -> PeerResult<u32> {
        match self.1.load(Ordering::SeqCst) {
            u32::MAX => Err(PeerError::Unavailable("gone".to_owned())),
            count => Ok(count),
        }
    }
}

/// Booking, which a test may move.
pub fn neighbours(world: &World) -> Arc<Neighbour> {
    let booking = Arc::new(Neighbour("bookings", AtomicU32::default()));
    world.user.set_neighbours(Neighbours {
        booking: booking.clone(),
        inventory: Arc::new(Neighbour("holds", AtomicU32::default())),
        payment: Arc::new(Neighbour("payments", AtomicU32::default())),
    });
    booking
}

async fn known_person(world: &World) -> Person {
    let siti = world.person("siti@example.com").await;
    let profile = json!({ "fullName": "Siti Nurhaliza", "birthDate": "1990-01-02", "phone": "+6281234567890",
        "idType": "NATIONAL_ID", "idNumber": "3174012345671234", "address": "Jl. Merdeka 1" });
    assert_eq!(world.result(Some(&siti.access), PROFILE, profile).await["__typename"], "UpdateProfileSuccess");
    let passenger =
        json!({ "fullName": "Budi Santoso", "idType": "PASSPORT", "idNumber": "C1234567", "birthDate": "2015-06-01" });
    assert_eq!(world.result(Some(&siti.access), ADD_PASSENGER, passenger).await["__typename"], "AddPassengerSuccess");
    siti
}

async fn delete(world: &World, person: &Person, password: &str) -> Value {
    world.result(Some(&person.access), DELETE, json!({ "password": password })).await
}

async fn export(world: &World, person: &Person) -> Value {
    world.result(Some(&person.access), EXPORT, json!({ "password": PASSWORD })).await
}

async fn count(world: &World, table: &str) -> i64 {
    let read = world.db.read();
    let row = read.query_one_raw(sql(read, &format!("SELECT COUNT(*) AS n FROM {table}"), [])).await.expect("reads");
    row.expect("a row").try_get("", "n").expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_deleted_with_all_that_belongs_to_it() {
    let world = World::new().await;
    let _booking = neighbours(&world);
    let siti = known_person(&world).await;
    assert_eq!(delete(&world, &siti, "not her password").await["code"], "CREDENTIALS_INVALID");
    assert_eq!(delete(&world, &siti, PASSWORD).await, json!({ "__typename": "DeleteAccountSuccess", "deleted": true }));
    for table in ["account", "session", "refresh_token", "passenger", "password_reset", "sign_up", "data_export"] {
        assert_eq!(count(&world, table).await, 0, "{table}");
    }
    assert_eq!(world.data(Some(&siti.access), "{ me { id } }", json!({})).await["me"], Value::Null);
    assert_eq!(world.refresh(&siti.refresh).await["code"], "SESSION_UNKNOWN");
    assert_eq!(world.sign_in("siti@example.com", PASSWORD).await["code"], "CREDENTIALS_INVALID");
    let letters = world.letters("siti@example.com").await;
    assert_eq!(letters[0].letter.subject, "Your Berth account was deleted");

    let again = world.person("siti@example.com").await;
    assert_ne!(again.id, siti.id, "somebody new");
    let me = world.data(Some(&again.access), "{ me { tier profile { fullName } passengers { totalCount } } }", json!({})).await;
    assert_eq!(me["me"], json!({ "tier": "BASIC", "profile": null, "passengers": { "totalCount": 0 } }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_are_told_once() {
    let world = World::new().await;
    let _booking = neighbours(&world);
    let siti = known_person(&world).await;
    delete(&world, &siti, PASSWORD).await;
    let read = world.db.read();
    let rows = read.query_all_raw(sql(read, "SELECT payload FROM outbox", [])).await.expect("rows");
    let payloads: Vec<String> = rows.iter().map(|row| row.try_get("", "payload").expect("a text")).collect();
    assert_eq!(payloads.len(), 1, "{payloads:?}");
    let envelope: berth_contracts::event::Envelope = serde_json::from_str(&payloads[0]).expect("an event");
    assert_eq!(envelope.event, Event::AccountDeleted { user_id: Kind::User.decode(&siti.id).expect("an id") });
    assert!(!payloads[0].contains("siti"), "a key and nothing more: {}", payloads[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_must_be_reached_stays() {
    let world = World::new().await;
    let booking = neighbours(&world);
    let siti = known_person(&world).await;
    booking.1.store(2, Ordering::SeqCst);
    let refused = delete(&world, &siti, PASSWORD).await;
    assert_eq!((&refused["code"], &refused["count"]), (&json!("ACCOUNT_HAS_OPEN_BOOKINGS"), &json!(2)));
    booking.1.store(u32::MAX, Ordering::SeqCst);
    let response = world.respond(Some(&siti.access), DELETE, json!({ "input": { "password": PASSWORD } })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE", "{response}");
    let me = world.data(Some(&siti.access), "{ me { profile { fullName } } }", json!({})).await;
    assert_eq!(me["me"]["profile"]["fullName"], "Siti Nurhaliza");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_needs_no_password_but_the_same_conditions() {
    let world = World::new().await;
    let booking = neighbours(&world);
    let siti = known_person(&world).await;
    let admin = crate::admins::admin(&world, "tia@example.com").await;
    let remove = || world.result(Some(&admin.access), REMOVE, json!({ "accountId": siti.id }));
    booking.1.store(1, Ordering::SeqCst);
    assert_eq!(remove().await["code"], "ACCOUNT_HAS_OPEN_BOOKINGS");
    booking.1.store(0, Ordering::SeqCst);
    assert_eq!(remove().await["removedId"], json!(siti.id));
    assert_eq!(count(&world, "account").await, 1);
    assert_eq!(remove().await["code"], "NOT_FOUND", "there is no such account");
    let own = world.result(Some(&admin.access), REMOVE, json!({ "accountId": admin.id })).await;
    assert_eq!(own["code"], "OWN_ACCOUNT");
    assert_eq!(delete(&world, &admin, PASSWORD).await["code"], "LAST_ADMIN");
    let log = world.data(Some(&admin.access), "{ auditEntries { nodes { action subjectId } } }", json!({})).await;
    assert_eq!(log["auditEntries"]["nodes"][0], json!({ "action": "ACCOUNT_REMOVED", "subjectId": siti.id }));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_wait_are_taken_back() {
    let world = World::new().await;
    let _booking = neighbours(&world);
    let siti = world.person("siti_n@example.com").await;
    let other = world.start_sign_up("sitian@example.com").await;
    // Her export's letter and another person's code wait in the queue.
    assert_eq!(export(&world, &siti).await["__typename"], "ExportPersonalDataSuccess");
    delete(&world, &siti, PASSWORD).await;
    let subjects: Vec<String> =
        world.letters("siti_n@example.com").await.into_iter().map(|caught| caught.letter.subject).collect();
    assert_eq!(subjects[0], "Your Berth account was deleted");
    assert!(!subjects.iter().any(|subject| subject.contains("exported")), "{subjects:?}");
    let code = world.code("sitian@example.com").await;
    assert_eq!(world.verify(&other, &code).await["__typename"], "SessionSuccess", "only her letters were taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_everything_and_is_nobody_elses() {
    let world = World::new().await;
    let _booking = neighbours(&world);
    let siti = known_person(&world).await;
    let wrong = world.result(Some(&siti.access), EXPORT, json!({ "password": "not her password" })).await;
    assert_eq!(wrong["code"], "CREDENTIALS_INVALID");
    let budi = world.person("budi@example.com").await;
    let exported = export(&world, &siti).await;
    let document: Value = serde_json::from_str(exported["document"].as_str().expect("a text")).expect("JSON");
    assert_eq!(document["userId"], siti.id);
    let text = document.to_string();
    for fact in ["siti@example.com", "Siti Nurhaliza", "1990-01-02", "+6281234567890", "3174012345671234", "Jl. Merdeka 1"] {
        assert!(text.contains(fact), "{fact} is missing");
    }
    for fact in ["Budi Santoso", "C1234567", "2015-06-01", "bookings of user_", "holds of user_", "payments of user_"] {
        assert!(text.contains(fact), "{fact} is missing");
    }
    assert!(!text.contains("argon2") && !text.contains("budi@example.com"));
    let his: Value = serde_json::from_str(export(&world, &budi).await["document"].as_str().expect("a text")).expect("JSON");
    assert!(!his.to_string().contains("Siti"));
    assert_eq!(world.letters("siti@example.com").await[0].letter.subject, "Your Berth data was exported");
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_are_few_even_in_a_race() {
    let world = World::new().await;
    let _booking = neighbours(&world);
    let siti = known_person(&world).await;
    let racing = (0..8).map(|_| export(&world, &siti));
    let answers = futures_util::future::join_all(racing).await;
    let refused: Vec<&Value> = answers.iter().filter(|answer| answer["code"] == "RATE_LIMITED").collect();
    assert_eq!(refused.len(), 3, "{answers:?}");
    let wait = refused[0]["retryAfterMs"].as_i64().expect("a number");
    assert!((86_000_000..=86_400_000).contains(&wait), "{wait}");
    world.clock.advance(TimeDelta::hours(24));
    world.user.forget_ended().await.expect("cleans up");
    let signed_in = Person::of(&world.sign_in("siti@example.com", PASSWORD).await);
    assert_eq!(export(&world, &signed_in).await["__typename"], "ExportPersonalDataSuccess");
}
