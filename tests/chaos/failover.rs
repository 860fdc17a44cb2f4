//! The primary of PostgreSQL dies under load and its synchronous standby takes its place: nothing that was acknowledged is lost, and
//! Berth is open again within 10 s of the promotion.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use berth_tests::{
    eventually,
    fight::{self, Arena, Rules},
    in_the_fleet,
    person::{Person, Segment},
    process::{Arm, Berth},
};

use crate::{Fought, rules};

in_the_fleet!(the_primary_dies_and_its_standby_is_promoted);

const UNDER_LOAD: Duration = Duration::from_secs(4);
/// Until somebody, or some program, has noticed.
const WITHOUT_PRIMARY: Duration = Duration::from_secs(2);
const OPEN_WITHIN: Duration = Duration::from_secs(10);
const LASTS_SECS: u64 = 18;

async fn the_primary_dies_and_its_standby_is_promoted(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().with_standby().start().await?;
    if berth.standby().is_none() {
        println!("skipped: the programs of PostgreSQL are not installed here, so no standby can be made");
        return Ok(());
    }
    let client = berth.client()?;
    let arena = Arena::demo(&client, 80, 4).await?;
    let people = Person::sign_up_many(&client, "survivor", 16).await?;
    let watcher = Person::sign_up(&client, "watcher").await?;
    let rules = Rules { abandoned: 5, released: 35, paid: 40, outages: true, ..rules(LASTS_SECS) };
    let segment = berth_tests::timetable::demo_train(&client, 5).await?.whole();
    let failed_over = fail_over(&mut berth, &watcher, &segment);
    let (history, open_after) = tokio::join!(fight::run(&client, &arena, &people, rules), failed_over);
    println!("open again {:?} after the promotion", open_after?);
    let fought = Fought { client, arena, people, history };
    fought.aftermath().judge().await?;
    let bought = |claim: &berth_tests::history::Claim| claim.purchase.as_ref().is_some_and(|purchase| purchase.settled);
    ensure!(fought.history.claims().iter().any(bought), "nobody has paid");
    // A command of its own finds the new primary as well.
    berth.audit()?;
    berth.assert_alive()
}

/// Answers how long it took from the promotion to the first hold.
async fn fail_over(berth: &mut Berth, watcher: &Person, segment: &Segment) -> anyhow::Result<Duration> {
    tokio::time::sleep(UNDER_LOAD).await;
    berth.postgres().context("a server of its own")?.kill()?;
    tokio::time::sleep(WITHOUT_PRIMARY).await;
    ensure!(watcher.hold_best(segment, 1).await.is_err(), "a hold without a primary");
    berth.standby().context("a standby")?.promote().await?;
    let promoted = Instant::now();
    let placed = || async {
        let hold = watcher.hold_best(segment, 1).await?;
        watcher.release(&hold.id).await?.done().map(Some)
    };
    eventually("a hold after the promotion", OPEN_WITHIN, placed).await?;
    Ok(promoted.elapsed())
}
