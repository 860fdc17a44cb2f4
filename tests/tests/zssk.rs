//! A real railway's timetable becomes inventory by one command, and is sold over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::{path::Path, time::Instant};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    documents,
    person::{Person, Segment},
    process::{self, Setup},
    timetable, today,
};
use chrono::{Datelike, Days, NaiveDate};
use serde_json::{Value, json};
use tempfile::TempDir;

const FEED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/gtfs/zssk-2025-02-09.zip");

/// The Monday of next week.
fn monday() -> NaiveDate {
    today() + Days::new(7 - u64::from(today().weekday().num_days_from_monday()))
}

fn import(folder: &TempDir) -> anyhow::Result<String> {
    let began = Instant::now();
    let output = process::run(&["import", "gtfs", FEED, "--start-date", &monday().to_string()], folder)?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}\nimported in {:?}", began.elapsed());
    ensure!(output.status.success(), "the import failed: {text}");
    Ok(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_railway_is_imported_and_sold() -> anyhow::Result<()> {
    if !Path::new(FEED).is_file() {
        println!("skipped: the feed of ZSSK is not beside this checkout");
        return Ok(());
    }
    let folder = TempDir::new()?;
    let first = import(&folder)?;
    ensure!(numbers(&first).contains(&2561), "the summary does not tell of 2,561 trips:\n{first}");

    let mut berth = Setup::default().on(folder).start().await?;
    let client = berth.client()?;
    let (segment, seats, price) = find(&client).await?;
    let person = Person::sign_up(&client, "janka").await?;
    let booking = person.buy(&segment, &[&seats[0], &seats[1]]).await?;
    ensure!(booking["tickets"].as_array().map(Vec::len) == Some(2), "{booking}");
    ensure!(booking["total"]["currency"] == price, "{booking}");
    ensure!(timetable::seat_state(&client, &segment, &seats[0]).await? == "SOLD");
    berth.assert_alive()?;

    // The same feed again changes nothing: neither the timetable nor what is sold.
    berth.stop().await?;
    let copy = berth.copy()?;
    import(&copy)?;
    let mut again = Setup::default().on(copy).start().await?;
    let client = again.client()?;
    ensure!(timetable::seat_state(&client, &segment, &seats[0]).await? == "SOLD", "the second import forgot a sale");
    let person = Person::sign_in(&client, &person.email).await?;
    let data = person.client.query(documents::ME, Value::Null).await?;
    ensure!(data["me"]["tickets"]["nodes"].as_array().map(Vec::len) == Some(2), "{data}");
    again.assert_alive()
}

/// A train from Bratislava to Košice, two free seats in it, and the currency it is sold in.
async fn find(client: &Client) -> anyhow::Result<(Segment, Vec<String>, String)> {
    let from = timetable::station(client, "Bratislava hlavná stanica").await?;
    let to = timetable::station(client, "Košice").await?;
    let trains = timetable::search(client, &from, &to, monday()).await?;
    ensure!(trains.len() >= 5, "only {} trains from Bratislava to Košice", trains.len());
    let train = trains.iter().max_by_key(|train| train.legs()).context("no train")?;
    let data = client
        .query(
            "query($id: ID!) { trip(id: $id) { name serviceDate stops { departureLocal timeZone station { name } } } }",
            json!({ "id": train.id }),
        )
        .await?;
    ensure!(
        data["trip"]["serviceDate"] == monday().to_string() && data["trip"]["stops"][0]["timeZone"] == "Europe/Bratislava",
        "{data}"
    );
    let currency = train.option["fares"][0]["price"]["currency"].as_str().context("no fare")?.to_owned();
    let seats = timetable::free_seats(client, &train.searched, 2).await?;
    Ok((train.searched.clone(), seats, currency))
}

/// Every number of a text, with and without separators of thousands.
fn numbers(text: &str) -> Vec<u32> {
    let joined = text.replace([',', '\u{a0}', '_'], "");
    joined.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}
