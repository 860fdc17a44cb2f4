//! What people are told, how often, by which ways and in which language.

use std::{sync::Arc, time::Duration};

use async_graphql::Request;
use berth_contracts::{
    Currency, Kind, Money,
    event::{Envelope, Event},
};
use berth_kernel::{
    auth::{SignedIn, Viewer},
    outbox,
};
use chrono::TimeDelta;
use futures_util::{Stream, StreamExt};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::world::{PASSWORD, Person, SIGN_IN, SIGN_UP, World};

const LIST: &str = "query($unread: Boolean, $after: String) { me { unreadNotificationCount \
     notifications(first: 2, after: $after, unreadOnly: $unread) { totalCount pageInfo { hasNextPage endCursor } \
     nodes { id kind title body readAt booking { id } payment { id } } } } }";
const SETTINGS: &str = "{ me { settings { locale timeZone channels { group inApp email sms } } } }";
const UPDATE: &str = "mutation($input: UpdateSettingsInput!) { r: updateSettings(input: $input) { __typename \
     ... on UpdateSettingsSuccess { settings { locale timeZone channels { group inApp email sms } } } \
     ... on UserError { code path } } }";
const MARK: &str = "mutation($input: MarkNotificationsReadInput!) { r: markNotificationsRead(input: $input) { __typename \
     ... on MarkNotificationsReadSuccess { marked unreadCount } ... on UserError { code path } } }";
const PROFILE: &str = "mutation($input: UpdateProfileInput!) { r: updateProfile(input: $input) { __typename } }";
const WATCH: &str = "subscription($since: ID) { notificationReceived(sinceId: $since) { id kind title } }";

fn user_id(person: &Person) -> Uuid {
    Kind::User.decode(&person.id).expect("an id")
}

fn booking(person: &Person, booking_id: Uuid, status: &str) -> Event {
    let (status, code) = (status.to_owned(), Some("BK7QK9".to_owned()));
    Event::BookingChanged { booking_id, user_id: user_id(person), status, code }
}

fn payment(person: &Person, payment_id: Uuid, booking_id: Uuid, status: &str) -> Event {
    let (status, amount) = (status.to_owned(), Money::new(18_500_000, Currency::IDR));
    let (user_id, booking_code) = (user_id(person), Some("BK7QK9".to_owned()));
    Event::PaymentChanged { payment_id, booking_id, user_id, status, amount, booking_code }
}

fn key(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

impl World {
    fn envelope(&self, event: Event) -> Arc<Envelope> {
        Arc::new(Envelope { id: self.clock.new_key(), at: self.clock.now(), trace_parent: None, event })
    }

    /// As the bus brings it.
    async fn happens(&self, event: Event) {
        self.deps.bus.deliver(&self.envelope(event)).await.expect("delivers");
    }

    async fn listed(&self, person: &Person) -> Value {
        self.data(Some(&person.access), LIST, json!({})).await["me"].take()
    }

    async fn kinds(&self, person: &Person) -> Vec<String> {
        let me = self.listed(person).await;
        let nodes = me["notifications"]["nodes"].as_array().expect("a list");
        nodes.iter().map(|node| node["kind"].as_str().expect("a text").to_owned()).collect()
    }

    async fn subjects(&self, to: &str) -> Vec<String> {
        self.letters(to).await.into_iter().map(|caught| caught.letter.subject).collect()
    }

    async fn set(&self, person: &Person, input: Value) -> Value {
        self.result(Some(&person.access), UPDATE, input).await
    }

    fn watch(&self, person: &Person, since: &Value) -> impl Stream<Item = Value> + use<> {
        let expires_at = self.clock.now() + TimeDelta::minutes(10);
        let signed_in = SignedIn { user_id: user_id(person), session_id: Uuid::nil(), roles: vec![], expires_at };
        let variables = async_graphql::Variables::from_json(json!({ "since": since }));
        let request = Request::new(WATCH).variables(variables).data(Viewer(Some(signed_in)));
        self.user.schema().execute_stream(request).map(|answer| serde_json::to_value(answer).expect("JSON"))
    }

    /// Hands what this service announces to the bus.
    async fn publish(&self) {
        while outbox::deliver_batch(&self.db, &self.deps.bus).await.expect("delivers") > 0 {}
    }
}

async fn next(watch: &mut (impl Stream<Item = Value> + Unpin)) -> Value {
    timeout(Duration::from_secs(8), watch.next()).await.expect("in time").expect("an event")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_told_once_however_often_it_comes() {
    let world = World::new().await;
    world.user.start();
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    let confirmed = world.envelope(booking(&siti, key(1), "CONFIRMED"));
    for _ in 0..3 {
        world.deps.bus.deliver(&confirmed).await.expect("delivers");
    }
    // Another event about the same: the booking needed attention in between.
    world.happens(booking(&siti, key(1), "CONFIRMED")).await;
    world.happens(booking(&siti, key(1), "PENDING_PAYMENT")).await;
    let me = world.listed(&siti).await;
    assert_eq!((&me["unreadNotificationCount"], &me["notifications"]["totalCount"]), (&json!(1), &json!(1)), "{me}");
    let node = &me["notifications"]["nodes"][0];
    assert_eq!((&node["kind"], &node["title"]), (&json!("BOOKING_CONFIRMED"), &json!("Booking BK7QK9 is confirmed")));
    assert_eq!(node["booking"]["id"], Kind::Booking.encode(key(1)));
    assert_eq!(world.listed(&budi).await["notifications"]["nodes"], json!([]), "nobody else is told");
    assert_eq!(world.subjects("siti@example.com").await.len(), 1, "booking itself sends the tickets");
    // Somebody who is gone, or was never here.
    let nobody = Person { id: Kind::User.encode(key(99)), ..budi };
    world.happens(booking(&nobody, key(2), "CONFIRMED")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_and_texts_go_by_the_settings() {
    let world = World::new().await;
    world.user.start();
    let siti = world.person("siti@example.com").await;
    // What is told of a phone is not proved: it gets no messages.
    let phone = world.result(Some(&siti.access), PROFILE, json!({ "phone": "+6289999999999" })).await;
    assert_eq!(phone["__typename"], "UpdateProfileSuccess");
    let proved =
        "INSERT INTO identifier (kind, value, account_id, proved_at_ms) SELECT 'PHONE', '+6281234567890', id, 1 FROM account";
    world.db.read().execute_unprepared(proved).await.expect("written");

    world.happens(payment(&siti, key(1), key(9), "FAILED")).await;
    assert_eq!(world.subjects("siti@example.com").await[0], "The payment for booking BK7QK9 failed");
    assert!(world.texts("+6281234567890").await.is_empty(), "texts are off until somebody wants them");

    let wish = json!({ "channels": [{ "group": "PAYMENTS", "email": false, "sms": true }] });
    assert_eq!(world.set(&siti, wish).await["__typename"], "UpdateSettingsSuccess");
    world.happens(payment(&siti, key(2), key(9), "FAILED")).await;
    world.happens(payment(&siti, key(2), key(9), "FAILED")).await;
    assert_eq!(world.subjects("siti@example.com").await.len(), 2, "the code and the first failure");
    let texts = world.texts("+6281234567890").await;
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].message.text.starts_with("Berth: The payment for booking BK7QK9 failed. "), "{texts:?}");
    assert!(world.texts("+6289999999999").await.is_empty());
    assert_eq!(world.listed(&siti).await["notifications"]["totalCount"], 2, "the list is always written");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_one_by_one() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    let usual = world.data(Some(&siti.access), SETTINGS, json!({})).await["me"]["settings"].take();
    let channels = |email: bool, sms: bool, group: &str| json!({ "group": group, "inApp": true, "email": email, "sms": sms });
    let expected =
        json!([channels(true, false, "BOOKINGS"), channels(true, false, "PAYMENTS"), channels(true, false, "SECURITY")]);
    assert_eq!(usual, json!({ "locale": "EN", "timeZone": "UTC", "channels": expected }));

    let changed = world.set(&siti, json!({ "locale": "ID", "timeZone": "Asia/Makassar" })).await;
    assert_eq!((&changed["settings"]["locale"], &changed["settings"]["timeZone"]), (&json!("ID"), &json!("Asia/Makassar")));
    world
        .set(&siti, json!({ "channels": [{ "group": "SECURITY", "sms": true }, { "group": "BOOKINGS", "email": false }] }))
        .await;
    let kept = world.data(Some(&siti.access), SETTINGS, json!({})).await["me"]["settings"].take();
    let expected =
        json!([channels(false, false, "BOOKINGS"), channels(true, false, "PAYMENTS"), channels(true, true, "SECURITY")]);
    assert_eq!(kept, json!({ "locale": "ID", "timeZone": "Asia/Makassar", "channels": expected }));

    for refused in [
        json!({ "channels": [{ "group": "SECURITY", "email": false }] }),
        json!({ "channels": [{ "group": "BOOKINGS", "sms": true }, { "group": "BOOKINGS", "sms": false }] }),
    ] {
        let refusal = world.set(&siti, refused).await;
        assert_eq!((&refusal["code"], &refusal["path"]), (&json!("INVALID_INPUT"), &json!(["input", "channels"])));
    }
    let wrong = world.respond(Some(&siti.access), UPDATE, json!({ "input": { "timeZone": "Asia/Atlantis" } })).await;
    assert_eq!(wrong["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_in_the_language_of_their_reader() {
    let world = World::new().await;
    world.user.start();
    let sign_up = json!({ "email": "siti@example.com", "password": PASSWORD, "locale": "ID" });
    let flow = world.result(None, SIGN_UP, sign_up).await["flowId"].as_str().expect("a text").to_owned();
    let code = world.code("siti@example.com").await;
    assert_eq!(world.subjects("siti@example.com").await, [format!("{code} adalah kode Berth Anda")]);
    let siti = Person::of(&world.verify(&flow, &code).await);

    world.happens(booking(&siti, key(1), "EXPIRED")).await;
    assert_eq!(world.subjects("siti@example.com").await[0], "Pemesanan BK7QK9 telah kedaluwarsa");
    let letter = world.letters("siti@example.com").await.remove(0).letter;
    assert!(letter.html.contains("lang=\"id\"") && letter.text.contains("tidak dibayar tepat waktu"), "{letter:?}");
    // The list follows its reader, also with what was told before.
    assert_eq!(world.listed(&siti).await["notifications"]["nodes"][0]["title"], "Pemesanan BK7QK9 telah kedaluwarsa");
    world.set(&siti, json!({ "locale": "EN" })).await;
    assert_eq!(world.listed(&siti).await["notifications"]["nodes"][0]["title"], "Booking BK7QK9 has expired");
    // A known address is written to in the language of who signs up: its own would have to be looked up.
    let again = json!({ "email": "siti@example.com", "password": "somebody else's", "locale": "ID" });
    world.result(None, SIGN_UP, again).await;
    assert_eq!(world.subjects("siti@example.com").await[0], "Anda sudah memiliki akun Berth");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_news_that_is_true_no_more_is_not_told() {
    let world = World::new().await;
    world.user.start();
    let siti = world.person("siti@example.com").await;
    world.happens(booking(&siti, key(1), "CONFIRMED")).await;
    world.happens(booking(&siti, key(1), "EXPIRED")).await;
    world.happens(payment(&siti, key(2), key(1), "FAILED")).await;
    assert_eq!(world.kinds(&siti).await, ["BOOKING_CONFIRMED"]);
    // The other way round both are true: the money came late.
    world.happens(booking(&siti, key(3), "EXPIRED")).await;
    world.happens(booking(&siti, key(3), "CONFIRMED")).await;
    assert_eq!(world.kinds(&siti).await, ["BOOKING_CONFIRMED", "BOOKING_EXPIRED"], "two of three, newest first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_page_by_page_and_marked() {
    let world = World::new().await;
    world.user.start();
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    for number in 1..=5 {
        world.happens(booking(&siti, key(number), "CONFIRMED")).await;
    }
    let (mut after, mut ids) = (Value::Null, Vec::new());
    loop {
        let page = world.data(Some(&siti.access), LIST, json!({ "after": after })).await["me"]["notifications"].take();
        let nodes = page["nodes"].as_array().expect("a list").clone();
        ids.extend(nodes.iter().map(|node| node["id"].as_str().expect("a text").to_owned()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(ids.len(), 5);

    let mark = async |who: &Person, input: Value| world.result(Some(&who.access), MARK, input).await;
    for foreign in [json!({ "notificationIds": [ids[0]] }), json!({ "upTo": ids[0] }), json!({ "upTo": siti.id })] {
        assert_eq!(mark(&budi, foreign).await["code"], "NOT_FOUND");
    }
    let unknown = Kind::Notification.encode(key(7));
    assert_eq!(mark(&siti, json!({ "notificationIds": [ids[0], unknown] })).await["code"], "NOT_FOUND", "then nothing is marked");
    assert_eq!(mark(&siti, json!({ "all": false })).await["code"], "INVALID_INPUT");
    assert_eq!(mark(&siti, json!({ "notificationIds": [] })).await["code"], "INVALID_INPUT");

    let counts = |marked: i32, unread: i32| json!({ "__typename": "MarkNotificationsReadSuccess", "marked": marked, "unreadCount": unread });
    assert_eq!(mark(&siti, json!({ "notificationIds": [ids[4], ids[4]] })).await, counts(1, 4));
    assert_eq!(mark(&siti, json!({ "notificationIds": [ids[4]] })).await, counts(0, 4));
    assert_eq!(mark(&siti, json!({ "upTo": ids[2] })).await, counts(2, 2), "two older ones were unread");
    let unread = world.data(Some(&siti.access), LIST, json!({ "unread": true })).await["me"]["notifications"].take();
    assert_eq!((&unread["totalCount"], unread["nodes"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    assert_eq!(mark(&siti, json!({ "all": true })).await, counts(2, 0));

    // What is unread stays for ever, what was read for half a year.
    world.happens(booking(&siti, key(6), "CONFIRMED")).await;
    world.clock.advance(TimeDelta::days(179));
    world.user.forget_ended().await.expect("cleans up");
    assert_eq!(world.user_rows("notification").await, 6);
    world.clock.advance(TimeDelta::days(2));
    world.user.forget_ended().await.expect("cleans up");
    assert_eq!(world.user_rows("notification").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_arrive_live_each_once() {
    let world = World::new().await;
    world.user.start();
    let (siti, budi) = (world.person("siti@example.com").await, world.person("budi@example.com").await);
    world.happens(booking(&siti, key(1), "CONFIRMED")).await;
    world.publish().await;
    let (mut hers, mut his) = (Box::pin(world.watch(&siti, &Value::Null)), Box::pin(world.watch(&budi, &Value::Null)));
    let heard = tokio::spawn(async move { (next(&mut hers).await, next(&mut hers).await, hers) });
    let unheard = tokio::spawn(async move { timeout(Duration::from_secs(1), his.next()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.happens(booking(&siti, key(2), "CONFIRMED")).await;
    // The first is told by the bus, the second although its event is lost.
    world.publish().await;
    world.happens(booking(&siti, key(3), "CANCELLED")).await;
    let (first, second, mut hers) = heard.await.expect("two events");
    assert_eq!(first["data"]["notificationReceived"]["kind"], "BOOKING_CONFIRMED", "what was there before is not told again");
    assert_eq!(second["data"]["notificationReceived"]["kind"], "BOOKING_CANCELLED");
    assert!(unheard.await.expect("no panic").is_err(), "somebody else hears nothing");

    world.clock.advance(TimeDelta::minutes(11));
    let last = next(&mut hers).await;
    assert_eq!(last["errors"][0]["extensions"]["code"], "TOKEN_EXPIRED", "{last}");
    assert!(hers.next().await.is_none());

    // Coming back: what came since, then what comes.
    let since = &first["data"]["notificationReceived"]["id"];
    let mut back = Box::pin(world.watch(&siti, since));
    assert_eq!(next(&mut back).await["data"]["notificationReceived"]["id"], second["data"]["notificationReceived"]["id"]);
    let mut wrong = Box::pin(world.watch(&siti, &json!("notification_nonsense")));
    assert_eq!(next(&mut wrong).await["errors"][0]["extensions"]["code"], "INVALID_CURSOR");
    let nobody = Request::new(WATCH).data(Viewer(None));
    let mut nobody = world.user.schema().execute_stream(nobody);
    let refused = serde_json::to_value(nobody.next().await.expect("an answer")).expect("JSON");
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_on_a_new_device_is_told() {
    let world = World::new().await;
    let siti = world.person("siti@example.com").await;
    world.set(&siti, json!({ "timeZone": "Asia/Jakarta", "channels": [{ "group": "BOOKINGS", "email": false }] })).await;
    let sign_in = async |device: Value| {
        let input = json!({ "email": "siti@example.com", "password": PASSWORD, "device": device });
        Person::of(&world.result(None, SIGN_IN, input).await)
    };
    sign_in(Value::Null).await;
    assert_eq!(world.subjects("siti@example.com").await.len(), 1, "without a name, like the sign-up");
    sign_in(json!("Siti's phone")).await;
    sign_in(json!("Siti's phone")).await;
    let told = world.letters("siti@example.com").await;
    assert_eq!((told.len(), told[0].letter.subject.as_str()), (2, "New sign-in to your Berth account"));
    assert!(told[0].letter.text.contains("on Siti's phone, ") && told[0].letter.text.contains(" WIB"), "{told:?}");
    assert_eq!(world.kinds(&siti).await, ["SIGNED_IN"]);
}
