//! I6: a hold is dead at its deadline though nobody sweeps: refused a moment before, granted a moment after.

use anyhow::ensure;
use berth_tests::{arrears::World, in_both_arms, process::Arm};

use crate::none;

in_both_arms!(a_hold_ends_at_its_deadline, the_checker_sees_ignored_deadlines);

async fn a_hold_ends_at_its_deadline(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().env("BERTH_HOLD_SWEEPER", "false").start().await?;
    none(&World::new(&berth.client()?, 2).await?.deadline().await?)?;
    berth.assert_alive()
}

async fn the_checker_sees_ignored_deadlines(arm: Arm) -> anyhow::Result<()> {
    let berth = arm.setup().env("BERTH_HOLD_SWEEPER", "false").sabotage("ignore_expiry")?.start().await?;
    ensure!(!World::new(&berth.client()?, 2).await?.deadline().await?.is_empty(), "the checker sees nothing");
    Ok(())
}
