//! Notices: duplicated, out of order, forged, malformed, blocked.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use sea_orm::ConnectionTrait;

use crate::world::{PRICE, Plan, World, eventually, notice};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_duplicates_are_one_change() {
    let world = World::with(Plan { webhooks: false, ..Plan::default() }).await;
    let (_, id) = world.pending().await;
    world.act(&id, "settle").await;
    let body = notice(&id, "settlement", "200");
    let began = Instant::now();
    let answers = join_all((0..50).map(|_| world.notify(&body))).await;
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, answer)| answer["code"] == "ACCEPTED").count(), 1);
    assert!(began.elapsed() < Duration::from_secs(5));
    world.reaches(&id, "PAID").await;
    assert_eq!(world.notify(&body).await.1["code"], "DUPLICATE");
    let others = join_all((0..20).map(|_| async { world.notify(&notice(&id, "settlement", "200")).await })).await;
    assert!(others.iter().all(|(status, _)| *status == 200));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.history(&id).await, ["CREATED", "PENDING", "PAID"]);
    world.assert_ledger(&id, PRICE, 2).await;
}

fn orders() -> Vec<[(&'static str, &'static str); 4]> {
    let notices = [("pending", "201"), ("settlement", "200"), ("expire", "202"), ("refund", "200")];
    let mut all = Vec::new();
    for first in 0..4 {
        for second in 0..4 {
            for third in 0..4 {
                let fourth = 6_usize.wrapping_sub(first + second + third);
                let distinct = first != second && first != third && second != third && fourth < 4;
                if distinct {
                    all.push([notices[first], notices[second], notices[third], notices[fourth]]);
                }
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_in_every_order_lead_to_the_truth_and_never_backwards() {
    let world = World::with(Plan { webhooks: false, ..Plan::default() }).await;
    assert_eq!(orders().len(), 24);
    let mut paid = Vec::new();
    for order in orders() {
        let (_, id) = world.pending().await;
        world.act(&id, "settle").await;
        for (status, code) in order {
            assert_eq!(world.notify(&notice(&id, status, code)).await.0, 200);
        }
        paid.push((id, order));
    }
    for (id, order) in paid {
        world.reaches(&id, "PAID").await;
        world.payments.request_refund(World::key_of(&id), "test".to_owned()).await.unwrap();
        for (status, code) in order {
            assert_eq!(world.notify(&notice(&id, status, code)).await.0, 200);
        }
        world.reaches(&id, "REFUNDED").await;
        assert_eq!(world.history(&id).await, ["CREATED", "PENDING", "PAID", "REFUNDED"], "{order:?}");
        world.assert_ledger(&id, 0, 4).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_alone_changes_nothing() {
    let world = World::with(Plan { webhooks: false, ..Plan::default() }).await;
    let (_, id) = world.pending().await;
    assert_eq!(world.notify(&notice(&id, "settlement", "200")).await.0, 200, "well signed, but the provider says otherwise");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.history(&id).await, ["CREATED", "PENDING"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_notice_is_refused() {
    let world = World::new().await;
    let (_, id) = world.pending().await;
    let good = notice(&id, "settlement", "200");
    let answer = |status: u16, code: &str| (status, code.to_owned());
    let sent = async |path: &str, body: String| {
        let (status, answer) = world.post(path, body).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let hook = "/webhooks/payments/midtrans";
    assert_eq!(sent(hook, good.replace("185000.00", "185001.00")).await, answer(401, "BAD_SIGNATURE"));
    assert_eq!(sent(hook, "{".to_owned()).await, answer(400, "MALFORMED"));
    assert_eq!(sent(hook, "{\"order_id\":\"x\"}".to_owned()).await, answer(400, "MALFORMED"));
    assert_eq!(sent(hook, String::new()).await, answer(400, "MALFORMED"));
    assert_eq!(sent(hook, format!("{good}{}", " ".repeat(70_000))).await, answer(413, "BODY_TOO_LARGE"));
    assert_eq!(sent(hook, notice("payment_nonsense", "settlement", "200")).await, answer(404, "UNKNOWN_ORDER"));
    let foreign = berth_contracts::Kind::Payment.encode(world.clock.new_key());
    assert_eq!(sent(hook, notice(&foreign, "settlement", "200")).await, answer(404, "UNKNOWN_ORDER"));
    assert_eq!(sent("/webhooks/payments/nobody", good).await, answer(404, "UNKNOWN_PROVIDER"));
    assert_eq!(world.payment(&id).await["status"], "PENDING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_fails_is_503_and_the_repeat_arrives() {
    let world = World::new().await;
    let (_, id) = world.pending().await;
    let db = world.deps.db.read();
    db.execute_unprepared("ALTER TABLE webhook_inbox RENAME TO hidden").await.unwrap();
    assert_eq!(world.notify(&notice(&id, "pending", "201")).await.0, 503);
    world.act(&id, "settle").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    db.execute_unprepared("ALTER TABLE hidden RENAME TO webhook_inbox").await.unwrap();
    world.reaches(&id, "PAID").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_webhooks_blocked_everything_still_ends_well() {
    let world = World::with(Plan { webhooks: false, polls: true, ..Plan::default() }).await;
    let ((_, paid), (_, denied), (_, late)) = (world.pending().await, world.pending().await, world.pending().await);
    world.act(&paid, "settle").await;
    world.act(&denied, "deny").await;
    world.reaches(&paid, "PAID").await;
    world.reaches(&denied, "FAILED").await;
    world.clock.advance(TimeDelta::minutes(15));
    world.reaches(&late, "EXPIRED").await;
    world.act(&late, "settle").await;
    world.reaches(&late, "PAID").await;
    world.assert_ledger(&late, PRICE, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_is_denied_needs_a_person() {
    let world = World::new().await;
    let (_, id) = world.paid().await;
    assert_eq!(world.act(&id, "deny").await.0, 200);
    world.reaches(&id, "NEEDS_ATTENTION").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resent_notices_change_nothing() {
    let world = World::new().await;
    let (_, id) = world.paid().await;
    let (status, answer) = world.act(&id, "resend").await;
    assert_eq!((status, answer["resent"].as_i64()), (200, Some(2)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.history(&id).await, ["CREATED", "PENDING", "PAID"]);
    eventually("the page shows it", || async { world.get(&format!("/sandbox/pay/{id}")).await.1.contains("settlement") }).await;
}
