//! "Why did this payment not confirm?" is answered from the log and by `berth explain`, by the ids that the graph shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use anyhow::{Context, ensure};
use berth_tests::{
    eventually, in_both_arms,
    notices::{self, PATH, Payer},
    process::{Arm, Berth},
};
use reqwest::Method;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

in_both_arms!(a_sale_is_told_by_public_ids, a_fault_names_operation_field_and_caller);

const WITHIN: Duration = Duration::from_secs(30);

async fn logged(berth: &Berth, words: &[&str]) -> anyhow::Result<String> {
    eventually(&format!("a line with {words:?}"), WITHIN, || async {
        Ok(berth.log().lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned))
    })
    .await
}

fn explain(berth: &mut Berth, what: &str) -> anyhow::Result<(bool, String)> {
    let output = berth.process("worker", 0)?.run(&["explain", what])?;
    let said = if output.status.success() { &output.stdout } else { &output.stderr };
    Ok((output.status.success(), String::from_utf8_lossy(said).into_owned()))
}

async fn a_sale_is_told_by_public_ids(arm: Arm) -> anyhow::Result<()> {
    let mut berth = notices::setup(arm).start().await?;
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    let payment = payer.payment_id.as_str();

    // The classic: the provider signs with another key. Twenty of them are few lines, and the metric counts all.
    let mut forged: Value = serde_json::from_str(&payer.notification("settlement"))?;
    forged["signature_key"] = json!("0".repeat(128));
    for _ in 0..20 {
        client.request(Method::POST, PATH).body(forged.to_string()).send().await?;
    }
    let line = logged(&berth, &["payment.notice", "BAD_SIGNATURE", payment]).await?;
    ensure!(line.contains("WARN"), "{line}");
    let told = berth.log().lines().filter(|line| line.contains("BAD_SIGNATURE")).count();
    ensure!(told <= 6, "one client wrote {told} lines");
    let metrics = reqwest::get(format!("{}/metrics", berth.process("payment", 0)?.url())).await?.text().await?;
    let counted = "berth_webhooks_total{provider=\"midtrans\",verdict=\"BAD_SIGNATURE\"} 20";
    ensure!(metrics.contains(counted), "{}", metrics.lines().filter(|line| line.contains("webhooks")).collect::<String>());

    payer.person.provider(payment, "settle").await?;
    notices::post(&client, payer.notification("settlement")).await?;
    let booking = payer.confirmed().await?;
    let (id, code) = (payer.booking_id.as_str(), booking["code"].as_str().context("no code")?);
    for words in [
        &["user.signed_up", "user_"] as &[&str],
        &["booking.made", id, code],
        &["payment.created", payment, id, code],
        &["payment.charge.sent", payment, code],
        &["payment.looked", payment, "charge", "PENDING"],
        &["payment.notice", "ACCEPTED", payment],
        &["payment.looked", payment, "notice", "SETTLED"],
        &["payment.moved", payment, id, code, "PAID"],
        &["booking.moved", id, code, payment, "CONFIRMING"],
        &["booking.moved", id, code, payment, "CONFIRMED"],
        &["post.sent", "letter_", "paper"],
    ] {
        logged(&berth, words).await?;
    }
    explained(&mut berth, &payer, code).await?;
    berth.assert_alive()
}

async fn explained(berth: &mut Berth, payer: &Payer, code: &str) -> anyhow::Result<()> {
    let (well, story) = explain(berth, code)?;
    ensure!(well, "{story}");
    for word in [
        payer.booking_id.as_str(),
        payer.payment_id.as_str(),
        "hold placed: 1 seats",
        "made, IDR ",
        "became PENDING",
        "became PAID",
        "notice about payment_",
        "ledger of payment_",
        "CONFIRMED since",
        "ticket_",
        "letter_",
        "signed up",
        "the hold is COMMITTED",
    ] {
        ensure!(story.contains(word), "{word:?} is not in\n{story}");
    }
    let times: Vec<&str> = story.lines().filter(|line| line.starts_with("20")).map(|line| &line[..24]).collect();
    ensure!(times.len() >= 8 && times.is_sorted(), "{times:?}");
    ensure!(!story.contains('@') && !story.contains("Passenger"), "something personal in\n{story}");
    // Every other name of it tells the same story, UUIDs included.
    let uuid = |id: &str| {
        let line = story.lines().find(|line| line.split_whitespace().nth(1) == Some(id));
        line.and_then(|line| line.split_whitespace().nth(2))
            .map(str::to_owned)
            .with_context(|| format!("no UUID of {id} in\n{story}"))
    };
    let (booking, payment) = (uuid(&payer.booking_id)?, uuid(&payer.payment_id)?);
    ensure!(!berth.log().contains(&booking) && !berth.log().contains(&payment), "a UUID in the log");
    let names = [
        payer.booking_id.clone(),
        payer.payment_id.clone(),
        format!("{}-2", payer.payment_id),
        booking,
        payment,
        code.to_lowercase(),
    ];
    for name in names {
        let (well, same) = explain(berth, &name)?;
        ensure!(well && without_notices(&same) == without_notices(&story), "{name}:\n{same}\nis not\n{story}");
    }
    let (well, only_id) = explain(berth, &payer.person.id)?;
    ensure!(well && only_id.lines().count() == 1 && only_id.contains(&payer.person.id), "{only_id}");
    for nobody in ["ZZZZZZ", "no id", "00000000-0000-7000-8000-000000000000"] {
        let (well, said) = explain(berth, nobody)?;
        ensure!(!well && !said.contains("panicked"), "{nobody}: {said}");
    }
    Ok(())
}

/// The provider repeats its notices while this goes on.
fn without_notices(story: &str) -> Vec<&str> {
    story.lines().filter(|line| !line.contains("notice about")).collect()
}

async fn a_fault_names_operation_field_and_caller(arm: Arm) -> anyhow::Result<()> {
    let mut berth = notices::setup(arm).start().await?;
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    let store = berth.store("payment").await?;
    store.execute_unprepared("ALTER TABLE payment_event RENAME TO away").await?;
    let query = "query History($id: ID!) { payment(id: $id) { history { status } } }";
    let answer = payer.person.client.send(query, json!({ "id": payer.payment_id })).await?;
    ensure!(answer.error_code() == Some("SERVICE_UNAVAILABLE"), "{}", answer.text);
    let line = logged(&berth, &["graphql.internal", "payment.history", "operation=", "query", &payer.person.id]).await?;
    ensure!(line.contains("request.id"), "{line}");
    store.execute_unprepared("ALTER TABLE away RENAME TO payment_event").await?;
    berth.assert_alive()
}
