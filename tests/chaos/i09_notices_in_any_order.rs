//! I9: every order of pending, settlement, expire and refund; the payment never goes back. And without any notice it only
//! takes longer.

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    in_both_arms,
    notices::{self, Payer},
    process::Arm,
};

in_both_arms!(order_does_not_matter, blocked_webhooks_only_delay);

/// Every order of the four notifications; what they say is not believed, the provider's status is.
async fn order_does_not_matter(arm: Arm) -> anyhow::Result<()> {
    const STATUSES: [&str; 4] = ["pending", "settlement", "expire", "refund"];
    let mut berth = notices::setup(arm).start().await?;
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
async fn blocked_webhooks_only_delay(arm: Arm) -> anyhow::Result<()> {
    let mut berth = notices::setup(arm).env("BERTH_SANDBOX_WEBHOOKS", "false").start().await?;
    let payer = Payer::new(&berth.client()?).await?;
    payer.person.provider(&payer.payment_id, "settle").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(!payer.history().await?.iter().any(|status| status == "PAID"), "the webhook was not blocked");
    berth.client()?.advance(130).await?;
    payer.confirmed().await?;
    berth.assert_alive()
}
