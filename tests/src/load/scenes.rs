//! What is measured: holds, searches, and queries that cross three services.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use chrono::Days;
use serde_json::{Value, json};

use super::{
    cast::Place,
    measure::{Batch, Clients, Seen},
    wire::Prepared,
};
use crate::{
    client::Client,
    person::{Person, fresh_key},
    timetable, today,
};

/// Holds that one person may have at a time.
pub const HOLDS_PER_PERSON: usize = 4;

const JSON: &str = "application/json";

pub(super) const PLACE: &str = "mutation($input: PlaceHoldInput!) { placeHold(input: $input) { __typename
  ... on PlaceHoldSuccess { hold { id expiresAt total { amountMinor } } } ... on UserError { code } } }";

pub(super) const RELEASE: &str =
    "mutation($input: ReleaseHoldInput!) { releaseHold(input: $input) { __typename ... on UserError { code } } }";

pub(super) const SEARCH: &str = "query($input: SearchTripsInput!) { searchTrips(input: $input, first: 5) {
  nodes { trip { id name } durationMinutes seatsAvailable fares { name price { amount } } } } }";

const THREE_FETCHES: &str = "{ me { email bookings(first: 1) { nodes { code status parts { trip { name } } } } } }";

/// `placeHold` alone, two seats on five legs: everybody takes four holds, which are then given back with the clock stopped.
pub async fn holds(
    address: SocketAddr,
    clients: usize,
    people: &[Person],
    places: &[Place],
    lasts: Duration,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::nothing("placeHold, 2 seats x 5 legs");
    let per_round = (people.len() * HOLDS_PER_PERSON).min(places.len());
    let mut clients = Clients::connect(address, clients).await?;
    let mut first = 0;
    while seen.took < lasts {
        let requests =
            (0..per_round).map(|number| placing(&people[number % people.len()], &places[(first + number) % places.len()]));
        let batch = Batch { requests: requests.collect(), expected: b"PlaceHoldSuccess", keep: Some(b"\"hold\":{\"id\":\"") };
        let mut round = clients.once("placeHold", batch).await?;
        let held = std::mem::take(&mut round.kept);
        seen.add(round);
        let requests = held.iter().map(|(number, hold_id)| releasing(&people[number % people.len()], hold_id));
        let batch = Batch { requests: requests.collect(), expected: b"ReleaseHoldSuccess", keep: None };
        let released = clients.once("releaseHold", batch).await?;
        ensure!(released.others == 0, "holds were not given back: {:?}", released.sample);
        first += per_round;
    }
    Ok(seen)
}

fn placing(person: &Person, place: &Place) -> Prepared {
    let seats: Vec<&str> = place.seats.iter().map(String::as_str).collect();
    let input = json!({ "items": [place.segment.seats(&seats)], "idempotencyKey": fresh_key() });
    Prepared::graphql(person.client.token(), JSON, PLACE, &json!({ "input": input }))
}

fn releasing(person: &Person, hold_id: &str) -> Prepared {
    Prepared::graphql(person.client.token(), JSON, RELEASE, &json!({ "input": { "holdId": hold_id } }))
}

/// Searches between the ends of the demo timetable's trains.
pub async fn searches(address: SocketAddr, client: &Client, clients: usize, lasts: Duration) -> anyhow::Result<Seen> {
    let mut requests = Vec::new();
    let names = ["Gambir", "Bandung", "Yogyakarta", "Surabaya Gubeng", "Malang", "Solo Balapan"];
    let mut stations = Vec::new();
    for name in names {
        stations.push(timetable::station(client, name).await?);
    }
    for from in &stations {
        for to in stations.iter().filter(|to| *to != from) {
            for day in 2..8 {
                let input = json!({ "fromStationId": from, "toStationId": to, "date": (today() + Days::new(day)).to_string() });
                requests.push(Prepared::graphql(None, JSON, SEARCH, &json!({ "input": input })));
            }
        }
    }
    let batch = Batch { requests, expected: b"\"nodes\":[", keep: None };
    Clients::connect(address, clients).await?.during("searchTrips, 5 options", batch, lasts).await
}

/// A person, their newest booking and its trip: three services one after another.
pub async fn federated(address: SocketAddr, clients: usize, people: &[Person], lasts: Duration) -> anyhow::Result<Seen> {
    let requests = people.iter().map(|person| Prepared::graphql(person.client.token(), JSON, THREE_FETCHES, &Value::Null));
    let batch = Batch { requests: requests.collect(), expected: b"\"trip\":{\"name\":\"", keep: None };
    let mut clients = Clients::connect(address, clients).await?;
    clients.during("me > bookings > trip, 3 fetches", batch, lasts).await.context("federated queries")
}
