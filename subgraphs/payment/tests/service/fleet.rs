//! Several processes on one database: each payment has one order at the provider, one capture, one refund.

use std::collections::BTreeSet;

use berth_contracts::{Kind, peer::RefundState};
use futures_util::future::join_all;
use serde_json::json;

use crate::world::{Fault, Plan, World, eventually, notice};

/// Without PostgreSQL there is one process: nothing to test.
fn has_fleet() -> bool {
    std::env::var("BERTH_TEST_POSTGRES_URL").is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_order_however_many_processes_place_it() {
    if !has_fleet() {
        return;
    }
    let world = World::new().await;
    let others = [world.another_process().await, world.another_process().await];
    let schemas: Vec<_> = others.iter().map(berth_payment::Payments::schema).collect();
    for round in 0..12 {
        if round % 3 == 2 {
            world.fail(Fault::ChargeAnswerLost);
        }
        let booking_id = world.booking();
        let input = json!({ "bookingId": Kind::Booking.encode(booking_id), "method": { "qris": {} }, "idempotencyKey": format!("k{round}") });
        let asks = (0..6).map(|at| world.create_at(schemas.get(at % 3), input.clone()));
        let answers = join_all(asks).await;
        let shown: BTreeSet<(String, String)> = answers
            .iter()
            .filter(|answer| answer["__typename"] == "CreatePaymentSuccess")
            .map(|answer| (answer["payment"]["id"].to_string(), answer["payment"]["qris"]["payload"].to_string()))
            .collect();
        assert_eq!(shown.len(), 1, "everybody is shown one payment with one code: {answers:#?}");
        let id = answers.iter().find_map(|answer| answer["payment"]["id"].as_str()).unwrap().to_owned();
        let orders = world.orders_of(&id).await;
        let open = orders.iter().filter(|(_, status)| status == "pending").count();
        assert_eq!(open, 1, "one order can be paid: {orders:?}");
        assert!(orders.len() <= if round % 3 == 2 { 2 } else { 1 }, "{orders:?}");
        world.act(&id, "settle").await;
        world.reaches(&id, "PAID").await;
        world.assert_ledger(&id, crate::world::PRICE, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_capture_and_one_refund_however_many_processes_work() {
    if !has_fleet() {
        return;
    }
    let world = World::with(Plan { polls: true, ..Plan::default() }).await;
    let others = [world.another_process().await, world.another_process().await];
    others.iter().for_each(berth_payment::Payments::start);
    for _ in 0..6 {
        let (_, id) = world.pending().await;
        let order = world.order_of(&id).await;
        world.act(&id, "settle").await;
        join_all((0..8).map(|_| async { world.notify(&notice(&order, "settlement", "200")).await })).await;
        world.reaches(&id, "PAID").await;
        let key = World::key_of(&id);
        let peers = [world.payments.peer(), others[0].peer(), others[1].peer()];
        let asked = join_all((0..9).map(|at| peers[at % 3].refund(key, "seats_gone".to_owned()))).await;
        assert!(asked.iter().all(|answer| matches!(answer, Ok(RefundState::Pending | RefundState::Succeeded))), "{asked:?}");
        world.reaches(&id, "REFUNDED").await;
        eventually("it rests", || async { peers[0].refund(key, "seats_gone".to_owned()).await == Ok(RefundState::Succeeded) })
            .await;
        assert_eq!(world.history(&id).await, ["CREATED", "PENDING", "PAID", "REFUNDED"]);
        world.assert_ledger(&id, 0, 4).await;
    }
}

/// A process takes its turn and dies: another one goes on when the turn has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_turn_of_a_dead_process_ends() {
    if !has_fleet() {
        return;
    }
    let world = World::new().await;
    world.fail(Fault::ChargeNeverArrives);
    let booking_id = world.booking();
    assert_eq!(world.create(booking_id, "first").await["code"], "PROVIDER_UNAVAILABLE");
    let id = world.payment_of(booking_id).await;
    world.leave_turn(id, 1_500).await;
    let from = std::time::Instant::now();
    assert_eq!(world.create(booking_id, "first").await["payment"]["status"], "PENDING");
    assert!(from.elapsed().as_millis() > 1_000, "it waited");
}
