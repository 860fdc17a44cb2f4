//! I7: money that comes after the deadline ends in tickets if the seats are free, in a refund if not; of two late payers
//! each gets exactly one of both.

use anyhow::ensure;
use berth_tests::{arrears::World, history::Violation, in_both_arms, process::Arm};

use crate::none;

in_both_arms!(late_money_ends_well, the_checker_sees_a_missing_fence);

async fn late_money_ends_well(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let mut world = World::new(&berth.client()?, 2).await?;
    none(&world.cancelled().await?)?;
    none(&world.seats_free().await?)?;
    none(&world.seats_taken().await?)?;
    none(&world.two_late_payers().await?)?;
    berth.audit()?;
    berth.assert_alive()
}

async fn the_checker_sees_a_missing_fence(arm: Arm) -> anyhow::Result<()> {
    let berth = arm.setup().sabotage("skip_fence")?.start().await?;
    let found = World::new(&berth.client()?, 2).await?.seats_taken().await?;
    ensure!(found.iter().any(|found| matches!(found, Violation::GivenTwice(_))), "nothing seen: {found:?}");
    Ok(())
}
