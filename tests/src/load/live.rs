//! From the commit of a change to every subscriber of the trip.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpStream, task::JoinSet};

use super::{
    measure::{Seen, quantile},
    wire::{Prepared, Wire, find},
};
use crate::{
    client::Client,
    documents,
    person::{Person, Segment},
    timetable,
};

/// Changes in a second: as many as a feed sends at most.
const CHANGES_PER_SEC: u32 = 20;
const BEFORE_ID: &[u8] = b"\"seatId\":\"";

/// When the change of a seat was asked for, and when it was acknowledged.
#[derive(Clone, Copy)]
struct Change {
    asked: Instant,
    acknowledged: Option<Instant>,
}

/// What one seat's event looked like to one subscriber.
struct Arrival {
    seat: String,
    at: Instant,
}

/// The delays that were seen.
pub struct Delays {
    /// From the request to the event.
    pub from_request: Seen,
    /// From the acknowledgement to the event; zero when the event came first.
    pub from_commit: Seen,
    /// How many changes were made, and how many arrivals that should have given.
    pub expected: usize,
}

/// Opens `subscribers` SSE streams on one trip, changes one seat twenty times a second, and takes the time of every arrival.
pub async fn delays(
    address: SocketAddr,
    client: &Client,
    subscribers: usize,
    people: &[Person],
    lasts: Duration,
) -> anyhow::Result<Delays> {
    let segment = timetable::demo_train(client, 2).await?.whole();
    let (_, map) = timetable::seat_map(client, &segment).await?;
    let seats: Vec<String> = map.into_iter().filter(|seat| seat.state == "AVAILABLE").map(|seat| seat.id).collect();
    let open = Arc::new(AtomicUsize::new(0));
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let mut streams = subscribe(address, &segment, subscribers, &open, &arrivals).await?;
    while open.load(Ordering::Relaxed) < subscribers && streams.len() == subscribers {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let changes = change(people, &segment, &seats, lasts).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    streams.abort_all();
    while streams.join_next().await.is_some() {}
    let arrivals = std::mem::take(&mut *arrivals.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(judged(&changes, &arrivals, subscribers))
}

async fn subscribe(
    address: SocketAddr,
    segment: &Segment,
    subscribers: usize,
    open: &Arc<AtomicUsize>,
    arrivals: &Arc<Mutex<Vec<Arrival>>>,
) -> anyhow::Result<JoinSet<()>> {
    let variables = json!({ "trip": segment.trip, "from": segment.from, "to": segment.to });
    let request = Prepared::graphql(None, "text/event-stream", documents::SEAT_AVAILABILITY, &variables);
    let mut streams = JoinSet::new();
    for _ in 0..subscribers {
        let stream = Wire::open(address).await?.listen(&request).await?;
        streams.spawn(read(stream, open.clone(), arrivals.clone()));
    }
    Ok(streams)
}

/// Reads one stream: the snapshot first, then changes, each with its seats.
async fn read(mut stream: TcpStream, open: Arc<AtomicUsize>, arrivals: Arc<Mutex<Vec<Arrival>>>) {
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut counted = false;
    while matches!(stream.read_buf(&mut buffer).await, Ok(count) if count > 0) {
        let at = Instant::now();
        while let Some(end) = find(&buffer, b"\n\n") {
            let event: Vec<u8> = buffer.drain(..end + 2).collect();
            if find(&event, b"CHANGES").is_some() {
                let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                arrivals.extend(held_seats(&event).map(|seat| Arrival { seat, at }));
            } else if !counted && find(&event, b"SNAPSHOT").is_some() {
                counted = true;
                open.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The seats that an event tells to be held.
fn held_seats(event: &[u8]) -> impl Iterator<Item = String> {
    let mut rest = event;
    std::iter::from_fn(move || {
        loop {
            let start = find(rest, BEFORE_ID)? + BEFORE_ID.len();
            rest = &rest[start..];
            let end = rest.iter().position(|byte| *byte == b'"')?;
            let seat = String::from_utf8_lossy(&rest[..end]).into_owned();
            let state = &rest[end..rest.len().min(end + 24)];
            if find(state, b"HELD").is_some() {
                return Some(seat);
            }
        }
    })
}

/// Holds one seat after another, each once, and gives it back a moment later.
async fn change(
    people: &[Person],
    segment: &Segment,
    seats: &[String],
    lasts: Duration,
) -> anyhow::Result<HashMap<String, Change>> {
    let changes: Arc<Mutex<HashMap<String, Change>>> = Arc::default();
    let mut beat = tokio::time::interval(Duration::from_secs(1) / CHANGES_PER_SEC);
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (number, seat) in seats.iter().enumerate() {
        if started.elapsed() > lasts {
            break;
        }
        beat.tick().await;
        let (person, segment, seat, changes) =
            (people[number % people.len()].clone(), segment.clone(), seat.clone(), changes.clone());
        running.spawn(async move {
            note(&changes, &seat, |_| Change { asked: Instant::now(), acknowledged: None });
            let hold = person.hold(&segment, &[&seat]).await?;
            let acknowledged = Some(Instant::now());
            note(&changes, &seat, |before| Change { acknowledged, ..before.unwrap_or(Change { asked: started, acknowledged }) });
            tokio::time::sleep(Duration::from_millis(500)).await;
            person.release(&hold.id).await?.done()
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let changes = std::mem::take(&mut *changes.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(changes)
}

fn note(changes: &Mutex<HashMap<String, Change>>, seat: &str, with: impl FnOnce(Option<Change>) -> Change) {
    let mut changes = changes.lock().unwrap_or_else(PoisonError::into_inner);
    let before = changes.get(seat).copied();
    changes.insert(seat.to_owned(), with(before));
}

fn judged(changes: &HashMap<String, Change>, arrivals: &[Arrival], subscribers: usize) -> Delays {
    let seen = |name: &str, since: fn(&Change) -> Option<Instant>| {
        let delay = |arrival: &Arrival| Some(arrival.at.saturating_duration_since(since(changes.get(&arrival.seat)?)?));
        let mut times: Vec<Duration> = arrivals.iter().filter_map(delay).collect();
        times.sort_unstable();
        let first = changes.values().map(|change| change.asked).min();
        let last = arrivals.iter().map(|arrival| arrival.at).max();
        let took = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first));
        Seen { answers: times.len(), took, times, ..Seen::nothing(name) }
    };
    Delays {
        from_request: seen("request to subscriber", |change| Some(change.asked)),
        from_commit: seen("commit to subscriber", |change| change.acknowledged),
        expected: changes.len() * subscribers,
    }
}

/// The median, for the short line.
pub fn median(delays: &Delays) -> Duration {
    quantile(&delays.from_commit.times, 0.5)
}
