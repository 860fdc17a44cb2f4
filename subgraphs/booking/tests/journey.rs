//! From a hold to tickets, through the schema.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod world;

use berth_contracts::{Kind, peer::PassengerCopy};
use serde_json::json;
use world::{World, order};

#[tokio::test]
async fn a_paid_booking_becomes_tickets() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 2);
    let made = world.create(order(&hold.encoded(), "first")).await;
    let booking = &made["booking"];
    assert_eq!(made["__typename"], "CreateBookingSuccess", "{made:#}");
    assert_eq!((booking["status"].as_str(), booking["total"]["amount"].as_str()), (Some("PENDING_PAYMENT"), Some("300000.00")));
    assert_eq!(booking["code"].as_str().map(str::len), Some(6));
    assert_eq!(booking["tickets"], json!([]));
    let part = &booking["parts"][1];
    assert_eq!(
        (part["kind"].as_str(), part["status"].as_str(), part["passengerName"].as_str()),
        (Some("PLACE"), Some("HELD"), Some("Ani Sari 1"))
    );
    assert_eq!(part["seat"], json!({ "car": "3", "seat": "2A", "travelClass": "EXECUTIVE" }));
    assert_eq!(part["trip"]["id"], hold.copy.seats[0].trip.encode());
    assert_eq!(part["to"]["id"], hold.copy.seats[0].trip.stop_id(4));

    let id = booking["id"].as_str().expect("an id");
    let key = Kind::Booking.decode(id).expect("an id");
    let started = world.peer().payment_started(key).await.expect("started");
    assert_eq!((started.status.as_str(), started.code.as_str()), ("PENDING_PAYMENT", booking["code"].as_str().expect("a code")));
    let payment = world.payments.add(key, "PENDING");
    world.payments.change(payment, |payment| payment.amount = payment.amount.plus(payment.amount).expect("a sum"));
    world.payments.pay(payment);
    world.peer().payment_changed(key).await.expect("changed");

    assert_eq!(world.status(id).await, "CONFIRMED");
    let tickets = world.tickets(id).await;
    assert_eq!(tickets.len(), 2);
    assert_eq!(tickets[1]["number"], format!("{}-2", started.code));
    let letters = world.letters().await;
    assert_eq!(letters.len(), 1);
    for text in [&letters[0].letter.text, &letters[0].letter.html] {
        for part in [started.code.as_str(), "Ani Sari 1", "Gambir", "Surabaya Pasarturi", "seat 2A", "/qr.svg?t="] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    assert!(letters[0].letter.text.contains(tickets[0]["qrUrl"].as_str().expect("an address")));
    let after = world.data("query($id: ID!) { booking(id: $id) { expiresAt parts { status } } }", json!({ "id": id })).await;
    assert_eq!(after["booking"], json!({ "expiresAt": null, "parts": [{ "status": "CONFIRMED" }, { "status": "CONFIRMED" }] }));
}

#[tokio::test]
async fn listed_passengers_are_copied_and_documents_sealed() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 1);
    let budi = PassengerCopy {
        passenger_id: world.clock.new_key(),
        full_name: "Budi Hartono".to_owned(),
        id_type: "PASSPORT".to_owned(),
        id_number: "X1234567".to_owned(),
        birth_date: chrono::NaiveDate::from_ymd_opt(1980, 5, 6).expect("a date"),
    };
    let passenger_id = Kind::Passenger.encode(budi.passenger_id);
    world.users.passengers.lock().expect("lock").push((world.ani, budi));
    let (hold_id, seats) = hold.encoded();
    let input = json!({ "holdId": hold_id, "passengers": [{ "heldSeatId": seats[0], "passengerId": passenger_id }],
        "contact": { "email": "ani@example.id" }, "idempotencyKey": "first" });
    let made = world.create(input).await;
    assert_eq!(made["booking"]["parts"][0]["passengerName"], "Budi Hartono");
    let statement = berth_kernel::db::sql(world.deps.db.read(), "SELECT passenger_sealed FROM booking_part", []);
    let row = sea_orm::ConnectionTrait::query_one_raw(world.deps.db.read(), statement).await.expect("reads").expect("a row");
    let sealed: String = row.try_get("", "passenger_sealed").expect("a text");
    assert!(!sealed.contains("X1234567"));
    assert!(world.deps.sealer.open(&sealed).expect("opens").contains("X1234567"));
}

#[tokio::test]
async fn eight_at_once_with_one_key_make_one_booking() {
    let world = std::sync::Arc::new(World::new().await);
    let hold = world.inventory.place(world.ani, 2);
    let input = order(&hold.encoded(), "once");
    let calls = (0..8).map(|_| {
        let (world, input) = (std::sync::Arc::clone(&world), input.clone());
        tokio::spawn(async move { world.create(input).await })
    });
    let answers: Vec<_> = futures_util::future::join_all(calls).await.into_iter().map(|answer| answer.expect("runs")).collect();
    assert_eq!(answers[0]["__typename"], "CreateBookingSuccess", "{:#}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let listed = world.data("{ _entities(representations: []) { __typename } }", json!({})).await;
    assert_eq!(listed["_entities"], json!([]));
    let again = world.create(order(&hold.encoded(), "once")).await;
    assert_eq!(again, answers[0]);
}

#[tokio::test]
async fn a_lost_answer_of_inventory_is_repeated_without_harm() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 1);
    // First the answer to `hold` is lost, then the one to `attach_hold`.
    for spared in 0..2 {
        world.inventory.faults.spare.store(spared, std::sync::atomic::Ordering::SeqCst);
        world.inventory.faults.lose.store(1, std::sync::atomic::Ordering::SeqCst);
        let input = json!({ "input": order(&hold.encoded(), "key") });
        let answer = world.ask(Some(world.ani), world::CREATE, input).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "SERVICE_UNAVAILABLE");
    }
    assert!(world.inventory.only().tied.is_some());
    let made = world.create(order(&hold.encoded(), "key")).await;
    assert_eq!(made["__typename"], "CreateBookingSuccess", "{made:#}");
}

#[tokio::test]
async fn the_deadline_moves_once_when_a_payment_starts() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.clock.advance(chrono::TimeDelta::minutes(10));
    let first = world.peer().payment_started(key).await.expect("started");
    let until = first.pay_until.expect("a deadline");
    assert!(until > world.clock.now() + chrono::TimeDelta::minutes(14));
    world.clock.advance(chrono::TimeDelta::minutes(5));
    let second = world.peer().payment_started(key).await.expect("started");
    assert_eq!(second.pay_until, Some(until));
    world.clock.advance(chrono::TimeDelta::minutes(11));
    let late = world.peer().payment_started(key).await.expect("answers");
    assert_eq!((late.status.as_str(), late.pay_until), ("EXPIRED", None));
    assert_eq!(world.status(&id).await, "EXPIRED");
}
