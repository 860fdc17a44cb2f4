//! SIGTERM and a new start of one process after the other, under load: no acknowledged answer is lost, and clients see only
//! what asks them to come again.

use std::time::{Duration, Instant};

use anyhow::ensure;
use berth_tests::{
    faults,
    fight::{self, Arena, Rules},
    in_the_fleet,
    person::Person,
    process::Arm,
};

use crate::Fought;

in_the_fleet!(a_rolling_restart_loses_nothing);

/// A router that restarts refuses connections, and whoever is inside gets an answer; a connection that the kernel had taken for
/// the closing listener, or that rested while it closed, is reset: its request was acknowledged to nobody. A confirmation may
/// be late by the time of a restart.
const EXPECTED: [&str; 4] = ["SERVICE_UNAVAILABLE", "CONNECT", "LOST", "LATE"];
/// Resets are rare: most connections end with an answer that says so.
const LOST_AT_MOST: usize = 8;

async fn a_rolling_restart_loses_nothing(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let arena = Arena::demo(&client, 80, 4).await?;
    let people = Person::sign_up_many(&client, "rolling", 8).await?;
    let (seed, secs) = (faults::seed(), faults::secs(20));
    let rules = Rules { abandoned: 5, released: 35, paid: 40, outages: true, seed, ..Rules::lasting(secs) };
    let rolling = async {
        let until = Instant::now() + Duration::from_secs(secs.saturating_sub(2));
        for number in 0..berth.processes().len() {
            if Instant::now() < until {
                berth.processes()[number].stop().await?;
                berth.processes()[number].start().await?;
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    let (history, rolled) = tokio::join!(fight::run(&client, &arena, &people, rules), rolling);
    rolled?;
    let fought = Fought { client, arena, people, history };
    fought.aftermath().judge().await?;
    let ends = fought.history.outages();
    ensure!(ends.keys().all(|end| EXPECTED.contains(&end.as_str())), "clients met {ends:?}");
    ensure!(ends.get("LOST").is_none_or(|lost| *lost <= LOST_AT_MOST), "clients met {ends:?}");
    berth.audit()?;
    berth.assert_alive()
}
