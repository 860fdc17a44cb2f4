//! People, seats and bookings to measure with.

use anyhow::{Context, ensure};
use chrono::Days;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    client::Client,
    person::{Person, Segment},
    timetable, today,
};

/// Legs of a measured hold.
pub const LEGS: usize = 5;
/// Seats of a measured hold.
pub const SEATS: usize = 2;
/// Days of the demo timetable whose trains are used.
const DAYS: std::ops::Range<u64> = 2..28;

/// A pair of seats on five legs of some train.
#[derive(Debug, Clone)]
pub struct Place {
    /// The legs.
    pub segment: Segment,
    /// The seats.
    pub seats: Vec<String>,
}

/// Everybody signs up: `count` people with tokens.
pub async fn people(client: &Client, count: usize) -> anyhow::Result<Vec<Person>> {
    stream::iter(0..count).map(|_| Person::sign_up(client, "load")).buffer_unordered(16).try_collect().await
}

/// At least `count` places that do not overlap, spread over many trains.
pub async fn places(client: &Client, count: usize) -> anyhow::Result<Vec<Place>> {
    let mut by_train: Vec<Vec<Place>> = Vec::new();
    let mut found = 0;
    for day in DAYS {
        for train in timetable::demo_trains_on(client, LEGS, today() + Days::new(day)).await? {
            let segment = train.segment(0, LEGS);
            let (_, map) = timetable::seat_map(client, &segment).await?;
            let free: Vec<String> = map.into_iter().filter(|seat| seat.state == "AVAILABLE").map(|seat| seat.id).collect();
            let pairs = free.chunks_exact(SEATS).map(|pair| Place { segment: segment.clone(), seats: pair.to_vec() });
            by_train.push(pairs.collect());
            found += by_train.last().map_or(0, Vec::len);
        }
        if found >= count {
            break;
        }
    }
    ensure!(found >= count, "only {found} pairs of seats on trains of {LEGS} legs, {count} are needed");
    Ok(take_turns(by_train, count))
}

/// One place of each train in turn, so that neighbours in time are not neighbours on a train.
fn take_turns(by_train: Vec<Vec<Place>>, count: usize) -> Vec<Place> {
    let mut trains: Vec<_> = by_train.into_iter().map(Vec::into_iter).collect();
    let mut places = Vec::with_capacity(count);
    while places.len() < count {
        let before = places.len();
        places.extend(trains.iter_mut().filter_map(Iterator::next));
        if places.len() == before {
            break;
        }
    }
    places.truncate(count);
    places
}

/// Every person books a seat, so that there is something to ask for.
pub async fn bookings(people: &[Person], places: &[Place]) -> anyhow::Result<()> {
    for (person, place) in people.iter().zip(places) {
        let hold = person.hold(&place.segment, &[&place.seats[0]]).await.context("a seat to book")?;
        person.book(&hold).await?;
    }
    Ok(())
}
