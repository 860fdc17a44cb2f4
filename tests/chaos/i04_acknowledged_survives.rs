//! I4: kill -9 of any process at any moment: every acknowledged answer is there afterwards, every refused one is not, and what
//! was asked for again with the same key happened once.

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{documents, faults::Fault, fight::Rules, in_both_arms, person::Person, process::Arm, timetable};

use crate::{fight_in_trouble, rules};

in_both_arms!(nothing_acknowledged_is_lost, each_step_survives_a_kill_right_after_it);

async fn nothing_acknowledged_is_lost(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let rules = Rules { abandoned: 5, released: 35, paid: 40, ..rules(14) };
    let fought = fight_in_trouble(&mut berth, rules, &[Fault::Kill]).await?;
    fought.aftermath().judge().await?;
    let bought = |claim: &berth_tests::history::Claim| claim.purchase.as_ref().is_some_and(|purchase| purchase.settled);
    ensure!(fought.history.claims().iter().any(bought), "nobody has paid");
    berth.audit()?;
    berth.assert_alive()
}

/// Everything is killed at once after each acknowledgement, step by step.
async fn each_step_survives_a_kill_right_after_it(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "steps").await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, 2).await?;

    let given_back = person.hold(&segment, &[&seats[1]]).await?;
    person.release(&given_back.id).await?.done()?;
    let hold = person.hold(&segment, &[&seats[0]]).await?;
    berth.restart().await?;
    ensure!(person.hold_status(&given_back.id).await?.as_deref() == Some("RELEASED"));
    ensure!(person.hold_status(&hold.id).await?.as_deref() == Some("ACTIVE"));
    let booking_id = person.book(&hold).await?;
    berth.restart().await?;
    ensure!(person.booking(&booking_id).await?["status"] == "PENDING_PAYMENT");
    let payment_id = person.pay(&booking_id).await?;
    berth.restart().await?;
    ensure!(person.payment(&payment_id).await?["status"] == "PENDING");
    person.provider(&payment_id, "settle").await?;
    berth.restart().await?;
    client.advance(70).await?;
    let booking = person.await_booking(&booking_id, &["CONFIRMED"], Duration::from_secs(30)).await?;
    berth.restart().await?;
    ensure!(person.booking(&booking_id).await?["tickets"] == booking["tickets"], "the tickets changed");
    let data = person.client.query(documents::ME, serde_json::Value::Null).await?;
    ensure!(data["me"]["tickets"]["nodes"].as_array().map(Vec::len) == Some(1), "{data}");
    berth.assert_alive()
}
