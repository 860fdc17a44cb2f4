//! I1: 64 clients fight for 20 seats over 5 legs, holds are abandoned, given back, cancelled and sold: nothing is given twice.

use anyhow::ensure;
use berth_tests::{
    fight::{self, Arena, Rules},
    history::{Claim, History, Violation},
    in_both_arms,
    person::Person,
    process::{Arm, Berth},
    timetable,
};

use crate::{none, rules, short_holds};

const CLIENTS: usize = 64;
const SEATS: usize = 20;
const LEGS: usize = 5;

in_both_arms!(nothing_is_given_twice, the_checker_sees_a_claim_without_its_guard);

async fn fought(berth: &Berth, rules: Rules) -> anyhow::Result<(History, Arena)> {
    let client = berth.client()?;
    let arena = Arena::demo(&client, SEATS, LEGS).await?;
    let people = Person::sign_up_many(&client, "fighter", CLIENTS).await?;
    // A fleet on a busy machine may refuse for a moment; the same key is then asked again.
    let rules = Rules { outages: berth.arm() == Arm::Fleet, ..rules };
    let history = fight::run(&client, &arena, &people, rules).await;
    println!("{}", history.summary());
    Ok((history, arena))
}

async fn nothing_is_given_twice(arm: Arm) -> anyhow::Result<()> {
    let mut berth = short_holds(arm).start().await?;
    let default_secs = if arm == Arm::Fleet { 30 } else { 20 };
    let (history, arena) = fought(&berth, rules(default_secs)).await?;
    let mut violations = history.violations(arena.capacity);
    violations.extend(rest(&berth, &arena, &history).await?);
    none(&violations)?;
    ensure!(history.claims().len() > 100, "hardly a fight: {}", history.summary());
    ensure!(history.refusals().contains_key("SEATS_UNAVAILABLE"), "nobody met anybody: {}", history.summary());
    berth.audit()?;
    berth.assert_alive()
}

/// Nobody saw how its payment ended.
fn is_being_paid(claim: &Claim) -> bool {
    claim.purchase.as_ref().is_some_and(|purchase| purchase.payment_id.is_some())
}

/// After the last deadline only sold seats are taken.
async fn rest(berth: &Berth, arena: &Arena, history: &History) -> anyhow::Result<Vec<Violation>> {
    let client = berth.client()?;
    // Holds of bookings live longer than other holds.
    client.advance(3 * 3600).await?;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let claims = history.claims();
    let mut found = Vec::new();
    for leg in 0..LEGS {
        let (_, map) = timetable::seat_map(&client, &arena.train.segment(leg, leg + 1)).await?;
        for (number, id) in arena.seats.iter().enumerate() {
            let mut holders = claims.iter().filter(|claim| claim.seats.contains(&number) && claim.legs.contains(&leg));
            if holders.clone().any(|claim| claim.sold.is_none() && is_being_paid(claim)) {
                continue;
            }
            let sold = holders.any(|claim| claim.sold.is_some());
            let state = map.iter().find(|seat| seat.id == *id).map_or("MISSING", |seat| seat.state.as_str());
            let expected = if sold { "SOLD" } else { "AVAILABLE" };
            if state != expected {
                found.push(Violation::Lost(format!("seat {number} leg {leg} is {state} in the end, not {expected}")));
            }
        }
    }
    Ok(found)
}

async fn the_checker_sees_a_claim_without_its_guard(arm: Arm) -> anyhow::Result<()> {
    let berth = short_holds(arm).sabotage("claim_guard")?.start().await?;
    let (history, arena) = fought(&berth, Rules { paid: 0, ..Rules::lasting(5) }).await?;
    let violations = history.violations(arena.capacity);
    ensure!(violations.iter().any(|found| matches!(found, Violation::GivenTwice(_))), "nothing seen: {}", history.summary());
    Ok(())
}
