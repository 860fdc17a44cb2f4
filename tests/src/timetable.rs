//! Finds trains, stops and seats by the graph's own searches.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use crate::{
    client::Client,
    documents,
    person::{Segment, id_of},
    today,
};

const STATIONS: &str = "query($search: String) { stations(search: $search, first: 100) { nodes { id name code timeZone } } }";

const SEARCH: &str = "query($input: SearchTripsInput!, $first: Int, $after: String) { searchTrips(input: $input, first: $first, after: $after) {
  nodes { trip { id name mode serviceDate operator { id name } stops { id sequence departureLocal station { id name } } }
    from { id sequence } to { id sequence } durationMinutes seatsAvailable fares { id name travelClass price { amount amountMinor currency } seatsAvailable } }
  pageInfo { hasNextPage endCursor } } }";

/// A trip with its stops, from a search.
#[derive(Debug, Clone)]
pub struct Train {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its stops, first to last.
    pub stops: Vec<String>,
    /// The part that was searched for.
    pub searched: Segment,
    /// The search's answer for it.
    pub option: Value,
}

/// A seat of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatState {
    /// The seat.
    pub id: String,
    /// Its state on the segment.
    pub state: String,
}

impl Train {
    fn of(option: Value) -> anyhow::Result<Self> {
        let trip = &option["trip"];
        let stops: Vec<String> =
            trip["stops"].as_array().context("no stops")?.iter().map(id_of).collect::<anyhow::Result<_>>()?;
        let searched = Segment { trip: id_of(trip)?, from: id_of(&option["from"])?, to: id_of(&option["to"])? };
        Ok(Self {
            id: searched.trip.clone(),
            name: trip["name"].as_str().unwrap_or_default().to_owned(),
            stops,
            searched,
            option,
        })
    }

    /// How many legs it has.
    pub fn legs(&self) -> usize {
        self.stops.len().saturating_sub(1)
    }

    /// The part from one stop to another, by their index.
    pub fn segment(&self, from: usize, to: usize) -> Segment {
        Segment { trip: self.id.clone(), from: self.stops[from].clone(), to: self.stops[to].clone() }
    }

    /// All of it.
    pub fn whole(&self) -> Segment {
        self.segment(0, self.legs())
    }
}

/// Stations whose name or code contains a text: id and name.
pub async fn stations(client: &Client, search: Option<&str>) -> anyhow::Result<Vec<(String, String)>> {
    let data = client.query(STATIONS, json!({ "search": search })).await?;
    let nodes = data["stations"]["nodes"].as_array().context("no stations")?;
    Ok(nodes.iter().filter_map(|node| Some((node["id"].as_str()?.to_owned(), node["name"].as_str()?.to_owned()))).collect())
}

/// The id of the station with this name, or whose name begins so.
pub async fn station(client: &Client, name: &str) -> anyhow::Result<String> {
    let found = stations(client, Some(name)).await?;
    let exact = found.iter().find(|(_, known)| known == name).or_else(|| found.iter().find(|(_, known)| known.starts_with(name)));
    Ok(exact.or(found.first()).with_context(|| format!("no station {name}"))?.0.clone())
}

/// Every trip between two stations on a day.
pub async fn search(client: &Client, from: &str, to: &str, date: NaiveDate) -> anyhow::Result<Vec<Train>> {
    let input = json!({ "fromStationId": from, "toStationId": to, "date": date.to_string() });
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut data = client.query(SEARCH, json!({ "input": input, "first": 50, "after": after })).await?;
        let page = &mut data["searchTrips"];
        for node in page["nodes"].as_array().context("no trips")? {
            found.push(Train::of(node.clone())?);
        }
        if page["pageInfo"]["hasNextPage"] != json!(true) {
            return Ok(found);
        }
        after = page["pageInfo"]["endCursor"].take();
    }
}

/// Trains of the demo timetable on the day in a week that have at least this many legs.
pub async fn demo_trains(client: &Client, legs: usize) -> anyhow::Result<Vec<Train>> {
    demo_trains_on(client, legs, today() + Days::new(7)).await
}

/// Trains of the demo timetable on a day that have at least this many legs: between every two stations of a few large cities.
pub async fn demo_trains_on(client: &Client, legs: usize, date: NaiveDate) -> anyhow::Result<Vec<Train>> {
    let mut ends = Vec::new();
    for name in
        ["Gambir", "Pasar Senen", "Bandung", "Yogyakarta", "Semarang Tawang", "Surabaya Gubeng", "Surabaya Pasarturi", "Malang"]
    {
        ends.extend(station(client, name).await);
    }
    anyhow::ensure!(ends.len() > 1, "the demo timetable has none of the large stations");
    let mut trains = BTreeMap::new();
    for from in &ends {
        for to in ends.iter().filter(|to| *to != from) {
            for train in search(client, from, to, date).await? {
                trains.insert(train.id.clone(), train);
            }
        }
    }
    Ok(trains.into_values().filter(|train| train.legs() >= legs).collect())
}

/// One train of the demo timetable with at least this many legs.
pub async fn demo_train(client: &Client, legs: usize) -> anyhow::Result<Train> {
    demo_trains(client, legs).await?.into_iter().next().with_context(|| format!("no demo train has {legs} legs"))
}

/// The seats of a segment and the version they stand for.
pub async fn seat_map(client: &Client, segment: &Segment) -> anyhow::Result<(u64, Vec<SeatState>)> {
    let data = client.query(documents::SEAT_MAP, json!({ "trip": segment.trip, "from": segment.from, "to": segment.to })).await?;
    let map = &data["trip"]["seatMap"];
    let version = map["version"].as_str().and_then(|text| text.parse().ok()).with_context(|| format!("no version: {map}"))?;
    let cars = map["cars"].as_array().context("no cars")?;
    let seats = cars.iter().filter_map(|car| car["seats"].as_array()).flatten();
    let states = seats
        .filter_map(|seat| Some(SeatState { id: seat["id"].as_str()?.to_owned(), state: seat["state"].as_str()?.to_owned() }));
    Ok((version, states.collect()))
}

/// The state of one seat on a segment.
pub async fn seat_state(client: &Client, segment: &Segment, seat: &str) -> anyhow::Result<String> {
    let (_, seats) = seat_map(client, segment).await?;
    Ok(seats.into_iter().find(|known| known.id == seat).context("no such seat")?.state)
}

/// The first `count` seats that are free on a segment.
pub async fn free_seats(client: &Client, segment: &Segment, count: usize) -> anyhow::Result<Vec<String>> {
    let (_, seats) = seat_map(client, segment).await?;
    let free: Vec<String> = seats.into_iter().filter(|seat| seat.state == "AVAILABLE").take(count).map(|seat| seat.id).collect();
    anyhow::ensure!(free.len() == count, "only {} seats are free", free.len());
    Ok(free)
}
