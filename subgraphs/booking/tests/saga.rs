//! The saga under lost answers, repeated steps, crashes and late money.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod world;

use std::sync::atomic::Ordering::SeqCst;

use berth_contracts::{Kind, event::Event, peer::HoldState};
use berth_kernel::bus::News;
use chrono::TimeDelta;
use futures_util::FutureExt;
use serde_json::json;
use world::{World, order};

/// Past every deadline of a booking whose payment was never started.
fn after_deadline() -> TimeDelta {
    TimeDelta::minutes(16)
}

async fn assert_confirmed_once(world: &World, id: &str) {
    assert_eq!(world.status(id).await, "CONFIRMED");
    assert_eq!(world.tickets(id).await.len(), 1);
    assert_eq!(world.letters().await.len(), 1);
    assert_eq!((world.inventory.only().copy.state, world.inventory.only().commits), (HoldState::Committed, 1));
}

#[tokio::test]
async fn every_step_twice_is_harmless() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    for _ in 0..2 {
        world.bookings.step(key).await.expect("steps");
        world.peer().payment_started(key).await.expect("starts");
    }
    world.payments.add(key, "PAID");
    for _ in 0..3 {
        world.bookings.step(key).await.expect("steps");
        assert_confirmed_once(&world, &id).await;
    }
    let both = tokio::join!(world.bookings.step(key), world.bookings.step(key));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_confirmed_once(&world, &id).await;
}

#[tokio::test]
async fn many_steps_at_once_confirm_once() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    let steps = (0..16).map(|_| world.bookings.step(key));
    for done in futures_util::future::join_all(steps).await {
        done.expect("steps");
    }
    assert_confirmed_once(&world, &id).await;
}

/// A call to another service fails before or after its work, then the process dies: a new one goes on.
#[tokio::test]
async fn a_crash_after_any_call_converges() {
    for point in 0..8 {
        let mut world = World::new().await;
        let (id, key) = world.booked().await;
        world.payments.add(key, "PAID");
        let faults = if point % 2 == 0 { &world.inventory.faults } else { &world.payments.faults };
        let count = if point / 2 % 2 == 0 { &faults.refuse } else { &faults.lose };
        count.store(1 + point / 4, SeqCst);
        world.bookings.step(key).await.expect("the next try is noted");
        world.restart().await;
        world.settle().await;
        assert_confirmed_once(&world, &id).await;
    }
}

#[tokio::test]
async fn a_crash_around_a_refund_moves_money_once() {
    for (refuse, lose) in [(1, 0), (0, 1), (0, 2), (2, 2)] {
        let mut world = World::new().await;
        let (id, key) = world.booked().await;
        world.clock.advance(after_deadline());
        world.bookings.step(key).await.expect("expires");
        world.inventory.take_all();
        let payment = world.payments.add(key, "PAID");
        world.payments.faults.lose.store(lose, SeqCst);
        world.bookings.step(key).await.expect("steps");
        world.payments.faults.refuse.store(refuse, SeqCst);
        world.restart().await;
        world.settle().await;
        assert_eq!(world.status(&id).await, "REFUNDED");
        assert_eq!(world.payments.refund_of(payment), Some(("SEATS_GONE".to_owned(), 1)));
        let letters = world.letters().await;
        assert_eq!(letters.len(), 1);
        assert!(letters[0].letter.text.contains("IDR 150000.00") && letters[0].letter.text.contains("sold to somebody else"));
        assert!(world.tickets(&id).await.is_empty());
    }
}

#[tokio::test]
async fn unpaid_bookings_expire_with_their_hold() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.payments.add(key, "PENDING");
    world.clock.advance(after_deadline());
    assert_eq!(world.status(&id).await, "EXPIRED", "the deadline counts without the reconciler");
    assert_eq!(world.bookings.reconcile().await.expect("reconciles"), 1);
    assert_eq!((world.status(&id).await.as_str(), world.payments.statuses()), ("EXPIRED", vec!["CANCELLED".to_owned()]));
    assert_eq!(world.inventory.only().copy.state, HoldState::Expired, "by inventory's clock, not by ours");
    assert!(world.letters().await.is_empty());
}

#[tokio::test]
async fn money_is_asked_for_before_a_booking_expires() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    world.clock.advance(after_deadline());
    world.payments.faults.refuse.store(1, SeqCst);
    world.bookings.reconcile().await.expect("payment is away");
    world.clock.advance(TimeDelta::seconds(2));
    world.bookings.reconcile().await.expect("reconciles");
    assert_confirmed_once(&world, &id).await;
}

#[tokio::test]
async fn late_money_takes_free_seats() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let payment = world.payments.add(key, "PENDING");
    world.clock.advance(after_deadline());
    world.settle().await;
    assert_eq!(world.status(&id).await, "EXPIRED");
    world.payments.pay(payment);
    world.peer().payment_changed(key).await.expect("changed");
    assert_confirmed_once(&world, &id).await;
    assert!(world.letters().await[0].letter.text.contains("after the time limit"));
}

#[tokio::test]
async fn late_money_for_taken_seats_goes_back() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let payment = world.payments.add(key, "PENDING");
    world.clock.advance(after_deadline());
    world.settle().await;
    world.inventory.take_all();
    world.payments.pay(payment);
    world.payments.slow_refunds.store(2, SeqCst);
    world.peer().payment_changed(key).await.expect("changed");
    assert_eq!(world.status(&id).await, "REFUND_PENDING");
    assert!(world.letters().await.is_empty());
    world.settle().await;
    assert_eq!(world.status(&id).await, "REFUNDED");
    assert_eq!(world.payments.refund_of(payment), Some(("SEATS_GONE".to_owned(), 1)));
    assert_eq!(world.letters().await.len(), 1);
    let parts = world.data("query($id: ID!) { booking(id: $id) { parts { status } tickets { id } } }", json!({ "id": id })).await;
    assert_eq!(parts["booking"], json!({ "parts": [{ "status": "REFUNDED" }], "tickets": [] }));
}

#[tokio::test]
async fn of_two_late_payers_one_gets_the_seats() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let payments = [world.payments.add(key, "PENDING"), world.payments.add(key, "PENDING")];
    world.clock.advance(after_deadline());
    world.settle().await;
    for payment in payments {
        world.payments.pay(payment);
    }
    world.settle().await;
    assert_eq!((world.status(&id).await.as_str(), world.tickets(&id).await.len()), ("CONFIRMED", 1));
    assert_eq!(world.payments.refund_of(payments[0]), None);
    assert_eq!(world.payments.refund_of(payments[1]), Some(("NOT_NEEDED".to_owned(), 1)));
    assert_eq!(world.letters().await.len(), 2);
}

#[tokio::test]
async fn a_second_payment_of_a_confirmed_booking_goes_back() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    let second = world.payments.add(key, "PENDING");
    world.peer().payment_changed(key).await.expect("changed");
    assert_eq!(world.payments.statuses(), ["PAID", "CANCELLED"], "the unneeded payment was closed");
    world.payments.pay(second);
    world.settle().await;
    assert_eq!(world.status(&id).await, "CONFIRMED");
    assert_eq!(world.payments.refund_of(second), Some(("NOT_NEEDED".to_owned(), 1)));
}

/// The older of two payments settles last, as an abandoned order does, and both are seen at once. One decider keeps one of
/// them and gives the other back: never both.
#[tokio::test]
async fn of_two_payments_that_settle_in_any_order_one_goes_back() {
    for order in [[0, 1], [1, 0]] {
        let world = World::new().await;
        let (id, key) = world.booked().await;
        let payments = [world.payments.add(key, "EXPIRED"), world.payments.add(key, "PENDING")];
        for at in order {
            world.payments.pay(payments[at]);
        }
        world.peer().payment_changed(key).await.expect("changed");
        world.settle().await;
        assert_eq!((world.status(&id).await.as_str(), world.tickets(&id).await.len()), ("CONFIRMED", 1));
        let back = payments.iter().filter(|payment| world.payments.refund_of(**payment).is_some()).count();
        assert_eq!(back, 1);
    }
}

#[tokio::test]
async fn money_for_a_cancelled_booking_goes_back() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let payment = world.payments.add(key, "PENDING");
    world.cancel(&id, "changed my mind").await;
    assert_eq!(world.payments.statuses(), ["CANCELLED"]);
    world.payments.pay(payment);
    world.settle().await;
    assert_eq!(world.status(&id).await, "REFUNDED");
    assert_eq!(world.payments.refund_of(payment), Some(("BOOKING_CANCELLED".to_owned(), 1)));
    assert_eq!(world.inventory.only().copy.state, HoldState::Released);
    assert!(world.letters().await[0].letter.text.contains("after the booking was cancelled"));
}

#[tokio::test]
async fn cancelling_while_all_peers_are_away_is_finished_later() {
    let world = World::new().await;
    let (id, _) = world.booked().await;
    world.inventory.faults.refuse.store(1, SeqCst);
    world.payments.faults.refuse.store(1, SeqCst);
    assert_eq!(world.cancel(&id, "one").await["booking"]["status"], "CANCELLED");
    assert_eq!(world.inventory.only().copy.state, HoldState::Active);
    world.settle().await;
    assert_eq!(world.inventory.only().copy.state, HoldState::Released);
}

/// A payment that begins at the same moment moves the deadline in the same row.
#[tokio::test]
async fn cancelling_meets_other_changes_of_the_booking() {
    let world = World::new().await;
    for round in 0..20 {
        let hold = world.inventory.place(world.ani, 1);
        let made = world.create(order(&hold.encoded(), &format!("booking {round}"))).await;
        let id = made["booking"]["id"].as_str().expect("an id").to_owned();
        let key = Kind::Booking.decode(&id).expect("an id");
        let (peer, again) = (world.peer(), format!("cancel {round}"));
        let (cancelled, started, nudged) =
            tokio::join!(world.cancel(&id, &again), peer.payment_started(key), peer.payment_changed(key));
        assert_eq!(cancelled["booking"]["status"], "CANCELLED", "round {round}: {cancelled:#}");
        assert!(started.is_ok() && nudged.is_ok(), "{started:?} {nudged:?}");
    }
}

#[tokio::test]
async fn without_a_bus_the_reconciler_finds_the_money() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.peer().payment_started(key).await.expect("starts");
    let payment = world.payments.add(key, "PENDING");
    world.clock.advance(TimeDelta::seconds(5));
    assert_eq!(world.bookings.reconcile().await.expect("reconciles"), 1);
    world.payments.pay(payment);
    assert_eq!(world.bookings.reconcile().await.expect("nothing is due"), 0);
    world.clock.advance(TimeDelta::seconds(41));
    assert_eq!(world.bookings.reconcile().await.expect("reconciles"), 1);
    assert_confirmed_once(&world, &id).await;
}

#[tokio::test]
async fn stuck_work_asks_for_attention_and_goes_on() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    world.inventory.faults.refuse.store(1000, SeqCst);
    world.bookings.step(key).await.expect("steps");
    assert_eq!(world.status(&id).await, "CONFIRMING");
    for _ in 0..11 {
        world.clock.advance(TimeDelta::seconds(61));
        world.bookings.reconcile().await.expect("reconciles");
    }
    assert_eq!(world.status(&id).await, "NEEDS_ATTENTION");
    let query = "query($all: [_Any!]!) { _entities(representations: $all) { ... on User { bookings(filter: { statuses: [NEEDS_ATTENTION] }) { nodes { id } } } } }";
    let user = berth_contracts::Kind::User.encode(world.ani);
    let listed = world.data(query, json!({ "all": [{ "__typename": "User", "id": user }] })).await;
    assert_eq!(listed["_entities"][0]["bookings"]["nodes"], json!([{ "id": id }]));
    world.inventory.faults.refuse.store(0, SeqCst);
    world.settle().await;
    assert_confirmed_once(&world, &id).await;
}

#[tokio::test]
async fn the_bus_tells_every_change_in_order() {
    let world = World::new().await;
    let mut news = world.deps.bus.live();
    let (_, key) = world.booked().await;
    world.payments.add(key, "PAID");
    world.bookings.step(key).await.expect("steps");
    world.publish().await;
    let mut told = Vec::new();
    while let Some(Some(News::Event(envelope))) = news.next().now_or_never() {
        let Event::BookingChanged { booking_id, user_id, status, .. } = &envelope.event else { panic!("{envelope:?}") };
        assert_eq!((*booking_id, *user_id), (key, world.ani));
        told.push(status.clone());
    }
    assert_eq!(told, ["PENDING_PAYMENT", "CONFIRMING", "CONFIRMED"]);
}

#[tokio::test]
async fn the_event_of_payment_wakes_the_saga() {
    let world = World::new().await;
    world.bookings.start();
    let (id, key) = world.booked().await;
    let payment = world.payments.add(key, "PAID");
    let status = "PAID".to_owned();
    let (user_id, amount) = (world.ani, world::peers::PRICE);
    let event = Event::PaymentChanged { payment_id: payment, booking_id: key, user_id, status, amount, booking_code: None };
    let envelope =
        berth_contracts::event::Envelope { id: world.clock.new_key(), at: world.clock.now(), trace_parent: None, event };
    for _ in 0..3 {
        world.deps.bus.deliver(&std::sync::Arc::new(envelope.clone())).await.expect("delivers");
    }
    for _ in 0..200 {
        if world.status(&id).await == "CONFIRMED" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    world.deps.background.stop();
    assert_confirmed_once(&world, &id).await;
}

#[tokio::test]
async fn a_payment_of_another_amount_goes_back() {
    let world = World::new().await;
    let hold = world.inventory.place(world.ani, 2);
    let made = world.create(order(&hold.encoded(), "first")).await;
    let id = made["booking"]["id"].as_str().expect("an id").to_owned();
    let key = berth_contracts::Kind::Booking.decode(&id).expect("an id");
    let half = world.payments.add(key, "PAID");
    world.bookings.step(key).await.expect("steps");
    assert_eq!(world.status(&id).await, "PENDING_PAYMENT");
    assert_eq!(world.payments.refund_of(half), Some(("NOT_NEEDED".to_owned(), 1)));
}

/// The provider takes the payment back between the sale of the seats and the tickets.
#[tokio::test]
async fn seats_sold_for_money_that_was_taken_back_are_given_back() {
    for lost_answers in 0..3 {
        let world = World::new().await;
        let (id, key) = world.booked().await;
        let payment = world.payments.add(key, "PAID");
        world.inventory.faults.lose.store(1, SeqCst);
        world.bookings.step(key).await.expect("the answer about the sale is lost");
        assert_eq!((world.status(&id).await.as_str(), world.inventory.only().copy.state), ("CONFIRMING", HoldState::Committed));
        world.payments.change(payment, |payment| {
            payment.status = "REFUNDED".to_owned();
            payment.refunded = payment.amount;
        });
        world.inventory.faults.lose.store(lost_answers, SeqCst);
        world.settle().await;
        assert_eq!((world.status(&id).await.as_str(), world.inventory.only().copy.state), ("REFUNDED", HoldState::Released));
        assert!(world.tickets(&id).await.is_empty());
    }
}

#[tokio::test]
async fn surplus_money_that_the_provider_keeps_asks_for_attention() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    world.bookings.step(key).await.expect("steps");
    let surplus = world.payments.add(key, "PAID");
    world.payments.keeps_money.store(true, SeqCst);
    world.peer().payment_changed(key).await.expect("changed");
    assert_eq!(world.status(&id).await, "NEEDS_ATTENTION");
    assert_eq!(world.tickets(&id).await[0]["status"], "ISSUED");
    world.settle().await;
    assert_eq!(world.status(&id).await, "NEEDS_ATTENTION", "it stays until the money has gone back");
    world.payments.keeps_money.store(false, SeqCst);
    world.settle().await;
    assert_eq!(world.payments.refund_of(surplus), Some(("NOT_NEEDED".to_owned(), 1)));
    assert_eq!((world.status(&id).await.as_str(), world.tickets(&id).await.len()), ("CONFIRMED", 1));
}

#[tokio::test]
async fn tickets_whose_money_went_back_ask_for_attention() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    let payment = world.payments.add(key, "PAID");
    world.bookings.step(key).await.expect("steps");
    world.payments.change(payment, |payment| payment.status = "REFUNDED".to_owned());
    world.peer().payment_changed(key).await.expect("changed");
    assert_eq!((world.status(&id).await.as_str(), world.tickets(&id).await.len()), ("NEEDS_ATTENTION", 1));
}

#[tokio::test]
async fn a_payment_that_starts_again_changes_nothing() {
    let world = World::new().await;
    let (_, key) = world.booked().await;
    let first = world.peer().payment_started(key).await.expect("starts");
    let revision = world.revision(key).await;
    for _ in 0..3 {
        assert_eq!(world.peer().payment_started(key).await.expect("starts"), first);
    }
    assert_eq!(world.revision(key).await, revision);
    world.clock.advance(TimeDelta::minutes(1));
    world.peer().payment_started(key).await.expect("starts");
    assert_eq!(world.revision(key).await, revision, "it is due already");
}

/// Several processes: each its own service over the one database.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reconcilers_of_several_processes_do_each_thing_once() {
    let world = World::new().await;
    let mut booked = Vec::new();
    for _ in 0..12 {
        let hold = world.inventory.place(world.ani, 1);
        let made = world.create(order(&hold.encoded(), &hold.copy.hold_id.to_string())).await;
        let id = made["booking"]["id"].as_str().expect("an id").to_owned();
        let key = berth_contracts::Kind::Booking.decode(&id).expect("an id");
        world.payments.add(key, "PAID");
        booked.push((id, hold.copy.hold_id));
    }
    world.clock.advance(after_deadline());
    let others = [world.another_process().await, world.another_process().await, world.another_process().await];
    for _ in 0..4 {
        let rounds = others.iter().chain([&world.bookings]).map(berth_booking::Bookings::reconcile);
        for done in futures_util::future::join_all(rounds).await {
            done.expect("reconciles");
        }
        world.clock.advance(TimeDelta::seconds(61));
    }
    for (id, hold_id) in booked {
        assert_eq!((world.status(&id).await.as_str(), world.tickets(&id).await.len()), ("CONFIRMED", 1));
        world.inventory.change(hold_id, |held| assert_eq!(held.commits, 1));
    }
    assert_eq!(world.letters().await.len(), 12);
    assert_eq!(world.rows("outbox").await, 12 * 3, "each change is told once");
}
