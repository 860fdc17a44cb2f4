//! SIGTERM and a new start of one process after the other, under load: no acknowledged answer is lost, and clients see only
//! refusals that ask them to come again.

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

/// A router that restarts refuses connections; whoever was inside gets an answer.
const RETRYABLE: [&str; 2] = ["SERVICE_UNAVAILABLE", "CONNECT"];

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
    ensure!(ends.keys().all(|end| RETRYABLE.contains(&end.as_str())), "clients met {ends:?}");
    berth.audit()?;
    berth.assert_alive()
}
