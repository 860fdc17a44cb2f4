//! What a subscriber of live seats may rely on, checked event by event.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    client::Client,
    documents,
    history::Violation,
    live::{Feed, Transport},
    person::{Person, Segment},
    timetable,
};

async fn subscribe(client: &Client, transport: Transport, segment: &Segment, since: Option<u64>) -> anyhow::Result<Feed> {
    let since = since.map(|version| version.to_string());
    let variables = json!({ "trip": segment.trip, "from": segment.from, "to": segment.to, "since": since });
    Feed::open(client, transport, documents::SEAT_AVAILABILITY, variables).await
}

/// Reads what a person was told and then the booking that it is about, again and again until both say `CONFIRMED`: nobody is told
/// of what is not there yet.
pub async fn told_before_true(person: &Person, booking_id: &str, within: Duration) -> anyhow::Result<Vec<Violation>> {
    let (started, mut found) = (Instant::now(), Vec::new());
    loop {
        let told = person.notifications().await?.iter().any(|kind| kind == "BOOKING_CONFIRMED");
        let booking = person.booking(booking_id).await?;
        match (told, booking["status"] == "CONFIRMED") {
            (true, true) => return Ok(found),
            (true, false) => {
                found.push(Violation::Untrue(format!("told of a confirmed booking, which is {}", booking["status"])));
            }
            (false, _) => {}
        }
        anyhow::ensure!(started.elapsed() < within, "not told within {within:?}: {booking}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A subscriber and the picture it has of the seats.
pub struct Watcher {
    feed: Feed,
    segment: Segment,
    /// Version of its newest event.
    pub version: u64,
    /// State of each seat, as told.
    pub seats: BTreeMap<String, String>,
    /// Events so far.
    pub events: usize,
    /// Snapshots among them.
    pub snapshots: usize,
    /// How often it came back after the stream had ended.
    pub returns: usize,
    transport: Transport,
    found: Vec<Violation>,
}

impl Watcher {
    /// Subscribes to a segment and takes the first event.
    pub async fn open(client: &Client, transport: Transport, segment: &Segment, since: Option<u64>) -> anyhow::Result<Self> {
        let feed = subscribe(client, transport, segment, since).await?;
        let mut watcher = Self {
            feed,
            segment: segment.clone(),
            version: since.unwrap_or(0),
            seats: BTreeMap::new(),
            events: 0,
            snapshots: 0,
            returns: 0,
            transport,
            found: vec![],
        };
        watcher.take(Duration::from_secs(10)).await?;
        if since.is_none() && watcher.snapshots != 1 {
            watcher.found.push(Violation::Untrue("the first event is no SNAPSHOT".to_owned()));
        }
        Ok(watcher)
    }

    /// Waits for one event.
    pub async fn take(&mut self, within: Duration) -> anyhow::Result<()> {
        let result = self.feed.next(within).await?.context("the stream has ended")?;
        self.apply(&result)
    }

    /// Takes what comes for some time. When the stream ends it comes back, and says which version it has.
    pub async fn follow(&mut self, client: &Client, until: Instant) {
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            match self.feed.next(left).await {
                Ok(Some(result)) if result["data"]["seatAvailability"].is_object() => {
                    if let Err(error) = self.apply(&result) {
                        self.found.push(Violation::Untrue(format!("{error:#}")));
                    }
                }
                // The time is over.
                Err(_) => return,
                Ok(_) => self.come_back(client).await,
            }
        }
    }

    async fn come_back(&mut self, client: &Client) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if let Ok(feed) = subscribe(client, self.transport, &self.segment, Some(self.version)).await {
            self.feed = feed;
            self.returns += 1;
        }
    }

    /// Takes everything that has come.
    pub fn catch_up(&mut self) -> anyhow::Result<()> {
        while let Some(result) = self.feed.try_next()? {
            self.apply(&result)?;
        }
        Ok(())
    }

    fn apply(&mut self, result: &Value) -> anyhow::Result<()> {
        let event = &result["data"]["seatAvailability"];
        let version: u64 =
            event["version"].as_str().and_then(|text| text.parse().ok()).with_context(|| format!("no event: {result}"))?;
        let snapshot = event["kind"] == "SNAPSHOT";
        if snapshot {
            self.snapshots += 1;
            self.seats.clear();
        }
        if self.events > 0 && (version < self.version || version == self.version && !snapshot) {
            self.found.push(Violation::Untrue(format!("version {version} after {}", self.version)));
        }
        self.version = version;
        self.events += 1;
        for seat in event["seats"].as_array().context("no seats")? {
            let (Some(id), Some(state)) = (seat["seatId"].as_str(), seat["state"].as_str()) else { continue };
            self.seats.insert(id.to_owned(), state.to_owned());
        }
        Ok(())
    }

    /// Once nothing moves any more, the picture is the seat map's. Answers everything that was wrong.
    pub async fn verdict(mut self, client: &Client, within: Duration) -> anyhow::Result<Vec<Violation>> {
        let started = Instant::now();
        loop {
            if self.catch_up().is_err() {
                self.come_back(client).await;
            }
            let (version, seats) = timetable::seat_map(client, &self.segment).await?;
            let wrong: Vec<_> = seats.iter().filter(|seat| self.seats.get(&seat.id) != Some(&seat.state)).collect();
            if wrong.is_empty() && self.version <= version {
                return Ok(self.found);
            }
            if started.elapsed() > within {
                let text = format!(
                    "after version {} (map {version}, {} events, {} snapshots): {wrong:?}",
                    self.version, self.events, self.snapshots
                );
                self.found.push(Violation::Untrue(text));
                return Ok(self.found);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
