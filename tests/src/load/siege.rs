//! Few clients send the worst documents that the limits allow, as fast as they can; many honest ones search and hold meanwhile, and
//! half-open connections lie about. Nobody honest may notice.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream, task::JoinSet, time::sleep};

use super::{
    cast::Place,
    measure::Seen,
    scenes,
    wire::{Prepared, Wire, find},
};
use crate::{
    client::Client,
    person::{Person, fresh_key},
    timetable, today,
};

/// Pause of an honest client between two requests.
const THINKS: Duration = Duration::from_millis(200);
/// How often readiness and memory are looked at.
const LOOKS_EVERY: Duration = Duration::from_millis(200);
const JSON: &str = "application/json";

/// Who comes.
#[derive(Debug, Clone, Copy)]
pub struct Siege {
    /// Connections of the attacker, who has one address.
    pub attackers: usize,
    /// Connections that say nothing.
    pub half_open: usize,
    /// How long it goes on.
    pub lasts: Duration,
}

/// What was seen.
pub struct Outcome {
    /// The honest clients' searches and holds.
    pub honest: Seen,
    /// The attacker's documents that were answered.
    pub attacks: usize,
    /// The attacker's documents that were told to wait.
    pub told_to_wait: usize,
    /// The attacker's documents that were refused otherwise, and one of those answers.
    pub refused: usize,
    /// One of the answers that were refused otherwise.
    pub sample: Option<String>,
    /// Answers of `/readiness`, and those that were not 200.
    pub ready: Seen,
    /// The most memory that the process had, in MiB; 0 where nobody knows.
    pub memory_mib: u64,
}

/// What all tasks of a siege share.
#[derive(Default)]
struct Camp {
    over: AtomicBool,
    serial: AtomicUsize,
}

impl Camp {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// Lays siege. Each person is an honest client with an address of its own.
pub async fn lay(
    address: SocketAddr,
    client: &Client,
    people: &[Person],
    places: &[Place],
    process_id: Option<u32>,
    siege: Siege,
) -> anyhow::Result<Outcome> {
    let camp = Arc::new(Camp::default());
    let stations = [timetable::station(client, "Gambir").await?, timetable::station(client, "Bandung").await?];
    let mut silent = JoinSet::new();
    for _ in 0..siege.half_open {
        silent.spawn(lie_about(address, camp.clone()));
    }
    let mut attackers = JoinSet::new();
    for _ in 0..siege.attackers {
        attackers.spawn(attack(address, stations.clone(), camp.clone()));
    }
    let mut honest = JoinSet::new();
    for (number, (person, place)) in people.iter().zip(places).enumerate() {
        honest.spawn(live_on(address, number, person.clone(), place.clone(), stations.clone(), camp.clone()));
    }
    let watch = tokio::spawn(watch(address, process_id, camp.clone()));
    sleep(siege.lasts).await;
    camp.over.store(true, Ordering::Relaxed);
    let mut outcome = Outcome {
        honest: Seen::nothing("honest clients: search, hold, release"),
        attacks: 0,
        told_to_wait: 0,
        refused: 0,
        sample: None,
        ready: Seen::nothing("readiness"),
        memory_mib: 0,
    };
    for seen in honest.join_all().await {
        outcome.honest.add(seen?);
    }
    outcome.honest.took = siege.lasts;
    for (attacks, told_to_wait, refused, sample) in attackers.join_all().await {
        outcome.attacks += attacks;
        outcome.told_to_wait += told_to_wait;
        outcome.refused += refused;
        outcome.sample = outcome.sample.take().or(sample);
    }
    (outcome.ready, outcome.memory_mib) = watch.await?;
    silent.abort_all();
    Ok(outcome)
}

/// An honest client: looks for trains, holds two seats, gives them back.
async fn live_on(
    address: SocketAddr,
    number: usize,
    person: Person,
    place: Place,
    stations: [String; 2],
    camp: Arc<Camp>,
) -> anyhow::Result<Seen> {
    let from = format!("203.0.113.{}", number + 1);
    let mut seen = Seen::nothing("");
    let mut wire = Wire::open(address).await?;
    while camp.goes_on() {
        let input = json!({ "fromStationId": stations[0], "toStationId": stations[1], "date": (today() + chrono::Days::new(3)).to_string() });
        let search = Prepared::graphql(None, JSON, scenes::SEARCH, &json!({ "input": input })).forwarded(&from);
        ask(&mut wire, address, &search, b"\"nodes\":[", &mut seen).await?;
        let seats: Vec<&str> = place.seats.iter().map(String::as_str).collect();
        let input = json!({ "items": [place.segment.seats(&seats)], "idempotencyKey": fresh_key() });
        let hold = Prepared::graphql(person.client.token(), JSON, scenes::PLACE, &json!({ "input": input })).forwarded(&from);
        ask(&mut wire, address, &hold, b"PlaceHoldSuccess", &mut seen).await?;
        let body: Value = serde_json::from_slice(wire.body()).unwrap_or_default();
        if let Some(id) = body["data"]["placeHold"]["hold"]["id"].as_str() {
            let input = json!({ "input": { "holdId": id } });
            let release = Prepared::graphql(person.client.token(), JSON, scenes::RELEASE, &input).forwarded(&from);
            ask(&mut wire, address, &release, b"ReleaseHoldSuccess", &mut seen).await?;
        }
    }
    Ok(seen)
}

async fn ask(wire: &mut Wire, address: SocketAddr, request: &Prepared, expected: &[u8], seen: &mut Seen) -> anyhow::Result<()> {
    sleep(THINKS).await;
    let asked = Instant::now();
    let mut answered = wire.ask(request).await;
    if answered.is_err() {
        // It rested for too long: a client connects anew, and pays for it.
        *wire = Wire::open(address).await?;
        answered = wire.ask(request).await;
    }
    let took = asked.elapsed();
    if answered.is_ok() && find(wire.body(), expected).is_some() {
        seen.answers += 1;
        seen.times.push(took);
    } else {
        seen.others += 1;
        seen.sample.get_or_insert_with(|| String::from_utf8_lossy(wire.body()).chars().take(400).collect());
    }
    Ok(())
}

/// Sends one bad document after another, and never the same.
async fn attack(address: SocketAddr, stations: [String; 2], camp: Arc<Camp>) -> (usize, usize, usize, Option<String>) {
    let (mut answered, mut told_to_wait, mut refused, mut sample) = (0, 0, 0, None);
    let mut wire = None;
    while camp.goes_on() {
        let serial = camp.serial.fetch_add(1, Ordering::Relaxed);
        let request = Prepared::graphql(None, JSON, &document(serial, &stations), &Value::Null).forwarded("198.51.100.66");
        let mut open = match wire.take() {
            Some(open) => open,
            None => match Wire::open(address).await {
                Ok(open) => open,
                Err(_) => continue,
            },
        };
        if open.ask(&request).await.is_ok() {
            if find(open.body(), b"\"code\":\"RATE_LIMITED\"").is_some() {
                told_to_wait += 1;
            } else if find(open.body(), b"\"errors\"").is_some() {
                refused += 1;
                sample.get_or_insert_with(|| String::from_utf8_lossy(open.body()).chars().take(400).collect());
            } else {
                answered += 1;
            }
            wire = Some(open);
        }
    }
    (answered, told_to_wait, refused, sample)
}

/// The worst that is within the limits. No two are alike, so that none is remembered.
pub fn document(serial: usize, stations: &[String; 2]) -> String {
    match serial % 5 {
        0 => wide(serial),
        1 => spread(serial),
        2 => introspection(serial),
        3 => deep(serial, stations),
        _ => many_roots(serial, stations),
    }
}

/// The same leaves again and again, on as many things as there may be.
fn wide(serial: usize) -> String {
    format!("{{ a{serial}: stations(first: 100) {{ nodes {{ {} }} }} }}", "id name code timeZone ".repeat(30))
}

/// Fragments in fragments, each spread several times.
fn spread(serial: usize) -> String {
    format!(
        "{{ a{serial}: stations(first: 100) {{ nodes {{ ...F0 }} }} }} fragment F0 on Station {{ {} }} \
         fragment F1 on Station {{ {} }} fragment F2 on Station {{ id name code timeZone }}",
        "...F1 ".repeat(5),
        "...F2 ".repeat(6)
    )
}

fn introspection(serial: usize) -> String {
    let of_type = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
    format!(
        "{{ a{serial}: __schema {{ types {{ kind name description fields(includeDeprecated: true) {{ name description \
         args {{ name description type {{ {of_type} }} defaultValue }} type {{ {of_type} }} }} \
         inputFields {{ name type {{ {of_type} }} }} enumValues {{ name description }} }} }} }}"
    )
}

fn trips(alias: &str, first: usize, stations: &[String; 2]) -> String {
    let input = format!(
        "{{ fromStationId: \"{}\", toStationId: \"{}\", date: \"{}\" }}",
        stations[0],
        stations[1],
        today() + chrono::Days::new(3)
    );
    format!(
        "{alias}: searchTrips(input: {input}, first: {first}) {{ nodes {{ durationMinutes seatsAvailable \
         fares {{ id name travelClass seatsAvailable price {{ amount amountMinor currency }} }} \
         from {{ id sequence }} to {{ id sequence }} \
         trip {{ id name mode serviceDate operator {{ id name }} \
         stops {{ id sequence departureLocal station {{ id name code timeZone }} }} }} }} }} "
    )
}

fn deep(serial: usize, stations: &[String; 2]) -> String {
    format!("{{ {} }}", trips(&format!("a{serial}"), 8, stations))
}

fn many_roots(serial: usize, stations: &[String; 2]) -> String {
    let roots: String = (0..8).map(|number| trips(&format!("a{serial}x{number}"), 1, stations)).collect();
    format!("{{ {roots} }}")
}

/// A connection that says nothing; another one when it is ended.
async fn lie_about(address: SocketAddr, camp: Arc<Camp>) {
    while camp.goes_on() {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let _ended = stream.read(&mut [0; 16]).await;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn watch(address: SocketAddr, process_id: Option<u32>, camp: Arc<Camp>) -> (Seen, u64) {
    let (mut seen, mut memory_mib) = (Seen::nothing("readiness"), 0);
    while camp.goes_on() {
        let asked = Instant::now();
        let answered = async { Wire::open(address).await?.ask(&Prepared::get("/readiness")).await };
        match tokio::time::timeout(Duration::from_secs(5), answered).await {
            Ok(Ok(200)) => {
                seen.answers += 1;
                seen.times.push(asked.elapsed());
            }
            other => {
                seen.others += 1;
                seen.sample.get_or_insert_with(|| format!("{other:?}"));
            }
        }
        memory_mib = memory_mib.max(process_id.and_then(resident_mib).unwrap_or(0));
        sleep(LOOKS_EVERY).await;
    }
    seen.times.sort_unstable();
    (seen, memory_mib)
}

/// Memory that a process has now, as Linux tells.
fn resident_mib(process_id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? / 1024)
}
