//! I5: people pay while processes die and hang, PostgreSQL and Redis connections break and Redis forgets. After it healed
//! every payment ends in tickets or in a refund, never in both, never in neither.

use anyhow::ensure;
use berth_tests::{arrears::World, faults::EVERYTHING, fight::Rules, history::Violation, in_both_arms, process::Arm};

use crate::{fight_in_trouble, rules};

in_both_arms!(paid_is_tickets_or_refund, the_checker_sees_a_kept_refund);

async fn paid_is_tickets_or_refund(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().proxied().start().await?;
    let rules = Rules { abandoned: 5, released: 10, paid: 70, ..rules(16) };
    let fought = fight_in_trouble(&mut berth, rules, EVERYTHING).await?;
    fought.aftermath().judge().await?;
    berth.audit()?;
    berth.assert_alive()
}

async fn the_checker_sees_a_kept_refund(arm: Arm) -> anyhow::Result<()> {
    let berth = arm.setup().sabotage("skip_refund")?.start().await?;
    let found = World::new(&berth.client()?, 2).await?.seats_taken().await?;
    ensure!(found.iter().any(|found| matches!(found, Violation::Unsettled(_))), "nothing seen: {found:?}");
    Ok(())
}
