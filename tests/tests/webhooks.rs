//! Notifications of the provider: doubled, out of order, lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::{collections::BTreeSet, future::Future, time::Duration};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Outcome,
    documents,
    notices::{self, Payer},
    person::{Hold, Person, fresh_key, id_of},
    process::Setup,
    timetable,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_counts_once() -> anyhow::Result<()> {
    let mut berth = notices::setup().start().await?;
    let found = notices::doubled(&mut berth).await?;
    ensure!(found.is_empty(), "{found:#?}");
    berth.assert_alive()
}

/// The provider sends nothing by itself, and is asked an hour later at the earliest: all depends on the test's own notices.
fn unpolled() -> Setup {
    notices::setup().env("BERTH_PAYMENT_POLL_SECS", "3600,7200").env("BERTH_SANDBOX_WEBHOOKS", "false")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_notification_survives_a_kill() -> anyhow::Result<()> {
    let mut berth = unpolled().start().await?;
    let found = notices::survive_a_kill(&mut berth).await?;
    ensure!(found.is_empty(), "{found:#?}");
    berth.assert_alive()
}

/// Every order of the four notifications; what they say is not believed, the provider's status is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_does_not_matter() -> anyhow::Result<()> {
    const STATUSES: [&str; 4] = ["pending", "settlement", "expire", "refund"];
    let mut berth = notices::setup().start().await?;
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    for first in STATUSES {
        ensure!(notices::post(&client, payer.notification(first)).await? == 200);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let unpaid = payer.history().await?;
    ensure!(
        !unpaid.iter().any(|status| matches!(status.as_str(), "PAID" | "EXPIRED" | "REFUNDED")),
        "words were believed: {unpaid:?}"
    );
    payer.person.provider(&payer.payment_id, "settle").await?;
    payer.confirmed().await?;
    let paid = payer.history().await?;
    for order in orders(&STATUSES) {
        for status in order {
            ensure!(notices::post(&client, payer.notification(status)).await? == 200);
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(payer.history().await? == paid, "the payment moved: {:?}", payer.history().await?);
    payer.confirmed().await?;
    berth.assert_alive()
}

fn orders<'a>(items: &[&'a str]) -> Vec<Vec<&'a str>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let with_first = |at: usize| {
        let mut rest = items.to_vec();
        let first = rest.remove(at);
        orders(&rest).into_iter().map(move |tail| std::iter::once(first).chain(tail).collect())
    };
    (0..items.len()).flat_map(with_first).collect()
}

/// With every webhook lost, the provider is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocked_webhooks_only_delay() -> anyhow::Result<()> {
    let mut berth = notices::setup().env("BERTH_SANDBOX_WEBHOOKS", "false").start().await?;
    let payer = Payer::new(&berth.client()?).await?;
    payer.person.provider(&payer.payment_id, "settle").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(!payer.history().await?.iter().any(|status| status == "PAID"), "the webhook was not blocked");
    berth.client()?.advance(130).await?;
    payer.confirmed().await?;
    berth.assert_alive()
}

/// The same key three times in a row and eight times at once: one effect, the same answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_has_one_effect() -> anyhow::Result<()> {
    let mut berth = notices::setup().start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "again").await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seat = timetable::free_seats(&client, &segment, 1).await?.remove(0);

    let (key, seats) = (fresh_key(), [seat.as_str()]);
    let hold_id = repeated("hold", || person.place(&segment, &seats, &key)).await?;
    let hold = Hold::of(&person.place(&segment, &seats, &key).await?.done()?)?;
    ensure!(hold.id == hold_id && person.hold_status(&hold_id).await?.as_deref() == Some("ACTIVE"));
    let key = fresh_key();
    let booking_id = repeated("booking", || person.try_book(&hold, &key)).await?;
    let key = fresh_key();
    let payment_id = repeated("payment", || person.try_pay(&booking_id, &key)).await?;
    let booking = person.booking(&booking_id).await?;
    ensure!(booking["payments"].as_array().map(Vec::len) == Some(1) && booking["payments"][0]["id"] == payment_id, "{booking}");
    let key = fresh_key();
    repeated("booking", || person.cancel(&booking_id, &key)).await?;
    let data = person.client.query(documents::ME, serde_json::Value::Null).await?;
    ensure!(data["me"]["bookings"]["nodes"].as_array().map(Vec::len) == Some(1), "{data}");
    berth.assert_alive()
}

/// Eight at once, then three in a row: all name the same thing. A repeat that meets the first at work may be told so.
async fn repeated<F, Fut>(field: &str, request: F) -> anyhow::Result<String>
where
    F: Fn() -> Fut,
    Fut: Future<Output = anyhow::Result<Outcome>>,
{
    let mut answers = futures_util::future::try_join_all((0..8).map(|_| request())).await?;
    for _ in 0..3 {
        answers.push(request().await?);
    }
    let mut ids = BTreeSet::new();
    for (at, answer) in answers.into_iter().enumerate() {
        match answer {
            Outcome::Done(success) => drop(ids.insert(id_of(&success[field])?)),
            Outcome::Refused(refusal) => {
                ensure!(at < 8 && refusal.code == "IDEMPOTENCY_IN_PROGRESS", "{field}: {}", refusal.body);
            }
        }
    }
    ensure!(ids.len() == 1, "one {field} was asked for, there are {ids:?}");
    ids.pop_first().context("no answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_sees_a_missing_inbox() -> anyhow::Result<()> {
    let mut berth = notices::setup().sabotage("skip_inbox")?.start().await?;
    let found = notices::doubled(&mut berth).await?;
    ensure!(!found.is_empty(), "the checker sees nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_sees_an_early_acknowledgement() -> anyhow::Result<()> {
    let mut berth = unpolled().sabotage("ack_early")?.start().await?;
    let found = notices::survive_a_kill(&mut berth).await?;
    ensure!(!found.is_empty(), "the checker sees nothing");
    Ok(())
}
