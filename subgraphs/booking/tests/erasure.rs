//! People who deleted their accounts: what was sold stays, whom it was sold to does not.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod world;

use std::sync::Arc;

use axum::{body::Body, http::Request};
use berth_contracts::event::{Envelope, Event};
use berth_kernel::db::sql;
use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use tower::ServiceExt;
use uuid::Uuid;
use world::World;

/// Tells of a deleted account, as user does.
async fn leave(world: &World) {
    let (id, at) = (world.clock.new_key(), world.clock.now());
    let event = Envelope { id, at, trace_parent: None, event: Event::AccountDeleted { user_id: world.ani } };
    world.deps.bus.deliver(&Arc::new(event)).await.expect("delivers");
}

/// Everything in the rows of a booking that may name somebody.
async fn at_rest(world: &World, key: Uuid) -> String {
    let read = world.deps.db.read();
    let mut all = String::new();
    for (table, owner, columns) in [
        ("booking", "id", &["email", "phone", "address"][..]),
        ("booking_part", "booking_id", &["passenger_name", "passenger_sealed"]),
        ("ticket", "booking_id", &["passenger_name", "document"]),
    ] {
        let text = format!("SELECT {} FROM {table} WHERE {owner} = $1", columns.join(", "));
        for row in read.query_all_raw(sql(read, &text, [key.into()])).await.expect("rows") {
            for column in columns {
                let cell: Option<String> = row.try_get("", column).expect("a text");
                all += &[column, "=", &cell.unwrap_or_default(), "\n"].concat();
            }
        }
    }
    all
}

async fn confirmed(world: &World) -> (String, Uuid) {
    let (id, key) = world.booked().await;
    world.payments.add(key, "PAID");
    world.peer().payment_changed(key).await.expect("changed");
    (id, key)
}

const FORGOTTEN: &str = "email=erased@berth.invalid\nphone=\naddress=\npassenger_name=(erased)\npassenger_sealed=\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_nobodys_once_its_journey_is_over() {
    let world = World::new().await;
    world.bookings.start();
    let (id, key) = confirmed(&world).await;
    let records = world.bookings.records();
    assert_eq!(records.open_affairs(world.ani).await, Ok(1));
    let told = records.records(world.ani).await.expect("answers").to_string();
    for fact in ["ani@example.id", "+62 812 3456 789", "Ani Sari 0", "3174012345678901", "1990-02-03", "BERTH1."] {
        assert!(told.contains(fact), "{fact} is not in {told}");
    }
    assert_eq!(records.records(world.clock.new_key()).await.expect("answers")["bookings"].as_array().map(Vec::len), Some(0));

    leave(&world).await;
    assert!(
        at_rest(&world, key).await.contains("Ani Sari"),
        "the journey is to come: its passenger may have to be told something"
    );
    let picture = world.tickets(&id).await[0]["qrUrl"].as_str().expect("an address").to_owned();
    world.clock.advance(TimeDelta::days(60));
    leave(&world).await;
    assert_eq!(at_rest(&world, key).await, format!("{FORGOTTEN}passenger_name=(erased)\ndocument=\n"));
    assert_eq!(records.open_affairs(world.ani).await, Ok(0));
    let told = records.records(world.ani).await.expect("answers");
    assert_eq!(told["bookings"][0]["total"].as_str().map(str::is_empty), Some(false), "what was paid is kept: {told}");
    let path = picture.strip_prefix("http://127.0.0.1:4000").expect("the base");
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let answer = world.bookings.public_routes().oneshot(request).await.expect("answers");
    assert_eq!(answer.status().as_u16(), 404, "a signed text is no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_may_still_come_finds_its_payer() {
    let world = World::new().await;
    world.bookings.start();
    let (_, key) = world.booked().await;
    assert_eq!(world.bookings.records().open_affairs(world.ani).await, Ok(1));
    world.clock.advance(TimeDelta::hours(3));
    world.bookings.reconcile().await.expect("reconciles");
    assert_eq!(world.stored_state(key).await, "EXPIRED");
    assert_eq!(world.bookings.records().open_affairs(world.ani).await, Ok(0));
    leave(&world).await;
    assert!(at_rest(&world, key).await.contains("ani@example.id"));
    world.clock.advance(TimeDelta::hours(25));
    leave(&world).await;
    assert_eq!(at_rest(&world, key).await, FORGOTTEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_to_who_is_forgotten() {
    let world = World::new().await;
    world.bookings.start();
    let (_, key) = confirmed(&world).await;
    // The letter with the tickets was never sent: it is taken back.
    world.clock.advance(TimeDelta::days(60));
    leave(&world).await;
    assert_eq!(world.rows("letter").await, 0);
    // A second payment of the same booking comes late and goes back, silently.
    world.payments.add(key, "PAID");
    world.peer().payment_changed(key).await.expect("changed");
    world.settle().await;
    assert_eq!(world.rows("repayment").await, 1);
    assert_eq!(world.rows("letter").await, 0);
    assert!(world.letters().await.is_empty());
}
