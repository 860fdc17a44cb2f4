//! From createPayment to PAID, and what everybody sees on the way.

use berth_contracts::Kind;
use berth_payment::{Payments, qris::Qris};
use chrono::TimeDelta;
use futures_util::{StreamExt, pin_mut};
use serde_json::json;

use crate::world::{PRICE, World, eventually};

const WATCH: &str = "subscription($id: ID!) { paymentStatus(paymentId: $id) { id status } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_paid() {
    let world = World::new().await;
    let booking_id = world.booking();
    let created = world.create(booking_id, "k").await;
    let payment = &created["payment"];
    assert_eq!((&payment["status"], &payment["method"]), (&json!("PENDING"), &json!("qris")), "{created}");
    assert_eq!(payment["amount"], json!({ "amount": "185000.00", "currency": "IDR" }));
    assert_eq!(payment["booking"]["id"], Kind::Booking.encode(booking_id));
    let code = Qris::parse(payment["qris"]["payload"].as_str().unwrap()).unwrap();
    assert_eq!((code.amount, code.bill.as_str()), (PRICE.unsigned_abs(), "BK-2H7QK9"));
    assert_eq!(payment["qris"]["simulated"], true);

    let id = payment["id"].as_str().unwrap();
    let path = payment["qris"]["imageUrl"].as_str().unwrap().strip_prefix(&world.public).unwrap();
    let (status, svg) = world.get(path).await;
    assert!(status == 200 && svg.starts_with("<svg"), "{status} {svg}");
    let (status, page) = world.get(&format!("/sandbox/pay/{id}")).await;
    assert!(status == 200 && page.contains("Rp 185.000") && page.contains("BK-2H7QK9") && page.contains("/settle"), "{page}");

    let states = world.watch(world.viewer(world.user_id), WATCH, json!({ "id": id }));
    pin_mut!(states);
    assert_eq!(states.next().await.unwrap().data.into_json().unwrap()["paymentStatus"]["status"], "PENDING");
    assert_eq!(world.act(id, "settle").await, (200, json!({ "paymentId": id, "status": "settlement", "amount": "185000.00" })));
    assert_eq!(states.next().await.unwrap().data.into_json().unwrap()["paymentStatus"]["status"], "PAID");
    assert_eq!(world.history(id).await, ["CREATED", "PENDING", "PAID"]);
    world.assert_ledger(id, PRICE, 2).await;
    eventually("booking is told", || async { world.bookings.told.lock().unwrap().contains(&booking_id) }).await;
    let copy = world.payments.peer().payments(booking_id).await.unwrap();
    assert_eq!((copy.len(), copy[0].status.as_str(), copy[0].paid_at.is_some()), (1, "PAID", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_refuse_or_wait_too_long_and_still_pay() {
    let world = World::new().await;
    let (booking_id, denied) = world.pending().await;
    assert_eq!(world.act(&denied, "deny").await.0, 200);
    world.reaches(&denied, "FAILED").await;
    let again = world.create(booking_id, "second").await;
    assert_eq!(again["payment"]["status"], "PENDING", "a failed payment leaves room for another: {again}");

    let (_, expired) = world.pending().await;
    assert_eq!(world.act(&expired, "expire").await.0, 200);
    world.reaches(&expired, "EXPIRED").await;
    assert_eq!(world.act(&expired, "settle").await.0, 200, "a transfer may come late");
    world.reaches(&expired, "PAID").await;
    assert_eq!(world.history(&expired).await, ["CREATED", "PENDING", "EXPIRED", "PAID"]);
    assert_eq!(world.act(&expired, "expire").await.0, 409);
    assert_eq!(world.act(&expired, "nonsense").await.0, 404);
    assert_eq!(world.act("payment_unknown", "settle").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_sees_a_payment() {
    let world = World::new().await;
    let (booking_id, id) = world.pending().await;
    let stranger = world.clock.new_key();
    let entities =
        "query($r: [_Any!]!) { _entities(representations: $r) { ... on Payment { status } ... on Booking { payments { id } } } }";
    let wanted = json!({ "r": [
        { "__typename": "Payment", "id": id },
        { "__typename": "Booking", "id": Kind::Booking.encode(booking_id) },
        { "__typename": "Payment", "id": "payment_nonsense" },
    ] });
    let own = world.ask(world.viewer(world.user_id), entities, wanted.clone()).await;
    assert_eq!(own["data"]["_entities"], json!([{ "status": "PENDING" }, { "payments": [{ "id": id }] }, null]), "{own}");
    let foreign = world.ask(world.viewer(stranger), entities, wanted.clone()).await;
    assert_eq!(foreign["data"]["_entities"], json!([null, { "payments": [] }, null]), "{foreign}");
    let nobody = world.ask(berth_kernel::auth::Viewer(None), entities, wanted).await;
    assert_eq!(nobody["data"]["_entities"], json!([null, { "payments": null }, null]), "{nobody}");
    let query = "query($id: ID!) { payment(id: $id) { id } }";
    assert_eq!(world.ask(world.viewer(stranger), query, json!({ "id": id })).await["data"]["payment"], json!(null));

    for (viewer, id, code) in [
        (world.viewer(stranger), id.as_str(), "NOT_FOUND"),
        (world.viewer(world.user_id), "nonsense", "NOT_FOUND"),
        (berth_kernel::auth::Viewer(None), id.as_str(), "UNAUTHENTICATED"),
    ] {
        let states = world.watch(viewer, WATCH, json!({ "id": id }));
        pin_mut!(states);
        let refused = serde_json::to_value(states.next().await.unwrap()).unwrap();
        assert_eq!(refused["errors"][0]["extensions"]["code"], code, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_with_its_token() {
    let world = World::new().await;
    let (_, id) = world.pending().await;
    let states = world.watch(world.viewer(world.user_id), WATCH, json!({ "id": id }));
    pin_mut!(states);
    assert!(states.next().await.unwrap().is_ok());
    world.clock.advance(TimeDelta::minutes(11));
    let end = serde_json::to_value(states.next().await.unwrap()).unwrap();
    assert_eq!(end["errors"][0]["extensions"]["code"], "TOKEN_EXPIRED", "{end}");
    assert!(states.next().await.is_none());
}

#[test]
fn the_sdl_has_what_composition_needs() {
    let sdl = Payments::sdl();
    for part in [
        "type Payment implements Node @key(fields: \"id\")",
        "type Booking @key(fields: \"id\")",
        "): CreatePaymentResult! @authenticated",
        "): Payment! @authenticated",
        "interface UserError",
        "input PaymentMethodInput @oneOf",
    ] {
        assert!(sdl.contains(part), "{part} is missing in\n{sdl}");
    }
}
