//! I3: the seat maps are read every 100 ms while seats change hands: each read has every seat once in a known state, none
//! that is certainly held is shown as free, and no read is older than one before.

use anyhow::ensure;
use berth_tests::{
    fight::{self, Arena, Rules},
    history::Violation,
    in_both_arms, in_one_process,
    person::Person,
    process::Arm,
};

use crate::{none, rules, short_holds};

const CLIENTS: usize = 16;

in_both_arms!(every_read_is_whole);

async fn every_read_is_whole(arm: Arm) -> anyhow::Result<()> {
    let mut berth = short_holds(arm).start().await?;
    let rules = Rules { outages: arm == Arm::Fleet, ..rules(8) };
    none(&conservation(&berth.client()?, rules).await?)?;
    berth.assert_alive()
}

async fn conservation(client: &berth_tests::client::Client, rules: Rules) -> anyhow::Result<Vec<Violation>> {
    let arena = Arena::demo(client, 20, 5).await?;
    let people = Person::sign_up_many(client, "counted", CLIENTS).await?;
    let history = fight::run(client, &arena, &people, rules).await;
    println!("{}", history.summary());
    let mut found = history.violations(arena.capacity);
    found.extend(history.shown_free(&arena.seats));
    Ok(found)
}

mod control {
    use super::{Arm, Rules, Violation, conservation, ensure, in_one_process, short_holds};

    in_one_process!(the_checker_sees_seats_that_vanish_from_their_holder);

    /// Without the guard a seat goes to a second holder, whose release frees it under the first.
    async fn the_checker_sees_seats_that_vanish_from_their_holder(arm: Arm) -> anyhow::Result<()> {
        let berth = short_holds(arm).sabotage("claim_guard")?.start().await?;
        let found = conservation(&berth.client()?, Rules { paid: 0, ..Rules::lasting(5) }).await?;
        ensure!(found.iter().any(|found| matches!(found, Violation::ShownFree(_))), "nothing seen: {found:?}");
        Ok(())
    }
}
