//! The invariants I1 to I19, each in one process and in a fleet where it applies; and the negative control of each checker.
//! README.md in the folder above tells how to repeat a run and how to add an invariant.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

mod failover;
mod i01_no_oversell;
mod i02_all_or_nothing;
mod i03_conservation;
mod i04_acknowledged_survives;
mod i05_paid_ends_well;
mod i06_holds_expire;
mod i07_late_money;
mod i08_doubled_notices;
mod i09_notices_in_any_order;
mod i10_crash_anywhere;
mod i11_client_retry;
mod i12_clock_skew;
mod i13_database_loss;
mod i13_full_disk;
mod i14_redis_loss;
mod i15_shuffled_events;
mod i16_unique_ids;
mod i17_ledger;
mod i18_subscription_truth;
mod i19_lively_after_heal;
mod rolling_restart;

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    aftermath::Aftermath,
    client::Client,
    faults::{self, Fault, Trouble},
    fight::{self, Arena, Rules},
    history::{History, Violation},
    person::Person,
    process::{Arm, Berth, Setup},
};

/// A fight that has been fought, with everything that is needed to judge it.
pub struct Fought {
    /// A client without a token.
    pub client: Client,
    /// What was fought for.
    pub arena: Arena,
    /// Who fought.
    pub people: Vec<Person>,
    /// What they saw.
    pub history: History,
}

impl Fought {
    /// Where the checkers look.
    pub fn aftermath(&self) -> Aftermath<'_> {
        Aftermath { client: &self.client, arena: &self.arena, people: &self.people, history: &self.history }
    }
}

/// Fights while there is trouble. Answers are asked for again while they are lost; the holds of the run do not expire in it.
pub async fn fight_in_trouble(berth: &mut Berth, rules: Rules, faults: &'static [Fault]) -> anyhow::Result<Fought> {
    let client = berth.client()?;
    let arena = Arena::demo(&client, 80, 4).await?;
    let people = Person::sign_up_many(&client, "survivor", 24).await?;
    let rules = Rules { outages: true, ..rules };
    // The last fault ends before the fight does.
    let trouble = Trouble::new(rules.seed, berth.arm(), faults).make(berth, rules.lasts.saturating_sub(Duration::from_secs(3)));
    let (history, made) = tokio::join!(fight::run(&client, &arena, &people, rules), trouble);
    made?;
    Ok(Fought { client, arena, people, history })
}

/// Rules of a fight from a fresh seed.
pub fn rules(default_secs: u64) -> Rules {
    Rules { seed: faults::seed(), ..Rules::lasting(faults::secs(default_secs)) }
}

/// Fails when a checker found something.
pub fn none(found: &[Violation]) -> anyhow::Result<()> {
    ensure!(found.is_empty(), "{} violations: {:#?}", found.len(), &found[..found.len().min(10)]);
    Ok(())
}

/// A Berth whose holds expire soon.
pub fn short_holds(arm: Arm) -> Setup {
    arm.setup().env("BERTH_HOLD_TTL_SECS", "5")
}
