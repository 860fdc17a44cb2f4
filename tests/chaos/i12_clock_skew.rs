//! I12: one of two inventory processes is five minutes early or late: no hold is let go before its time, and no seat is sold twice.

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    client::Outcome,
    fight::{self, Arena, Rules},
    in_the_fleet,
    person::{Person, fresh_key},
    process::{Arm, Berth},
    timetable,
};

use crate::{none, rules};

in_the_fleet!(a_clock_that_is_ahead, a_clock_that_is_behind);

async fn a_clock_that_is_ahead(arm: Arm) -> anyhow::Result<()> {
    skewed(arm, "300").await
}

async fn a_clock_that_is_behind(arm: Arm) -> anyhow::Result<()> {
    skewed(arm, "-300").await
}

async fn skewed(arm: Arm, offset_secs: &str) -> anyhow::Result<()> {
    let setup = arm.setup().env("BERTH_HOLD_TTL_SECS", "20").env("BERTH_HOLD_SWEEPER", "false");
    let mut berth = setup.env_of("inventory-1", "BERTH_CLOCK_OFFSET_SECS", offset_secs).start().await?;
    held_to_the_end(&berth).await?;
    let client = berth.client()?;
    let arena = Arena::demo(&client, 20, 4).await?;
    let people = Person::sign_up_many(&client, "skewed", 16).await?;
    let history = fight::run(&client, &arena, &people, Rules { paid: 10, outages: true, ..rules(8) }).await;
    println!("{}", history.summary());
    none(&history.violations(arena.capacity))?;
    berth.audit()?;
    berth.assert_alive()
}

/// Whoever is asked, right or wrong about the time: a hold is refused to others until its deadline, and theirs after it.
async fn held_to_the_end(berth: &Berth) -> anyhow::Result<()> {
    let client = berth.client()?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, 4).await?;
    let people = Person::sign_up_many(&client, "deadline", 5).await?;
    let mut deadlines = Vec::new();
    for (person, seat) in people.iter().zip(&seats) {
        let hold = person.hold(&segment, &[seat]).await?;
        ensure!(hold.remaining <= Duration::from_secs(21), "a hold of {:?}", hold.remaining);
        deadlines.push(std::time::Instant::now() + hold.remaining);
    }
    for round in 0..6 {
        for seat in &seats {
            let answer = people[4].place(&segment, &[seat], &fresh_key()).await?;
            ensure!(matches!(answer, Outcome::Refused(_)), "round {round}: a held seat was given away");
        }
    }
    let last = deadlines.into_iter().max().unwrap_or_else(std::time::Instant::now);
    tokio::time::sleep(last.saturating_duration_since(std::time::Instant::now()) + Duration::from_secs(2)).await;
    for seat in &seats {
        let hold = people[4].hold(&segment, &[seat]).await?;
        people[4].release(&hold.id).await?.done()?;
    }
    Ok(())
}
