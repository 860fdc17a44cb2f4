//! I18: 200 subscribers watch a fight, in the fleet while processes die: versions only grow, a gap is followed by a snapshot, who
//! comes back with a version misses nothing, and in the end everybody has the seat map's picture. Nobody is told of what is not
//! committed yet.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use berth_tests::{
    documents,
    faults::{Fault, Trouble},
    fight::{self, Arena, Rules},
    history::Violation,
    in_both_arms,
    live::{Feed, Transport},
    person::Person,
    process::{Arm, Berth},
    timetable,
    watch::{Watcher, told_before_true},
};
use serde_json::json;

use crate::{none, rules, short_holds};

in_both_arms!(
    two_hundred_subscribers_see_the_truth,
    a_status_is_told_at_once,
    nothing_is_told_before_it_is_true,
    the_checker_sees_an_early_publication,
);

const SUBSCRIBERS: usize = 200;
const LEGS: usize = 4;
const WITHIN: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::from_secs(2);

async fn two_hundred_subscribers_see_the_truth(arm: Arm) -> anyhow::Result<()> {
    let mut berth = short_holds(arm).start().await?;
    let client = berth.client()?;
    let arena = Arena::demo(&client, 20, LEGS).await?;
    let people = Person::sign_up_many(&client, "watched", 16).await?;
    let mut watchers = Vec::new();
    for number in 0..SUBSCRIBERS {
        let segment = arena.train.segment(number % LEGS, LEGS);
        watchers.push(Watcher::open(&client, Transport::nth(number), &segment, None).await?);
    }
    let rules = Rules { outages: arm == Arm::Fleet, ..rules(8) };
    let until = Instant::now() + rules.lasts;
    let trouble = async {
        if arm == Arm::Fleet {
            Trouble::new(rules.seed, arm, &[Fault::Kill]).make(&mut berth, rules.lasts.saturating_sub(WITHIN / 8)).await?;
        }
        Ok::<_, anyhow::Error>(())
    };
    let watching = futures_util::future::join_all(watchers.iter_mut().map(|watcher| watcher.follow(&client, until)));
    let (history, made, _) = tokio::join!(fight::run(&client, &arena, &people, rules), trouble, watching);
    made?;
    println!("{}", history.summary());
    none(&history.violations(arena.capacity))?;
    let (mut events, mut returns, mut untrue) = (0, 0, Vec::new());
    for (number, watcher) in watchers.into_iter().enumerate() {
        (events, returns) = (events + watcher.events, returns + watcher.returns);
        for found in watcher.verdict(&client, if untrue.is_empty() { WITHIN } else { Duration::from_secs(1) }).await? {
            untrue.push(format!("{number} by {:?}: {found}", Transport::nth(number)));
        }
    }
    println!("{events} events to {SUBSCRIBERS} subscribers, who came back {returns} times");
    ensure!(untrue.is_empty(), "{} were told something else: {:#?}", untrue.len(), &untrue[..untrue.len().min(10)]);
    berth.assert_alive()
}

async fn a_status_is_told_at_once(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let late = latest(&berth.client()?).await?;
    ensure!(late < AT_ONCE, "a status was told {late:?} after it could be read");
    berth.assert_alive()
}

async fn nothing_is_told_before_it_is_true(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().with_failpoints()?.start().await?;
    none(&slowly_confirmed(&mut berth).await?)?;
    berth.assert_alive()
}

async fn the_checker_sees_an_early_publication(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().sabotage("publish_early")?.start().await?;
    ensure!(!slowly_confirmed(&mut berth).await?.is_empty(), "the checker sees nothing");
    Ok(())
}

/// The transaction that confirms a booking stands still for a while before it commits: long enough for everybody who knows too early.
async fn slowly_confirmed(berth: &mut Berth) -> anyhow::Result<Vec<Violation>> {
    let client = berth.client()?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let person = Person::sign_up(&client, "patient").await?;
    let booking_id = person.book(&person.hold_best(&segment, 1).await?).await?;
    let payment_id = person.pay(&booking_id).await?;
    for process in berth.processes() {
        process.arm("booking.confirm.written=1*sleep(1500)").await?;
    }
    person.provider(&payment_id, "settle").await?;
    told_before_true(&person, &booking_id, WITHIN).await
}

/// By how much a subscriber was told later than somebody who asked, at worst.
async fn latest(client: &berth_tests::client::Client) -> anyhow::Result<Duration> {
    let segment = timetable::demo_train(client, 2).await?.whole();
    let mut latest = Duration::ZERO;
    for person in Person::sign_up_many(client, "prompt", 4).await? {
        let booking_id = person.book(&person.hold_best(&segment, 1).await?).await?;
        let payment_id = person.pay(&booking_id).await?;
        let id = json!({ "id": booking_id });
        let mut feed = Feed::open(&person.client, Transport::WebSocket, documents::BOOKING_STATUS, id).await?;
        feed.next_of("bookingStatus", WITHIN).await.context("the first event")?;
        person.provider(&payment_id, "settle").await?;
        person.await_booking(&booking_id, &["CONFIRMED"], WITHIN).await?;
        let readable = Instant::now();
        while feed.next_of("bookingStatus", WITHIN).await?["status"] != "CONFIRMED" {}
        latest = latest.max(readable.elapsed());
    }
    Ok(latest)
}
