//! Tickets: signed, listed, pictured; and the live view of a booking.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod world;

use axum::{body::Body, http::Request};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_contracts::Kind;
use chrono::TimeDelta;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;
use world::{World, order};

async fn confirmed(world: &World) -> (String, uuid::Uuid, Value) {
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    world.peer().payment_changed(key).await.expect("changed");
    let ticket = world.tickets(&id).await[0].clone();
    (id, key, ticket)
}

#[tokio::test]
async fn the_qr_code_is_verified_with_the_public_key_alone() {
    let world = World::new().await;
    let (_, _, ticket) = confirmed(&world).await;
    let jwk = world.key.jwk();
    let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().expect("x")).expect("base64url");
    let public = VerifyingKey::from_bytes(&public.try_into().expect("32 bytes")).expect("a key");
    let qr = ticket["qr"].as_str().expect("a text");
    let (signed, signature) = qr.rsplit_once('.').expect("three parts");
    let signature: [u8; 64] = URL_SAFE_NO_PAD.decode(signature).expect("base64url").try_into().expect("64 bytes");
    let signature = Signature::from_bytes(&signature);
    public.verify(signed.as_bytes(), &signature).expect("ours");
    assert!(public.verify(signed.replace("BERTH1", "BERTH2").as_bytes(), &signature).is_err());
    let payload = signed.strip_prefix("BERTH1.").expect("the format");
    let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("json");
    assert_eq!((&payload["kid"], &payload["tid"], &payload["num"]), (&jwk["kid"], &ticket["id"], &ticket["number"]));
    assert_eq!(
        (payload["pax"].as_str(), payload["from"].as_str(), payload["seat"].as_str()),
        (Some("A. S. 0."), Some("Gambir"), Some("1A"))
    );
    assert!(!payload.to_string().contains("3174012345678901") && !payload.to_string().contains("Sari"));
}

#[tokio::test]
async fn the_picture_needs_its_token() {
    let world = World::new().await;
    let (_, _, ticket) = confirmed(&world).await;
    let url = ticket["qrUrl"].as_str().expect("an address");
    let path = url.strip_prefix("http://127.0.0.1:4000").expect("the base").to_owned();
    let get = async |path: String| {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        world.bookings.public_routes().oneshot(request).await.expect("answers")
    };
    let good = get(path.clone()).await;
    assert_eq!((good.status().as_u16(), good.headers()["content-type"].to_str().expect("a text")), (200, "image/svg+xml"));
    let svg = axum::body::to_bytes(good.into_body(), 1 << 20).await.expect("a body");
    assert!(svg.starts_with(b"<svg"));
    let (bare, token) = path.split_once("?t=").expect("a token");
    let other = Kind::Ticket.encode(world.clock.new_key());
    for wrong in [
        bare.to_owned(),
        format!("{bare}?t="),
        format!("{bare}?t={}", token.to_lowercase()),
        format!("/tickets/{other}/qr.svg?t={token}"),
        "/tickets/ticket_x/qr.svg?t=x".to_owned(),
    ] {
        assert_eq!(get(wrong.clone()).await.status().as_u16(), 404, "{wrong}");
    }
}

async fn list(world: &World, fields: &str) -> Value {
    let query = format!("query($all: [_Any!]!) {{ _entities(representations: $all) {{ ... on User {{ {fields} }} }} }}");
    let user = Kind::User.encode(world.ani);
    world.data(&query, json!({ "all": [{ "__typename": "User", "id": user }] })).await["_entities"][0].clone()
}

#[tokio::test]
async fn tickets_are_listed_by_the_time_of_their_journey() {
    let world = World::new().await;
    let (_, _, first) = confirmed(&world).await;
    let all = "past: tickets(when: PAST) { totalCount } present: tickets(when: PRESENT) { totalCount }
        upcoming: tickets(when: UPCOMING) { totalCount } all: tickets { nodes { id } totalCount }";
    let count = |past: i32, present: i32, upcoming: i32| {
        json!({ "past": { "totalCount": past }, "present": { "totalCount": present }, "upcoming": { "totalCount": upcoming },
            "all": { "nodes": [{ "id": first["id"] }], "totalCount": 1 } })
    };
    assert_eq!(list(&world, all).await, count(0, 0, 1));
    world.clock.advance(TimeDelta::days(3));
    assert_eq!(list(&world, all).await, count(0, 1, 0));
    world.clock.advance(TimeDelta::hours(8));
    assert_eq!(list(&world, all).await, count(1, 0, 0));
}

#[tokio::test]
async fn bookings_are_paged_newest_first() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for at in 0..5 {
        let hold = world.inventory.place(world.ani, 1);
        let made = world.create(order(&hold.encoded(), &format!("key {at}"))).await;
        ids.insert(0, made["booking"]["id"].clone());
        world.clock.advance(TimeDelta::seconds(1));
    }
    let fields =
        |after: &str| format!("bookings(first: 2{after}) {{ nodes {{ id }} totalCount pageInfo {{ hasNextPage endCursor }} }}");
    let mut seen = Vec::new();
    let mut after = String::new();
    for page in 0..3 {
        let bookings = list(&world, &fields(&after)).await["bookings"].clone();
        assert_eq!((&bookings["totalCount"], &bookings["pageInfo"]["hasNextPage"]), (&json!(5), &json!(page < 2)));
        seen.extend(bookings["nodes"].as_array().expect("a list").iter().map(|node| node["id"].clone()));
        after = format!(", after: {}", bookings["pageInfo"]["endCursor"]);
    }
    assert_eq!(seen, ids);
    world.clock.advance(TimeDelta::minutes(16));
    let filtered = "open: bookings(filter: { statuses: [PENDING_PAYMENT] }) { totalCount }
        over: bookings(filter: { statuses: [EXPIRED, CONFIRMED] }) { totalCount }";
    assert_eq!(list(&world, filtered).await, json!({ "open": { "totalCount": 0 }, "over": { "totalCount": 5 } }));
    let user = Kind::User.encode(world.ani);
    let query =
        "query($all: [_Any!]!) { _entities(representations: $all) { ... on User { bookings(first: 101) { totalCount } } } }";
    let answer = world.ask(Some(world.ani), query, json!({ "all": [{ "__typename": "User", "id": user }] })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "PAGE_TOO_LARGE");
}

const WATCH: &str = "subscription($id: ID!) { bookingStatus(bookingId: $id) { status tickets { number } } }";

#[tokio::test]
async fn the_live_view_begins_with_the_present_and_pushes_changes() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let viewer = world.viewer(Some(world.ani));
    let mut watch = world.schema.execute_stream(world.request(&viewer, WATCH, json!({ "id": id })));
    let first = watch.next().await.expect("an event").data.into_json().expect("json");
    assert_eq!(first["bookingStatus"], json!({ "status": "PENDING_PAYMENT", "tickets": [] }));
    world.payments.add(key, "PAID");
    world.peer().payment_changed(key).await.expect("changed");
    world.publish().await;
    let next = watch.next().await.expect("an event").data.into_json().expect("json");
    assert_eq!(next["bookingStatus"]["status"], "CONFIRMED");
    assert_eq!(next["bookingStatus"]["tickets"].as_array().map(Vec::len), Some(1));
    world.clock.advance(TimeDelta::minutes(10));
    let last = watch.next().await.expect("an event");
    let last = serde_json::to_value(last).expect("json");
    assert_eq!(last["errors"][0]["extensions"]["code"], "TOKEN_EXPIRED");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn the_live_view_is_the_owners() {
    let world = World::new().await;
    let (id, _) = world.booked().await;
    let stranger = world.viewer(Some(world.clock.new_key()));
    for (viewer, id, code) in [
        (stranger, id.as_str(), "NOT_FOUND"),
        (world.viewer(Some(world.ani)), "booking_x", "NOT_FOUND"),
        (world.viewer(None), id.as_str(), "UNAUTHENTICATED"),
    ] {
        let mut watch = world.schema.execute_stream(world.request(&viewer, WATCH, json!({ "id": id })));
        let answer = serde_json::to_value(watch.next().await.expect("an answer")).expect("json");
        assert_eq!(answer["errors"][0]["extensions"]["code"], code);
        assert!(watch.next().await.is_none());
    }
}

#[test]
fn the_sdl_is_federated() {
    let sdl = berth_booking::Bookings::sdl();
    for wanted in [
        "type Booking implements Node @key(fields: \"id\")",
        "type Ticket implements Node @key(fields: \"id\")",
        "type Trip implements Node @key(fields: \"id\", resolvable: false)",
        "type TripStop @key(fields: \"id\", resolvable: false)",
        "bookingStatus(",
        "interface UserError",
        "@authenticated",
        "first: Int = 20",
        "when: TicketWhen = ALL",
    ] {
        assert!(sdl.contains(wanted), "{wanted} in\n{sdl}");
    }
}

#[tokio::test]
async fn everything_in_the_graph_is_described() {
    let world = World::new().await;
    let query = "{ __schema { types { name kind description fields { name description args { name description } }
        inputFields { name description } enumValues { name description } } } }";
    let schema = world.data(query, json!({})).await;
    let mut bare = Vec::new();
    for kind in schema["__schema"]["types"].as_array().expect("types") {
        let name = kind["name"].as_str().expect("a name");
        // ID is async-graphql's own.
        if name.starts_with('_') || name == "ID" {
            continue;
        }
        for list in ["fields", "inputFields", "enumValues"] {
            for member in kind[list]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|member| !member["name"].as_str().is_some_and(|name| name.starts_with('_')))
            {
                let arguments = member["args"].as_array().into_iter().flatten();
                let undescribed = std::iter::once(member)
                    .chain(arguments)
                    .filter(|thing| thing["description"].as_str().is_none_or(str::is_empty));
                bare.extend(undescribed.map(|thing| format!("{name}.{} {}", member["name"], thing["name"])));
            }
        }
        if kind["description"].as_str().is_none_or(str::is_empty) {
            bare.push(name.to_owned());
        }
    }
    assert!(bare.is_empty(), "{bare:#?}");
}
