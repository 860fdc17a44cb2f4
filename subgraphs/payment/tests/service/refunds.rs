//! Money that goes back: once, and the books stay balanced.

use std::time::Duration;

use berth_contracts::peer::{PeerError, RefundState};
use futures_util::future::join_all;
use serde_json::json;

use crate::world::{Fault, PRICE, World, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_happens_once_however_often_it_is_asked() {
    let world = World::new().await;
    let (booking_id, id) = world.paid().await;
    let (peer, key) = (world.payments.peer(), World::key_of(&id));
    let answers = join_all((0..8).map(|_| peer.refund(key, "seats_gone".to_owned()))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(RefundState::Pending | RefundState::Succeeded))), "{answers:?}");
    world.reaches(&id, "REFUNDED").await;
    assert_eq!(peer.refund(key, "seats_gone".to_owned()).await, Ok(RefundState::Succeeded));
    assert_eq!(peer.refund(key, "another_reason".to_owned()).await, Ok(RefundState::Succeeded));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.history(&id).await, ["CREATED", "PENDING", "PAID", "REFUNDED"]);
    assert_eq!(world.payment(&id).await["refunded"], json!({ "amount": "185000.00" }));
    world.assert_ledger(&id, 0, 4).await;
    let copy = peer.payments(booking_id).await.unwrap();
    assert_eq!(copy[0].refunded, copy[0].amount);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_reasons_at_once_never_give_back_more_than_came() {
    let world = World::new().await;
    let (_, id) = world.paid().await;
    let peer = world.payments.peer();
    let answers = join_all(["a", "b", "c", "d"].map(|reason| peer.refund(World::key_of(&id), reason.to_owned()))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    world.reaches(&id, "REFUNDED").await;
    world.assert_ledger(&id, 0, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_answer_was_lost_is_found_again() {
    let world = World::new().await;
    let (_, id) = world.paid().await;
    world.fail(Fault::RefundAnswerLost);
    world.payments.peer().refund(World::key_of(&id), "seats_gone".to_owned()).await.unwrap();
    eventually("the answer is lost", || async { world.line.faults.lock().unwrap().is_empty() }).await;
    world.reaches(&id, "REFUNDED").await;
    world.assert_ledger(&id, 0, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_paid_is_not_refunded() {
    let world = World::new().await;
    let (_, id) = world.pending().await;
    assert_eq!(world.payments.peer().refund(World::key_of(&id), "x".to_owned()).await, Err(PeerError::NotFound));
    assert_eq!(world.payments.peer().refund(world.clock.new_key(), "x".to_owned()).await, Err(PeerError::NotFound));
    world.assert_ledger(&id, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_the_provider_refuses_is_told() {
    let world = World::new().await;
    let (_, id) = world.paid().await;
    // The bank takes the settlement back while nobody listens, so the provider has nothing to give back.
    world.deps.background.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.act(&id, "deny").await;
    let (payments, key) = (world.reborn(), World::key_of(&id));
    payments.start();
    payments.peer().refund(key, "seats_gone".to_owned()).await.unwrap();
    eventually("it fails", || async { payments.peer().refund(key, "seats_gone".to_owned()).await == Ok(RefundState::Failed) })
        .await;
    world.assert_ledger(&id, PRICE, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_money_that_comes_twice_booking_alone_decides_what_goes_back() {
    let world = World::new().await;
    let (booking_id, first) = world.pending().await;
    world.act(&first, "expire").await;
    world.reaches(&first, "EXPIRED").await;
    let second = world.create(booking_id, "second").await;
    let second = second["payment"]["id"].as_str().unwrap();
    world.act(second, "settle").await;
    world.reaches(second, "PAID").await;
    world.act(&first, "settle").await;
    world.reaches(&first, "PAID").await;
    // Had payment given one back by itself, booking could have chosen the other.
    world.payments.peer().refund(World::key_of(second), "not_needed".to_owned()).await.unwrap();
    world.reaches(second, "REFUNDED").await;
    assert_eq!(world.payment(&first).await["status"], "PAID");
    world.assert_ledger(&first, PRICE, 2).await;
    world.assert_ledger(second, 0, 4).await;
}
