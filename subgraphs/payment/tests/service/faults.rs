//! Lost answers and deaths between two steps.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;

use crate::world::{Fault, PRICE, Plan, World, eventually};

fn polled() -> Plan {
    Plan { polls: true, ..Plan::default() }
}

async fn pays(world: &World, id: &str) {
    assert_eq!(world.act(id, "settle").await.0, 200);
    world.reaches(id, "PAID").await;
    world.assert_ledger(id, PRICE, 2).await;
}

fn id_of(answer: &Value) -> String {
    answer["payment"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_answer_was_lost_is_repeated_by_the_client() {
    let world = World::new().await;
    let booking_id = world.booking();
    world.fail(Fault::ChargeAnswerLost);
    let lost = world.create(booking_id, "k").await;
    assert_eq!(
        (lost["__typename"].as_str(), lost["code"].as_str()),
        (Some("ProviderUnavailableError"), Some("PROVIDER_UNAVAILABLE"))
    );
    let repeated = world.create(booking_id, "k").await;
    assert_eq!(repeated["payment"]["status"], "PENDING", "{repeated}");
    assert!(repeated["payment"]["qris"]["payload"].as_str().is_some());
    pays(&world, &id_of(&repeated)).await;
    assert_eq!(world.payments.peer().payments(booking_id).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_was_lost_either_way_converges_without_the_client() {
    for fault in [Fault::ChargeAnswerLost, Fault::ChargeNeverArrives] {
        let world = World::with(polled()).await;
        let booking_id = world.booking();
        world.fail(fault);
        assert_eq!(world.create(booking_id, "k").await["__typename"], "ProviderUnavailableError");
        eventually("the poll places it", || async {
            world.payments.peer().payments(booking_id).await.unwrap()[0].status == "PENDING"
        })
        .await;
        let repeated = world.create(booking_id, "k").await;
        assert!(repeated["payment"]["qris"]["payload"].as_str().is_some(), "{repeated}");
        pays(&world, &id_of(&repeated)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lost_answers_make_a_third_order() {
    let world = World::new().await;
    let booking_id = world.booking();
    world.fail(Fault::ChargeAnswerLost);
    assert_eq!(world.create(booking_id, "k").await["code"], "PROVIDER_UNAVAILABLE");
    world.fail(Fault::ChargeAnswerLost);
    world.fail(Fault::CancelUnanswered);
    assert_eq!(world.create(booking_id, "k").await["code"], "PROVIDER_UNAVAILABLE");
    let third = world.create(booking_id, "k").await;
    let id = id_of(&third);
    assert_eq!(world.order_of(&id).await, format!("{id}-3"));
    pays(&world, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_notice_and_work_loses_nothing() {
    let world = World::with(Plan { start: false, webhooks: false, polls: false }).await;
    let (_, id) = world.pending().await;
    world.act(&id, "settle").await;
    assert_eq!(world.notify(&crate::world::notice(&id, "settlement", "200")).await.0, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.payment(&id).await["status"], "PENDING", "nobody has worked on it");
    world.restarted().start();
    world.reaches(&id, "PAID").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_without_an_answer_is_repeated() {
    let world = World::new().await;
    let (_, id) = world.pending().await;
    world.fail(Fault::StatusUnanswered);
    world.fail(Fault::StatusUnanswered);
    assert_eq!(world.act(&id, "settle").await.0, 200);
    eventually("lease is over", || async {
        world.clock.advance(TimeDelta::milliseconds(500));
        world.payment(&id).await["status"] == "PAID"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_that_ended_closes_its_payment() {
    let world = World::new().await;
    let (booking_id, id) = world.pending().await;
    world.payments.peer().close(booking_id).await.unwrap();
    world.payments.peer().close(booking_id).await.unwrap();
    world.reaches(&id, "CANCELLED").await;
    assert!(world.get(&format!("/sandbox/pay/{id}")).await.1.contains("cancel"));
    world.act(&id, "settle").await;
    world.reaches(&id, "PAID").await;

    let paid_meanwhile = World::with(Plan { webhooks: false, ..Plan::default() }).await;
    let (booking_id, id) = paid_meanwhile.pending().await;
    paid_meanwhile.act(&id, "settle").await;
    paid_meanwhile.payments.peer().close(booking_id).await.unwrap();
    paid_meanwhile.reaches(&id, "PAID").await;

    let unplaced = World::new().await;
    let booking_id = unplaced.booking();
    unplaced.fail(Fault::ChargeNeverArrives);
    unplaced.create(booking_id, "k").await;
    unplaced.payments.peer().close(booking_id).await.unwrap();
    eventually("closed", || async { unplaced.payments.peer().payments(booking_id).await.unwrap()[0].status == "CANCELLED" })
        .await;
}
