//! I8: the same webhook fifty times at once, later, and after a restart: one change, one ledger entry, one letter, always 2xx.

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    history::Violation,
    in_both_arms, notices,
    process::{Arm, Setup},
};

use crate::none;

in_both_arms!(
    a_notification_counts_once,
    an_acknowledged_notification_survives_a_kill,
    a_death_at_work_on_a_notification_costs_only_time,
    the_checker_sees_a_missing_inbox,
    the_checker_sees_an_early_acknowledgement,
);

/// The provider sends nothing by itself, and is asked an hour later at the earliest: all depends on the test's own notices.
fn unpolled(arm: Arm) -> Setup {
    notices::setup(arm).env("BERTH_PAYMENT_POLL_SECS", "3600,7200").env("BERTH_SANDBOX_WEBHOOKS", "false")
}

async fn a_notification_counts_once(arm: Arm) -> anyhow::Result<()> {
    let mut berth = notices::setup(arm).start().await?;
    none(&notices::doubled(&mut berth).await?)?;
    berth.assert_alive()
}

async fn an_acknowledged_notification_survives_a_kill(arm: Arm) -> anyhow::Result<()> {
    let mut berth = unpolled(arm).start().await?;
    none(&notices::survive_a_kill(&mut berth, 2).await?)?;
    berth.assert_alive()
}

async fn a_death_at_work_on_a_notification_costs_only_time(arm: Arm) -> anyhow::Result<()> {
    let mut berth = unpolled(arm).with_failpoints()?.start().await?;
    none(&notices::die_at_work(&mut berth, Duration::from_secs(30)).await?)?;
    berth.assert_alive()
}

async fn the_checker_sees_a_missing_inbox(arm: Arm) -> anyhow::Result<()> {
    let mut berth = notices::setup(arm).sabotage("skip_inbox")?.start().await?;
    ensure!(!notices::doubled(&mut berth).await?.is_empty(), "the checker sees nothing");
    Ok(())
}

async fn the_checker_sees_an_early_acknowledgement(arm: Arm) -> anyhow::Result<()> {
    let mut berth = unpolled(arm).sabotage("ack_early")?.start().await?;
    // A sound build needs a second or two.
    let found = notices::die_at_work(&mut berth, Duration::from_secs(8)).await?;
    ensure!(found.iter().any(|found| matches!(found, Violation::Lost(_))), "the checker sees nothing: {found:?}");
    Ok(())
}
