//! placeHold, releaseHold and hold as clients see them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod arena;
mod world;

use arena::{Arena, LEGS};
use async_graphql::{Request, Variables};
use berth_contracts::{Kind, id::TripKey};
use berth_inventory::Inventory;
use berth_kernel::auth::{SignedIn, Viewer};
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

const PLACE: &str = "mutation($input: PlaceHoldInput!) { placeHold(input: $input) {
  __typename
  ... on UserError { code message path }
  ... on PlaceHoldSuccess { hold {
    id status remainingMs expiresAt total { amount amountMinor currency }
    items { __typename ... on HeldSeat { id price { amount } seat { id label state price { amount } } trip { id name } from { id } to { id } } }
  } }
  ... on SeatsUnavailableError { seats { id state } alternatives { id state } two: alternatives(first: 2) { id } }
  ... on HoldLimitError { limit }
} }";
const RELEASE: &str = "mutation($id: ID!) { releaseHold(input: { holdId: $id }) {
  __typename ... on UserError { code path } ... on ReleaseHoldSuccess { hold { id status remainingMs items { ... on HeldSeat { seat { state } } } } }
} }";
const HOLD: &str = "query($id: ID!) { hold(id: $id) { id status } }";
const ENTITY: &str =
    "query($id: ID!) { _entities(representations: [{ __typename: \"Hold\", id: $id }]) { ... on Hold { id status } } }";

async fn ask(arena: &Arena, user: Option<Uuid>, query: &str, variables: Value) -> Value {
    let roles = vec!["USER".to_owned()];
    let expires_at = arena.world.clock.now() + TimeDelta::minutes(10);
    let viewer = user.map(|user_id| SignedIn { user_id, session_id: user_id, roles, expires_at });
    let request = Request::new(query).variables(Variables::from_json(variables)).data(Viewer(viewer));
    serde_json::to_value(arena.world.inventory.schema().execute(request).await).unwrap()
}

fn input(trip: TripKey, (from, to): (u16, u16), select: &Value, key: &str) -> Value {
    let seats =
        json!({ "tripId": trip.encode(), "fromStopId": trip.stop_id(from), "toStopId": trip.stop_id(to), "select": select });
    json!({ "input": { "items": [{ "seats": seats }], "idempotencyKey": key } })
}

fn exact(trip: TripKey, seats: &[u16]) -> Value {
    json!({ "seatIds": seats.iter().map(|&seat| trip.seat_id(seat)).collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_hold_from_placing_to_releasing() {
    let arena = Arena::open().await;
    let (trip, user) = (arena.trip.key(), arena.user());
    let placed = ask(&arena, Some(user), PLACE, input(trip, (1, 3), &exact(trip, &[3, 2]), "k")).await;
    let hold = placed["data"]["placeHold"]["hold"].clone();
    assert_eq!((&hold["status"], hold["items"].as_array().unwrap().len()), (&json!("ACTIVE"), 2), "{placed}");
    assert!((899_000..=900_000).contains(&hold["remainingMs"].as_i64().unwrap()));
    let first = &hold["items"][0];
    assert_eq!(first["seat"]["label"], "1C");
    assert_eq!(first["seat"]["state"], "HELD");
    assert_eq!((&first["price"]["amount"], &first["from"]["id"]), (&first["seat"]["price"]["amount"], &json!(trip.stop_id(1))));
    assert_eq!((&first["trip"]["id"], &first["to"]["id"]), (&json!(trip.encode()), &json!(trip.stop_id(3))));
    let id = json!({ "id": hold["id"] });
    for query in [HOLD, ENTITY] {
        let mine = ask(&arena, Some(user), query, id.clone()).await;
        assert!(mine.to_string().contains("ACTIVE"), "{mine}");
        let others = ask(&arena, Some(arena.user()), query, id.clone()).await;
        assert!(others["errors"].is_null() && !others.to_string().contains("ACTIVE"), "{others}");
    }
    let nobodys = ask(&arena, None, ENTITY, id.clone()).await;
    assert_eq!(nobodys["data"]["_entities"][0], Value::Null, "{nobodys}");
    let foreign = ask(&arena, Some(arena.user()), RELEASE, id.clone()).await;
    assert_eq!(foreign["data"]["releaseHold"]["code"], "NOT_FOUND");
    for _ in 0..2 {
        let released = ask(&arena, Some(user), RELEASE, id.clone()).await;
        let hold = &released["data"]["releaseHold"]["hold"];
        assert_eq!((&hold["status"], &hold["remainingMs"]), (&json!("RELEASED"), &json!(0)), "{released}");
        assert_eq!(hold["items"][0]["seat"]["state"], "AVAILABLE");
    }
}

#[tokio::test]
async fn taken_seats_come_with_alternatives() {
    let arena = Arena::open().await;
    let trip = arena.trip.key();
    arena.hold(&[5], 0..LEGS).await.unwrap();
    let refused = ask(&arena, Some(arena.user()), PLACE, input(trip, (0, 2), &exact(trip, &[4, 5]), "k")).await;
    let refused = &refused["data"]["placeHold"];
    assert_eq!((&refused["__typename"], &refused["code"]), (&json!("SeatsUnavailableError"), &json!("SEATS_UNAVAILABLE")));
    assert_eq!(refused["seats"], json!([{ "id": trip.seat_id(5), "state": "HELD" }]));
    assert_eq!((refused["alternatives"].as_array().unwrap().len(), refused["two"].as_array().unwrap().len()), (5, 2));
    assert_eq!(refused["alternatives"][0], json!({ "id": trip.seat_id(4), "state": "AVAILABLE" }));
    let best = ask(
        &arena,
        Some(arena.user()),
        PLACE,
        input(trip, (0, 2), &json!({ "bestAvailable": { "count": 2, "travelClass": "ECONOMY" } }), "k"),
    );
    assert_eq!(best.await["data"]["placeHold"]["hold"]["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn refusals_are_data_with_a_place() {
    let arena = Arena::open().await;
    let (trip, user) = (arena.trip.key(), Some(arena.user()));
    let other = TripKey { day: trip.day + 1, ..trip };
    let ask_for = |variables: Value| ask(&arena, user, PLACE, variables);
    let mut foreign_stop = input(trip, (0, 2), &exact(trip, &[1]), "k");
    foreign_stop["input"]["items"][0]["seats"]["toStopId"] = json!(other.stop_id(2));
    let mut malformed = input(trip, (0, 2), &exact(trip, &[1]), "k");
    malformed["input"]["items"][0]["seats"]["tripId"] = json!("trip_");
    let cases = [
        (foreign_stop, "InvalidInputError", "INVALID_SEGMENT", "toStopId"),
        (malformed, "InvalidInputError", "INVALID_ID", "tripId"),
        (input(trip, (0, 2), &json!({ "seatIds": ["seat_9"] }), "k"), "InvalidInputError", "INVALID_ID", "seatIds"),
        (
            input(trip, (0, 2), &json!({ "seatIds": [Kind::Hold.encode(Uuid::nil())] }), "k"),
            "InvalidInputError",
            "INVALID_ID",
            "seatIds",
        ),
        (input(trip, (0, 2), &exact(other, &[1]), "k"), "InvalidInputError", "INVALID_SEAT", "seatIds"),
        (input(trip, (0, 2), &exact(trip, &[]), "k"), "InvalidInputError", "INVALID_SEAT_COUNT", "seatIds"),
        (input(trip, (0, 2), &exact(trip, &[1, 1]), "k"), "InvalidInputError", "DUPLICATE_SEAT", "seatIds"),
        (input(trip, (0, 2), &exact(trip, &[1]), ""), "InvalidInputError", "INVALID_IDEMPOTENCY_KEY", "idempotencyKey"),
        (input(TripKey { day: 60_000, ..trip }, (0, 2), &exact(trip, &[1]), "k"), "NotFoundError", "NOT_FOUND", "tripId"),
    ];
    for (variables, typename, code, place) in cases {
        let answer = ask_for(variables.clone()).await;
        let refused = &answer["data"]["placeHold"];
        assert_eq!((&refused["__typename"], &refused["code"]), (&json!(typename), &json!(code)), "{variables} {answer}");
        assert_eq!(refused["path"][0], "input");
        assert_eq!(refused["path"].as_array().unwrap().last().unwrap(), place, "{answer}");
    }
    assert_eq!(arena.version().await, 0);
    let released = ask(&arena, user, RELEASE, json!({ "id": "nonsense" })).await;
    assert_eq!(released["data"]["releaseHold"]["code"], "INVALID_ID");
    let same = || input(trip, (0, 2), &exact(trip, &[1]), "once");
    let (first, second) = (ask_for(same()).await, ask_for(same()).await);
    assert_eq!(first["data"]["placeHold"]["hold"]["id"], second["data"]["placeHold"]["hold"]["id"]);
    let conflict = ask_for(input(trip, (0, 2), &exact(trip, &[2]), "once")).await;
    assert_eq!(conflict["data"]["placeHold"]["__typename"], "IdempotencyConflictError");
    for key in ["a", "b", "c"] {
        ask_for(input(trip, (0, 1), &json!({ "bestAvailable": { "count": 1 } }), key)).await;
    }
    let limit = ask_for(input(trip, (0, 1), &json!({ "bestAvailable": { "count": 1 } }), "d")).await;
    assert_eq!((&limit["data"]["placeHold"]["code"], &limit["data"]["placeHold"]["limit"]), (&json!("HOLD_LIMIT"), &json!(4)));
    arena.world.clock.advance(TimeDelta::hours(12));
    let closed = ask_for(input(trip, (0, 1), &exact(trip, &[1]), "e")).await;
    assert_eq!(closed["data"]["placeHold"]["__typename"], "SaleClosedError", "{closed}");
}

#[tokio::test]
async fn holding_needs_a_person() {
    let arena = Arena::open().await;
    let trip = arena.trip.key();
    for (query, variables) in [
        (PLACE, input(trip, (0, 2), &exact(trip, &[1]), "k")),
        (RELEASE, json!({ "id": Kind::Hold.encode(Uuid::nil()) })),
        (HOLD, json!({ "id": Kind::Hold.encode(Uuid::nil()) })),
    ] {
        let answer = ask(&arena, None, query, variables).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{answer}");
    }
    assert_eq!(Inventory::sdl().matches("@authenticated").count(), 4, "three fields, and the import of the directive");
}
