//! A hold is dead at its deadline, and money that comes later still ends in tickets or in a refund.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use anyhow::ensure;
use berth_tests::{
    arrears::World,
    history::Violation,
    process::{Berth, Setup},
};

async fn world(berth: &Berth) -> anyhow::Result<World> {
    World::new(&berth.client()?, 2).await
}

fn none(found: &[Violation]) -> anyhow::Result<()> {
    ensure!(found.is_empty(), "{found:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_ends_at_its_deadline() -> anyhow::Result<()> {
    let mut berth = Setup::default().env("BERTH_HOLD_SWEEPER", "false").start().await?;
    none(&world(&berth).await?.deadline().await?)?;
    berth.assert_alive()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_money_ends_well() -> anyhow::Result<()> {
    let mut berth = Berth::start().await?;
    let mut world = world(&berth).await?;
    none(&world.cancelled().await?)?;
    none(&world.seats_free().await?)?;
    none(&world.seats_taken().await?)?;
    none(&world.two_late_payers().await?)?;
    berth.assert_alive()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_sees_ignored_deadlines() -> anyhow::Result<()> {
    let berth = Setup::default().sabotage("ignore_expiry")?.start().await?;
    ensure!(!world(&berth).await?.deadline().await?.is_empty(), "the checker sees nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_sees_a_kept_refund() -> anyhow::Result<()> {
    let berth = Setup::default().sabotage("skip_refund")?.start().await?;
    let found = world(&berth).await?.seats_taken().await?;
    ensure!(found.iter().any(|found| matches!(found, Violation::Unsettled(_))), "the checker sees nothing: {found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_sees_a_missing_fence() -> anyhow::Result<()> {
    let berth = Setup::default().sabotage("skip_fence")?.start().await?;
    let found = world(&berth).await?.seats_taken().await?;
    ensure!(found.iter().any(|found| matches!(found, Violation::GivenTwice(_))), "the checker sees nothing: {found:?}");
    Ok(())
}
