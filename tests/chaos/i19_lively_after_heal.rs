//! I19: once the faults are over, 99 of 100 holds take less than a second, and no booking is unfinished for longer than two minutes.

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    aftermath::hold_p99,
    eventually,
    faults::EVERYTHING,
    fight::Rules,
    in_both_arms,
    process::{Arm, Berth},
};
use sea_orm::{ConnectionTrait, Statement};

use crate::{fight_in_trouble, rules};

in_both_arms!(it_is_as_quick_as_before);

const SLOWEST: Duration = Duration::from_secs(1);

async fn it_is_as_quick_as_before(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().proxied().start().await?;
    let rules = Rules { abandoned: 20, released: 40, paid: 30, ..rules(10) };
    let fought = fight_in_trouble(&mut berth, rules, EVERYTHING).await?;
    let rested = eventually("an answer after the faults", Duration::from_secs(10), || async {
        fought.people[0].hold_status("hold_00000000000000000000000000").await.map(Some)
    });
    rested.await?;
    for claim in fought.history.claims().iter().filter(|claim| !claim.released && claim.purchase.is_none()) {
        fought.people[claim.who].release(&claim.hold_id).await?;
    }
    let p99 = hold_p99(&fought.people, &fought.arena.train.whole()).await?;
    println!("{}; afterwards 99 of 100 holds take at most {p99:?}", fought.history.summary());
    ensure!(p99 < SLOWEST, "after the faults 99 of 100 holds take {p99:?}");
    fought.aftermath().payments_without_end().await?;
    let found = unfinished(&berth).await?;
    ensure!(found == 0, "{found} bookings are under way for longer than two minutes");
    berth.assert_alive()
}

/// Bookings that are neither at rest nor waiting for a payer's deadline, two minutes later.
async fn unfinished(berth: &Berth) -> anyhow::Result<i64> {
    berth.client()?.advance(120).await?;
    let store = berth.store("booking").await?;
    let text = "SELECT CAST(COUNT(*) AS BIGINT) AS found FROM booking WHERE state IN ('CONFIRMING', 'REFUND_PENDING')";
    let found = eventually("the end of every booking", Duration::from_secs(20), || async {
        let row = store.query_one_raw(Statement::from_string(store.get_database_backend(), text)).await?;
        let found: i64 = row.map_or(Ok(0), |row| row.try_get("", "found"))?;
        if found == 0 { Ok(Some(0)) } else { Ok(None) }
    });
    Ok(found.await.unwrap_or(1))
}
