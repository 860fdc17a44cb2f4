//! Every refusal of the booking mutations, typed and without effect; and what strangers see.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod world;

use berth_contracts::Kind;
use chrono::{Days, NaiveTime, TimeDelta};
use serde_json::{Value, json};
use world::{CANCEL, CREATE, World, order};

async fn refused(world: &World, input: Value, kind: &str, code: &str) -> Value {
    let answer = world.create(input).await;
    assert_eq!((answer["__typename"].as_str(), answer["code"].as_str()), (Some(kind), Some(code)), "{answer:#}");
    answer
}

#[tokio::test]
async fn holds_must_be_ones_own_and_alive() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 1);
    let foreign = world.inventory.place(world.clock.new_key(), 1);
    let answer = refused(&world, order(&foreign.encoded(), "a"), "NotFoundError", "NOT_FOUND").await;
    assert_eq!(answer["path"], json!(["input", "holdId"]));
    for malformed in ["", "hold_x", "booking_06d"] {
        let mut input = order(&hold.encoded(), "b");
        input["holdId"] = json!(malformed);
        refused(&world, input, "NotFoundError", "NOT_FOUND").await;
    }
    let ended = world.inventory.place(world.ani, 1);
    world.inventory.change(ended.copy.hold_id, |held| held.copy.state = berth_contracts::peer::HoldState::Released);
    refused(&world, order(&ended.encoded(), "c"), "HoldExpiredError", "HOLD_EXPIRED").await;
    world.clock.advance(TimeDelta::minutes(15));
    refused(&world, order(&hold.encoded(), "d"), "HoldExpiredError", "HOLD_EXPIRED").await;
}

#[tokio::test]
async fn a_hold_makes_one_booking() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 1);
    let made = world.create(order(&hold.encoded(), "first")).await;
    let answer = refused(&world, order(&hold.encoded(), "second"), "HoldAlreadyBookedError", "HOLD_ALREADY_BOOKED").await;
    assert_eq!(answer["bookingId"], made["booking"]["id"]);
    let mut other = order(&hold.encoded(), "first");
    other["contact"]["email"] = json!("budi@example.id");
    refused(&world, other, "IdempotencyConflictError", "IDEMPOTENCY_CONFLICT").await;
}

#[tokio::test]
async fn passengers_must_match_the_seats() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 2);
    let good = order(&hold.encoded(), "key");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut input = good.clone();
        change(&mut input["passengers"]);
        input
    };
    let wrong: [&dyn Fn(&mut Value); 7] = [
        &|passengers| *passengers = json!([]),
        &|passengers| drop(passengers.as_array_mut().expect("a list").pop()),
        &|passengers| passengers[1]["heldSeatId"] = passengers[0]["heldSeatId"].clone(),
        &|passengers| passengers[1]["heldSeatId"] = json!("helditem_x"),
        &|passengers| {
            let extra = passengers[0].clone();
            passengers.as_array_mut().expect("a list").push(extra);
        },
        &|passengers| passengers[0]["passengerId"] = json!("passenger_x"),
        &|passengers| passengers[0]["details"] = Value::Null,
    ];
    for change in wrong {
        refused(&world, with(change), "PassengerRuleError", "PASSENGER_RULE").await;
    }
    let name =
        refused(&world, with(&|list| list[1]["details"]["fullName"] = json!(" ")), "InvalidInputError", "INVALID_INPUT").await;
    assert_eq!(name["path"], json!(["input", "passengers", "1", "details", "fullName"]));
    let future = with(&|list| list[0]["details"]["birthDate"] = json!("2999-01-01"));
    refused(&world, future, "InvalidInputError", "INVALID_INPUT").await;
    let foreign = Kind::Passenger.encode(world.clock.new_key());
    let listed = with(&|list| list[0] = json!({ "heldSeatId": list[0]["heldSeatId"], "passengerId": foreign }));
    let answer = refused(&world, listed, "NotFoundError", "NOT_FOUND").await;
    assert_eq!(answer["path"], json!(["input", "passengers", "0", "passengerId"]));
    assert_eq!(world.create(good).await["__typename"], "CreateBookingSuccess");
}

/// In the evening of UTC the next day has begun in Jakarta, and a child is born there.
#[tokio::test]
async fn a_child_that_is_born_today_in_an_early_zone_travels() {
    let world = World::new().await;
    let midnight = (world.clock.now().date_naive() + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
    world.clock.advance(midnight - world.clock.now() - TimeDelta::hours(1));
    let born = |days: u64, key: &str| {
        let hold = world.inventory.place(world.ani, 1);
        let mut input = order(&hold.encoded(), key);
        input["passengers"][0]["details"]["birthDate"] = json!(world.clock.now().date_naive() + Days::new(days));
        input
    };
    refused(&world, born(2, "a"), "InvalidInputError", "INVALID_INPUT").await;
    assert_eq!(world.create(born(1, "b")).await["__typename"], "CreateBookingSuccess");
}

#[tokio::test]
async fn contacts_and_keys_are_checked() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 1);
    for email in ["", "ani", "ani@example.id\r\nBcc: all@example.id"] {
        let mut input = order(&hold.encoded(), "key");
        input["contact"]["email"] = json!(email);
        let answer = refused(&world, input, "InvalidInputError", "INVALID_INPUT").await;
        assert_eq!(answer["path"], json!(["input", "contact", "email"]));
    }
    for key in [String::new(), "x".repeat(129)] {
        let answer = refused(&world, order(&hold.encoded(), &key), "InvalidInputError", "INVALID_INPUT").await;
        assert_eq!(answer["path"], json!(["input", "idempotencyKey"]));
    }
}

#[tokio::test]
async fn cancelling_has_its_time() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let cancelled = world.cancel(&id, "one").await;
    assert_eq!(
        cancelled["booking"],
        json!({ "id": id, "status": "CANCELLED", "parts": [{ "status": "CANCELLED" }] }),
        "{cancelled:#}"
    );
    assert_eq!(world.inventory.only().copy.state, berth_contracts::peer::HoldState::Released);
    assert_eq!(*world.payments.closed.lock().expect("lock"), vec![key]);
    assert_eq!(world.cancel(&id, "one").await, cancelled);
    assert_eq!(world.cancel(&id, "two").await, cancelled);
    assert_eq!(world.cancel("booking_x", "three").await["code"], "NOT_FOUND");
    assert_eq!(world.cancel("booking_x", "one").await["code"], "IDEMPOTENCY_CONFLICT");
    assert_eq!(world.cancel(&id, "").await["code"], "INVALID_INPUT");
}

#[tokio::test]
async fn a_confirmed_or_expired_booking_can_not_be_cancelled() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let payment = world.payments.add(key, "PAID");
    world.peer().payment_changed(key).await.expect("changed");
    let answer = world.cancel(&id, "late").await;
    assert_eq!(
        (answer["__typename"].as_str(), answer["code"].as_str()),
        (Some("InvalidTransitionError"), Some("INVALID_TRANSITION"))
    );
    assert_eq!((world.status(&id).await.as_str(), world.payments.refund_of(payment)), ("CONFIRMED", None));
    let other = world.inventory.place(world.ani, 1);
    let made = world.create(order(&other.encoded(), "other")).await;
    world.clock.advance(TimeDelta::minutes(15));
    let answer = world.cancel(made["booking"]["id"].as_str().expect("an id"), "too late").await;
    assert_eq!(answer["code"], "INVALID_TRANSITION");
}

#[tokio::test]
async fn strangers_see_nothing() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    world.peer().payment_changed(key).await.expect("changed");
    let ticket = world.tickets(&id).await[0]["id"].clone();
    let user = Kind::User.encode(world.ani);
    let query = "query($booking: ID!, $ticket: ID!, $user: ID!, $all: [_Any!]!) {
        own: node(id: $user) { id } node(id: $booking) { id } other: node(id: $ticket) { id } _entities(representations: $all) { __typename } }";
    let all = json!([{ "__typename": "Booking", "id": id }, { "__typename": "Ticket", "id": ticket }, { "__typename": "User", "id": user }]);
    let variables = json!({ "booking": id, "ticket": ticket, "user": user, "all": all });
    let hers = world.data(query, variables.clone()).await;
    assert_eq!(hers["_entities"], json!([{ "__typename": "Booking" }, { "__typename": "Ticket" }, { "__typename": "User" }]));
    assert_eq!((&hers["own"]["id"], &hers["node"]["id"], &hers["other"]["id"]), (&json!(user), &json!(id), &ticket));
    for stranger in [Some(world.clock.new_key()), None] {
        let theirs = world.ask(stranger, query, variables.clone()).await;
        let nothing = json!({ "own": null, "node": null, "other": null, "_entities": [null, null, null] });
        assert_eq!(theirs["data"], nothing);
        let direct = "query($booking: ID!, $ticket: ID!) { booking(id: $booking) { id } ticket(id: $ticket) { id } }";
        let direct = world.ask(stranger, direct, json!({ "booking": id, "ticket": ticket })).await;
        assert_eq!(direct["data"], json!({ "booking": null, "ticket": null }));
        assert_eq!(direct.get("errors").is_some(), stranger.is_none());
    }
    let stranger = Some(world.clock.new_key());
    let cancel = json!({ "input": { "bookingId": id, "idempotencyKey": "theirs" } });
    assert_eq!(world.ask(stranger, CANCEL, cancel.clone()).await["data"]["cancelBooking"]["code"], "NOT_FOUND");
    assert_eq!(world.ask(None, CANCEL, cancel).await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    let hold = world.inventory.place(world.ani, 1);
    let create = json!({ "input": order(&hold.encoded(), "theirs") });
    assert_eq!(world.ask(None, CREATE, create).await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    assert!(world.peer().payable(world.clock.new_key(), key).await.is_err());
}

#[tokio::test]
async fn nodes_of_other_subgraphs_are_stubs() {
    let world = World::new().await;
    let trip = berth_contracts::id::TripKey { template: world.clock.new_key(), day: 20_812 }.encode();
    let payment = Kind::Payment.encode(world.clock.new_key());
    for (id, kind) in [
        (trip.as_str(), json!("Trip")),
        (&payment, json!("Payment")),
        ("trip_x", Value::Null),
        ("moon_1", Value::Null),
        ("", Value::Null),
    ] {
        let data = world.data("query($id: ID!) { node(id: $id) { __typename id } }", json!({ "id": id })).await;
        assert_eq!(data["node"]["__typename"], kind, "{id}");
    }
}
