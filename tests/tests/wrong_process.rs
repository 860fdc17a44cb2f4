//! A fleet in which one process of several is wrong: its clock, or its keys. Nobody notices but the operator, who is told which and why.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::{fs, path::Path, time::Duration};

use anyhow::ensure;
use berth_tests::{
    client::Client,
    eventually, in_the_fleet,
    person::Person,
    process::{Arm, Berth, Setup},
    timetable,
};

in_the_fleet!(a_wrong_clock, foreign_keys, a_foreign_key_of_its_own);

const JOURNEYS: usize = 12;
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// The processes beside which there is another of their role.
const SECOND: [&str; 3] = ["booking", "router", "worker"];

async fn two_of_each(arm: Arm, wrong: impl Fn(Setup) -> Setup) -> anyhow::Result<Berth> {
    let setup = SECOND.iter().fold(arm.setup(), |setup, role| setup.two_of(role));
    wrong(setup).start().await
}

async fn a_wrong_clock(arm: Arm) -> anyhow::Result<()> {
    let offset = |setup: Setup| {
        SECOND.iter().fold(setup, |setup, role| setup.env_of(&format!("{role}-1"), "BERTH_CLOCK_OFFSET_SECS", "600"))
    };
    let mut berth = two_of_each(arm, offset).await?;
    for role in SECOND {
        told(&mut berth, role, "clock of this machine is 600 s ahead").await?;
    }
    everybody_travels(&mut berth).await
}

/// The directory of another installation. `data.key` is the fleet's: with another one the process would not start.
async fn foreign_keys(arm: Arm) -> anyhow::Result<()> {
    with_other_keys(arm, |name| name.starts_with("service-")).await
}

/// It knows everybody, so it admits the router; but nobody knows it.
async fn a_foreign_key_of_its_own(arm: Arm) -> anyhow::Result<()> {
    with_other_keys(arm, |name| SECOND.iter().any(|role| name.starts_with(&format!("service-{role}.")))).await
}

async fn with_other_keys(arm: Arm, is_foreign: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let mut berth = two_of_each(arm, |setup| setup).await?;
    let other = berth.folder().join("other-keys");
    copy(&berth.folder().join("keys"), &other, |name| !is_foreign(name))?;
    for role in SECOND {
        let process = berth.process(role, 1)?;
        process.set("BERTH_KEYS_DIR", Some(&other.display().to_string()));
        process.restart().await?;
    }
    // From the first request on: a process looks around before it serves.
    everybody_travels(&mut berth).await?;
    for role in SECOND {
        told(&mut berth, role, "SERVICE_CREDENTIAL_INVALID").await?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(&wanted) {
            fs::copy(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}

/// The wrong process says that it is not ready and why, and the right one beside it is ready.
async fn told(berth: &mut Berth, role: &str, reason: &str) -> anyhow::Result<()> {
    let wrong = Client::new(&berth.process(role, 1)?.url())?;
    let unready = || async {
        let (status, text) = wrong.get("/readyz").await?;
        ensure!(status == 503 && text.contains(reason), "{role}-1: {status} {text}");
        Ok(Some(text))
    };
    println!("{role}-1: {}", eventually(&format!("{role}-1 is unready"), TOLD_WITHIN, unready).await?);
    let (status, text) = Client::new(&berth.process(role, 0)?.url())?.get("/readyz").await?;
    ensure!(status == 200, "{role}-0: {status} {text}");
    Ok(())
}

/// From the hold to the tickets, without one refusal.
async fn everybody_travels(berth: &mut Berth) -> anyhow::Result<()> {
    let client = berth.client()?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let seats = timetable::free_seats(&client, &segment, JOURNEYS).await?;
    let people = Person::sign_up_many(&client, "traveller", 4).await?;
    let journeys = people.iter().zip(seats.chunks(JOURNEYS / 4)).map(|(person, seats)| {
        let segment = &segment;
        async move {
            for seat in seats {
                person.buy(segment, &[seat.as_str()]).await?;
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    futures_util::future::try_join_all(journeys).await?;
    berth.assert_alive()
}
