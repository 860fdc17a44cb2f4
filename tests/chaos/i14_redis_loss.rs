//! I14: Redis is dead from the start, forgets everything, is out for a while, or gives its place to an empty one: bookings still end
//! confirmed, and nothing happens twice.

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    faults, in_the_fleet,
    notices::ledger_sums,
    person::{Person, Segment},
    process::{Arm, Berth},
    timetable,
};
use futures_util::future::try_join_all;
use serde_json::Value;

in_the_fleet!(dead_for_the_whole_run, flushed_in_the_middle, out_for_a_while, an_empty_one_takes_over);

const BUYERS: usize = 6;
const WITHIN: Duration = Duration::from_mins(1);

async fn buyers(berth: &Berth) -> anyhow::Result<(Vec<Person>, Segment)> {
    let client = berth.client()?;
    Ok((Person::sign_up_many(&client, "redisless", BUYERS).await?, timetable::demo_train(&client, 2).await?.whole()))
}

/// From a hold to a settled payment.
async fn pay(person: &Person, segment: &Segment) -> anyhow::Result<String> {
    let hold = person.hold_best(segment, 1).await?;
    let booking_id = person.book(&hold).await?;
    let payment_id = person.pay(&booking_id).await?;
    person.provider(&payment_id, "settle").await?;
    Ok(booking_id)
}

/// Every booking is confirmed, with one letter and one posting each.
async fn confirmed_once(berth: &Berth, people: &[Person], bookings: &[String]) -> anyhow::Result<()> {
    for (person, booking_id) in people.iter().zip(bookings) {
        let booking = person.await_booking(booking_id, &["CONFIRMED"], WITHIN).await?;
        ensure!(booking["tickets"].as_array().map(Vec::len) == Some(1), "{booking}");
    }
    for person in people {
        berth_tests::eventually("the letter with the tickets", WITHIN, || async {
            Ok((ticket_letters(person).await? > 0).then_some(()))
        })
        .await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for person in people {
        let letters = ticket_letters(person).await?;
        ensure!(letters == 1, "{letters} letters bring one ticket");
    }
    let (postings, difference) = ledger_sums(&berth.store("payment").await?).await?;
    ensure!(postings == i64::try_from(bookings.len())? && difference == 0, "{postings} postings, off by {difference}");
    berth.audit()
}

async fn ticket_letters(person: &Person) -> anyhow::Result<usize> {
    let about_tickets = |letter: &&Value| letter["subject"].as_str().is_some_and(|text| text.to_lowercase().contains("ticket"));
    Ok(person.client.letters(&person.email).await?.iter().filter(about_tickets).count())
}

async fn dead_for_the_whole_run(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().without_redis().start().await?;
    let (people, segment) = buyers(&berth).await?;
    let bookings = try_join_all(people.iter().map(|person| pay(person, &segment))).await?;
    confirmed_once(&berth, &people, &bookings).await?;
    berth.assert_alive()
}

async fn flushed_in_the_middle(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let (people, segment) = buyers(&berth).await?;
    let flushes = async {
        for _ in 0..20 {
            berth.flush_redis().await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    let payers = try_join_all(people.iter().map(|person| pay(person, &segment)));
    let (bookings, ()) = tokio::try_join!(payers, flushes)?;
    confirmed_once(&berth, &people, &bookings).await?;
    berth.assert_alive()
}

/// Ten seconds; longer by `BERTH_CHAOS_SECS`.
async fn out_for_a_while(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let (people, segment) = buyers(&berth).await?;
    let before = pay(&people[0], &segment).await?;
    berth.redis()?.kill()?;
    let mut bookings = vec![before];
    for person in &people[1..4] {
        bookings.push(pay(person, &segment).await?);
    }
    tokio::time::sleep(Duration::from_secs(faults::secs(10))).await;
    berth.redis()?.start().await?;
    for person in &people[4..] {
        bookings.push(pay(person, &segment).await?);
    }
    confirmed_once(&berth, &people, &bookings).await?;
    berth.assert_alive()
}

/// A replica that had received nothing becomes the Redis of everybody, between payments and in the middle of some: streams, groups
/// and marks are gone at once. What was on its way to a consumer comes from the outbox again, and is told once.
async fn an_empty_one_takes_over(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().proxied().start().await?;
    let (people, segment) = buyers(&berth).await?;
    let before = try_join_all(people[..2].iter().map(|person| pay(person, &segment))).await?;
    let payers = try_join_all(people[2..].iter().map(|person| pay(person, &segment)));
    let (meanwhile, replaced) = tokio::join!(payers, berth.replace_redis());
    replaced?;
    let bookings: Vec<String> = before.into_iter().chain(meanwhile?).collect();
    confirmed_once(&berth, &people, &bookings).await?;
    for person in &people {
        berth_tests::eventually("one notification of the tickets", WITHIN, || async {
            let told = person.notifications().await?;
            ensure!(told.len() < 2, "told {told:?}");
            Ok((told == ["BOOKING_CONFIRMED"]).then_some(()))
        })
        .await?;
    }
    berth.assert_alive()
}
