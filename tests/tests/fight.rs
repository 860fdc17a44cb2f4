//! 64 clients fight for 20 seats over 5 legs: nothing is given away twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    fight::{self, Arena, Rules},
    history::{History, Violation},
    person::{Person, Segment, fresh_key},
    process::{Berth, Setup},
    timetable,
};

const CLIENTS: usize = 64;
const SEATS: usize = 20;
const LEGS: usize = 5;
/// Abandoned holds must fall free within the fight.
const HOLD_TTL_SECS: &str = "5";

fn setup() -> Setup {
    Setup::default().env("BERTH_HOLD_TTL_SECS", HOLD_TTL_SECS)
}

fn lasting(default_secs: u64) -> Rules {
    let secs = std::env::var("BERTH_FIGHT_SECS").ok().and_then(|text| text.parse().ok()).unwrap_or(default_secs);
    Rules::lasting(secs)
}

async fn fought(berth: &Berth, rules: Rules) -> anyhow::Result<(History, Arena)> {
    let client = berth.client()?;
    let arena = Arena::demo(&client, SEATS, LEGS).await?;
    let people = Person::sign_up_many(&client, "fighter", CLIENTS).await?;
    println!("seed {}", rules.seed);
    let history = fight::run(&client, &arena, &people, rules).await;
    println!("{}", history.summary());
    Ok((history, arena))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_given_twice() -> anyhow::Result<()> {
    let mut berth = setup().start().await?;
    let (history, arena) = fought(&berth, lasting(20)).await?;
    let mut violations = history.violations(arena.capacity);
    violations.extend(history.shown_free(&arena.seats));
    violations.extend(rest(&berth, &arena, &history).await?);
    ensure!(violations.is_empty(), "{} violations: {:#?}", violations.len(), &violations[..violations.len().min(10)]);
    ensure!(history.claims().len() > 100, "hardly a fight: {}", history.summary());
    ensure!(history.refusals().contains_key("SEATS_UNAVAILABLE"), "nobody met anybody: {}", history.summary());
    berth.assert_alive()
}

/// After the last deadline only sold seats are taken.
async fn rest(berth: &Berth, arena: &Arena, history: &History) -> anyhow::Result<Vec<Violation>> {
    let client = berth.client()?;
    // Holds of bookings live longer than other holds.
    client.advance(3 * 3600).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let claims = history.claims();
    let mut found = Vec::new();
    for leg in 0..LEGS {
        let (_, map) = timetable::seat_map(&client, &arena.train.segment(leg, leg + 1)).await?;
        for (number, id) in arena.seats.iter().enumerate() {
            let sold =
                claims.iter().any(|claim| claim.sold.is_some() && claim.seats.contains(&number) && claim.legs.contains(&leg));
            let state = map.iter().find(|seat| seat.id == *id).map_or("MISSING", |seat| seat.state.as_str());
            let expected = if sold { "SOLD" } else { "AVAILABLE" };
            if state != expected {
                found.push(Violation::Lost(format!("seat {number} leg {leg} is {state} in the end, not {expected}")));
            }
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_sees_a_claim_without_its_guard() -> anyhow::Result<()> {
    let berth = setup().sabotage("claim_guard")?.start().await?;
    let (history, arena) = fought(&berth, Rules { paid: 0, ..lasting(5) }).await?;
    let violations = history.violations(arena.capacity);
    ensure!(
        violations.iter().any(|found| matches!(found, Violation::GivenTwice(_))),
        "the checker sees nothing: {}",
        history.summary()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_of_several_seats_are_all_or_nothing() -> anyhow::Result<()> {
    let mut berth = setup().start().await?;
    let client = berth.client()?;
    let segment: Segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, 2).await?;
    let people = Person::sign_up_many(&client, "pair", 8).await?;
    let crossing = people.iter().enumerate().map(|(who, person)| {
        let (segment, seats) = (&segment, &seats);
        async move {
            let wanted: [&str; 2] = if who % 2 == 0 { [&seats[0], &seats[1]] } else { [&seats[1], &seats[0]] };
            let mut granted = 0;
            for _ in 0..25 {
                if let berth_tests::client::Outcome::Done(success) = person.place(segment, &wanted, &fresh_key()).await? {
                    let hold = berth_tests::person::Hold::of(&success)?;
                    ensure!(hold.seats.len() == 2, "a part of a hold: {success}");
                    granted += 1;
                    person.release(&hold.id).await?.done()?;
                }
            }
            Ok(granted)
        }
    });
    let granted: Vec<i32> = futures_util::future::try_join_all(crossing).await?;
    ensure!(granted.iter().sum::<i32>() > 0, "nobody got anything");
    for seat in &seats {
        ensure!(timetable::seat_state(&client, &segment, seat).await? == "AVAILABLE");
    }
    berth.assert_alive()
}
