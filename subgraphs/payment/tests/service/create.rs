//! createPayment: repeats and refusals.

use berth_contracts::{Currency, Kind, Money};
use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{CREATE, PRICE, World};

fn refusal(answer: &Value) -> (&str, &str) {
    (answer["__typename"].as_str().unwrap_or_default(), answer["code"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_requests_with_one_key_make_one_payment() {
    let world = World::new().await;
    let booking_id = world.booking();
    let answers = join_all((0..8).map(|_| world.create(booking_id, "same"))).await;
    for answer in &answers {
        assert_eq!(answer["payment"], answers[0]["payment"]);
        assert_eq!(answer["payment"]["status"], "PENDING");
    }
    let again = world.create(booking_id, "same").await;
    assert_eq!(again["payment"]["id"], answers[0]["payment"]["id"]);
    assert_eq!(world.payments.peer().payments(booking_id).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_has_one_open_payment_whatever_the_keys() {
    let world = World::new().await;
    let booking_id = world.booking();
    let keys: Vec<String> = (0..8).map(|number| format!("key-{number}")).collect();
    let answers = join_all(keys.iter().map(|key| world.create(booking_id, key))).await;
    let made: Vec<&Value> = answers.iter().filter(|answer| answer["__typename"] == "CreatePaymentSuccess").collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer["__typename"] != "CreatePaymentSuccess") {
        assert_eq!(refusal(answer), ("PaymentPendingError", "PAYMENT_PENDING"));
        assert_eq!(answer["payment"]["id"], made[0]["payment"]["id"]);
    }
    let id = made[0]["payment"]["id"].as_str().unwrap();
    world.act(id, "settle").await;
    world.reaches(id, "PAID").await;
    let late = world.create(booking_id, "late").await;
    assert_eq!(refusal(&late), ("AlreadyPaidError", "ALREADY_PAID"));
    assert_eq!(late["payment"]["id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_bound_to_its_input() {
    let world = World::new().await;
    let booking_id = world.booking();
    assert_eq!(world.create(booking_id, "k").await["payment"]["status"], "PENDING");
    let other = world.create(world.booking(), "k").await;
    assert_eq!(refusal(&other), ("IdempotencyConflictError", "IDEMPOTENCY_CONFLICT"));
    let input = json!({ "bookingId": Kind::Booking.encode(booking_id), "method": { "qris": { "acquirer": "gopay" } }, "idempotencyKey": "k" });
    assert_eq!(refusal(&world.create_with(input).await), ("IdempotencyConflictError", "IDEMPOTENCY_CONFLICT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_paid_is_refused_with_a_type() {
    let world = World::new().await;
    let booking_id = world.booking();
    let input = |booking: &str, acquirer: Value, key: &str| json!({ "bookingId": booking, "method": { "qris": { "acquirer": acquirer } }, "idempotencyKey": key });
    let own = Kind::Booking.encode(booking_id);
    let long = "k".repeat(129);
    for (input, path) in [
        (input(&own, json!(null), ""), "idempotencyKey"),
        (input(&own, json!(null), &long), "idempotencyKey"),
        (input("nonsense", json!(null), "k"), "bookingId"),
        (input(&own, json!("GoPay!"), "k"), "acquirer"),
    ] {
        let answer = world.create_with(input).await;
        assert_eq!(refusal(&answer), ("InvalidInputError", "INVALID_INPUT"));
        assert_eq!(answer["path"].as_array().unwrap().last().unwrap(), path);
    }
    let unknown = world.create(world.clock.new_key(), "k").await;
    assert_eq!(refusal(&unknown), ("NotFoundError", "NOT_FOUND"));
    let foreign = json!({ "input": input(&own, json!(null), "k") });
    let answer = world.ask(world.viewer(world.clock.new_key()), CREATE, foreign.clone()).await;
    assert_eq!(refusal(&answer["data"]["createPayment"]), ("NotFoundError", "NOT_FOUND"));
    let nobody = world.ask(berth_kernel::auth::Viewer(None), CREATE, foreign).await;
    assert_eq!(nobody["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{nobody}");

    world.change_booking(booking_id, |booking| booking.status = "EXPIRED".to_owned());
    assert_eq!(refusal(&world.create(booking_id, "k").await), ("InvalidTransitionError", "BOOKING_NOT_PAYABLE"));
    world.change_booking(booking_id, |booking| booking.status = "CONFIRMED".to_owned());
    assert_eq!(refusal(&world.create(booking_id, "k").await), ("AlreadyPaidError", "ALREADY_PAID"));
    world.change_booking(booking_id, |booking| {
        booking.status = "PENDING_PAYMENT".to_owned();
        booking.total = Money::new(PRICE * 100 + 1, Currency::IDR);
    });
    assert_eq!(refusal(&world.create(booking_id, "k").await), ("InvalidTransitionError", "BOOKING_NOT_PAYABLE"));
    world.change_booking(booking_id, |booking| booking.total = Money::new(PRICE * 100, Currency::IDR));
    world.clock.advance(TimeDelta::minutes(16));
    assert_eq!(refusal(&world.create(booking_id, "k").await), ("InvalidTransitionError", "BOOKING_NOT_PAYABLE"));
    assert!(world.payments.peer().payments(booking_id).await.unwrap().is_empty(), "a refusal leaves nothing behind");
}
