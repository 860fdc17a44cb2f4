//! Webhooks as the provider sends them: signed JSON notifications, also wrong, doubled, late and out of order.

use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::{Method, header};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::{
    client::Client,
    history::Violation,
    person::{Person, Segment},
    process::{Arm, Berth, Process, Setup},
    timetable,
};

/// The provider's secret in these tests; long enough to be accepted.
pub const SERVER_KEY: &str = "SB-Mid-server-tests-0123456789abcdef";
/// Where notifications go.
pub const PATH: &str = "/webhooks/payments/midtrans";
const WITHIN: Duration = Duration::from_secs(30);
/// Payments whose notices come at once: many, so that a kill after the last answer falls into the work on some.
const AT_ONCE: usize = 12;
/// Longer than anybody keeps a notice that he works on.
const PAST_EVERY_LEASE_SECS: i64 = 60;

/// A Berth whose provider's secret the tests know.
pub fn setup(arm: Arm) -> Setup {
    arm.setup().env("BERTH_PROVIDER_SERVER_KEY", SERVER_KEY)
}

/// Lower-case hex of SHA-512 over the four texts.
pub fn signature(order_id: &str, status_code: &str, gross_amount: &str, server_key: &str) -> String {
    format!("{:x}", Sha512::digest(format!("{order_id}{status_code}{gross_amount}{server_key}")))
}

/// A signed notification.
pub fn notification(order_id: &str, gross_amount: &str, transaction_status: &str) -> Value {
    let status_code = if transaction_status == "pending" { "201" } else { "200" };
    json!({
        "transaction_time": "2026-12-24 18:05:00", "transaction_status": transaction_status, "transaction_id": order_id,
        "status_message": "midtrans payment notification", "status_code": status_code, "payment_type": "qris",
        "signature_key": signature(order_id, status_code, gross_amount, SERVER_KEY),
        "order_id": order_id, "merchant_id": "G000000000", "gross_amount": gross_amount, "fraud_status": "accept", "currency": "IDR",
    })
}

/// Posts a notification; answers the HTTP status.
pub async fn post(client: &Client, body: impl Into<reqwest::Body>) -> anyhow::Result<u16> {
    let request = client.request(Method::POST, PATH).header(header::CONTENT_TYPE, "application/json").body(body);
    Ok(request.send().await?.status().as_u16())
}

/// A person with a payment that waits for money.
pub struct Payer {
    /// The person.
    pub person: Person,
    /// Their booking.
    pub booking_id: String,
    /// Its payment.
    pub payment_id: String,
    /// The amount as the provider writes it.
    pub gross_amount: String,
}

impl Payer {
    /// Signs up, holds a seat, books it and begins to pay.
    pub async fn new(client: &Client) -> anyhow::Result<Self> {
        let segment: Segment = timetable::demo_train(client, 2).await?.whole();
        let person = Person::sign_up(client, "payer").await?;
        let hold = person.hold_best(&segment, 1).await?;
        let booking_id = person.book(&hold).await?;
        let payment_id = person.pay(&booking_id).await?;
        let payment = person.payment(&payment_id).await?;
        let minor: i64 = payment["amount"]["amountMinor"].as_str().and_then(|text| text.parse().ok()).context("no amount")?;
        Ok(Self { person, booking_id, payment_id, gross_amount: format!("{}.00", minor / 100) })
    }

    /// A signed notification about this payment.
    pub fn notification(&self, transaction_status: &str) -> String {
        notification(&self.payment_id, &self.gross_amount, transaction_status).to_string()
    }

    /// The statuses of the payment, oldest first.
    pub async fn history(&self) -> anyhow::Result<Vec<String>> {
        let payment = self.person.payment(&self.payment_id).await?;
        let events = payment["history"].as_array().context("no history")?;
        Ok(events.iter().filter_map(|event| event["status"].as_str().map(str::to_owned)).collect())
    }

    /// Letters that bring the tickets.
    pub async fn ticket_letters(&self) -> anyhow::Result<usize> {
        let letters = self.person.client.letters(&self.person.email).await?;
        Ok(letters
            .iter()
            .filter(|letter| letter["subject"].as_str().is_some_and(|subject| subject.to_lowercase().contains("ticket")))
            .count())
    }

    /// Waits for the tickets.
    pub async fn confirmed(&self) -> anyhow::Result<Value> {
        self.confirmed_within(WITHIN).await
    }

    async fn confirmed_within(&self, within: Duration) -> anyhow::Result<Value> {
        self.person.await_booking(&self.booking_id, &["CONFIRMED"], within).await
    }
}

/// The same notification fifty times at once, and again later: one change, one letter, always a 2xx.
pub async fn doubled(berth: &mut Berth) -> anyhow::Result<Vec<Violation>> {
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    payer.person.provider(&payer.payment_id, "settle").await?;
    let body = payer.notification("settlement");
    let mut found = Vec::new();
    for status in futures_util::future::join_all((0..50).map(|_| post(&client, body.clone()))).await {
        found.extend(not_accepted(status?));
    }
    payer.confirmed().await?;
    found.extend(not_accepted(post(&client, body.clone()).await?));
    found.extend(one_effect(&payer).await?);
    berth.restart().await?;
    for _ in 0..3 {
        found.extend(not_accepted(post(&client, body.clone()).await?));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    found.extend(one_effect(&payer).await?);
    found.extend(ledger(berth, 1).await?);
    Ok(found)
}

fn not_accepted(status: u16) -> Option<Violation> {
    (status / 100 != 2).then(|| Violation::Untyped(format!("a notification was answered with {status}")))
}

async fn one_effect(payer: &Payer) -> anyhow::Result<Vec<Violation>> {
    let mut found = Vec::new();
    let paid = payer.history().await?.iter().filter(|status| *status == "PAID").count();
    if paid != 1 {
        found.push(Violation::Unsettled(format!("the payment became PAID {paid} times")));
    }
    let letters = crate::eventually("the letter with the tickets", WITHIN, || async {
        Ok(Some(payer.ticket_letters().await?).filter(|letters| *letters > 0))
    })
    .await?;
    if letters != 1 {
        found.push(Violation::Unsettled(format!("{letters} letters bring the tickets")));
    }
    let booking = payer.person.booking(&payer.booking_id).await?;
    let tickets = booking["tickets"].as_array().map_or(0, Vec::len);
    if tickets != 1 {
        found.push(Violation::Unsettled(format!("{tickets} tickets for one seat")));
    }
    Ok(found)
}

/// Money that the provider was heard to tell of is not lost when the process dies while it works on the notices. Nobody
/// is polled here: only the notices can bring the news. Where a kill falls is chance; [`die_at_work`] leaves nothing to it.
pub async fn survive_a_kill(berth: &mut Berth, rounds: u64) -> anyhow::Result<Vec<Violation>> {
    let client = berth.client()?;
    let mut found = Vec::new();
    for round in 0..rounds {
        let payers = futures_util::future::try_join_all((0..AT_ONCE).map(|_| Payer::new(&client))).await?;
        let settled = payers.iter().map(|payer| payer.person.provider(&payer.payment_id, "settle"));
        futures_util::future::try_join_all(settled).await?;
        let notified = payers.iter().map(|payer| post(&client, payer.notification("settlement")));
        for status in futures_util::future::join_all(notified).await {
            found.extend(not_accepted(status?));
        }
        tokio::time::sleep(Duration::from_millis(5 * (round % 4))).await;
        berth.restart().await?;
        client.advance(PAST_EVERY_LEASE_SECS).await?;
        let ends = futures_util::future::join_all(payers.iter().map(Payer::confirmed)).await;
        let lost = ends.into_iter().filter_map(Result::err);
        found.extend(lost.map(|error| Violation::Lost(format!("an acknowledged notice had no effect: {error:#}"))));
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// The process that works on a notice dies in the middle of it, after it has asked the provider and before it wrote anything down.
/// A provider that got no answer tells again, as providers do; what it was answered must then have its effect `within` this time.
pub async fn die_at_work(berth: &mut Berth, within: Duration) -> anyhow::Result<Vec<Violation>> {
    let client = berth.client()?;
    let payer = Payer::new(&client).await?;
    payer.person.provider(&payer.payment_id, "settle").await?;
    for process in workers(berth) {
        process.arm("payment.notice.looked=1*return").await?;
    }
    let body = payer.notification("settlement");
    let first = post(&client, body.clone()).await;
    dead_one(berth).await?.start().await?;
    for process in workers(berth) {
        process.arm("payment.notice.looked=off").await?;
    }
    let told = match first {
        Ok(status) if status < 500 => status,
        _ => {
            crate::eventually("an answer to the provider", WITHIN, || async {
                Ok(Some(post(&client, body.clone()).await?).filter(|status| *status < 500))
            })
            .await?
        }
    };
    let mut found: Vec<Violation> = not_accepted(told).into_iter().collect();
    client.advance(PAST_EVERY_LEASE_SECS).await?;
    let lost = payer.confirmed_within(within).await.err();
    found.extend(lost.map(|error| Violation::Lost(format!("an acknowledged notice had no effect: {error:#}"))));
    Ok(found)
}

/// The processes that work on notices.
fn workers(berth: &mut Berth) -> impl Iterator<Item = &mut Process> {
    berth.processes().iter_mut().filter(|process| ["berth", "payment-0", "worker-0"].contains(&process.name()))
}

async fn dead_one(berth: &mut Berth) -> anyhow::Result<&mut Process> {
    let started = Instant::now();
    loop {
        let mut dead = None;
        for (number, process) in berth.processes().iter_mut().enumerate() {
            if process.has_ended()? {
                dead = Some(number);
            }
        }
        match dead {
            Some(number) => return Ok(&mut berth.processes()[number]),
            None => anyhow::ensure!(started.elapsed() < WITHIN, "nobody has died"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What the ledger says: each capture is booked once, and debits are credits.
pub async fn ledger(berth: &Berth, captures: i64) -> anyhow::Result<Vec<Violation>> {
    let (postings, difference) = ledger_sums(&berth.store("payment").await?).await?;
    if postings == captures && difference == 0 {
        return Ok(vec![]);
    }
    Ok(vec![Violation::Unsettled(format!("{postings} postings for {captures} captures, debits minus credits is {difference}"))])
}

/// How many postings the ledger has, and its debits minus its credits.
pub async fn ledger_sums(store: &sea_orm::DatabaseConnection) -> anyhow::Result<(i64, i64)> {
    let text = "SELECT COUNT(DISTINCT posting) AS postings, CAST(COALESCE(SUM(debit_minor - credit_minor), 0) AS BIGINT) AS difference FROM ledger_entry";
    let row = store.query_one_raw(Statement::from_string(store.get_database_backend(), text)).await?.context("no row")?;
    Ok((row.try_get("", "postings")?, row.try_get("", "difference")?))
}
