//! Runs prepared requests over many connections and keeps the time of each.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::task::JoinSet;

use super::wire::{Prepared, Wire, find};

/// What was seen of one kind of request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What was measured.
    pub name: String,
    /// Answers that were what they should be.
    pub answers: usize,
    /// Answers that were not; the first of them stands in `sample`.
    pub others: usize,
    /// Time in which they came.
    pub took: Duration,
    /// Time of each, sorted.
    pub times: Vec<Duration>,
    /// The first answer that was something else.
    pub sample: Option<String>,
    /// What stood behind `keep` in the right answers, with the number of the request.
    pub kept: Vec<(usize, String)>,
}

impl Seen {
    /// Nothing seen yet.
    pub fn nothing(name: &str) -> Self {
        Self { name: name.to_owned(), answers: 0, others: 0, took: Duration::ZERO, times: vec![], sample: None, kept: vec![] }
    }

    /// Adds what was seen elsewhere or later.
    pub fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.others += other.others;
        self.took += other.took;
        self.times.extend(other.times);
        self.times.sort_unstable();
        self.sample = self.sample.take().or(other.sample);
        self.kept.extend(other.kept);
    }

    /// The time that this share of the answers did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        quantile(&self.times, share)
    }

    /// Answers in a second.
    pub fn per_second(&self) -> f64 {
        if self.took.is_zero() { 0.0 } else { as_float(self.answers) / self.took.as_secs_f64() }
    }
}

/// The time that this share of the sorted times did not exceed.
pub fn quantile(times: &[Duration], share: f64) -> Duration {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the list, from its own length")]
    let at = (as_float(times.len()) * share) as usize;
    times.get(at.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// A count as a number to divide.
pub fn as_float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |share| self.quantile(share).as_secs_f64() * 1000.0;
        let (name, answers, rate) = (&self.name, self.answers, self.per_second());
        write!(
            f,
            "{name:<44} {answers:>8} {rate:>9.0}/s {:>8.2} ms {:>8.2} ms {:>6}",
            milliseconds(0.5),
            milliseconds(0.99),
            self.others
        )
    }
}

/// Requests that are sent once each, and what their answers must contain.
pub struct Batch {
    /// The requests; each connection takes the next one that nobody has taken.
    pub requests: Vec<Prepared>,
    /// A part of every right answer.
    pub expected: &'static [u8],
    /// The text in quotes behind this is kept.
    pub keep: Option<&'static [u8]>,
}

/// Connections of clients that stay open from one batch to the next.
pub struct Clients(Vec<Wire>);

impl Clients {
    /// Connects so many.
    pub async fn connect(address: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let mut wires = Vec::with_capacity(count);
        for _ in 0..count {
            wires.push(Wire::open(address).await?);
        }
        Ok(Self(wires))
    }

    /// Sends each request of a batch once.
    pub async fn once(&mut self, name: &str, batch: Batch) -> anyhow::Result<Seen> {
        let count = batch.requests.len();
        self.drive(name, batch, Until::Taken(count)).await
    }

    /// Sends the requests of a batch in turn for a while.
    pub async fn during(&mut self, name: &str, batch: Batch, lasts: Duration) -> anyhow::Result<Seen> {
        ensure!(!batch.requests.is_empty(), "{name}: nothing to send");
        self.drive(name, batch, Until::Passed(lasts)).await
    }

    async fn drive(&mut self, name: &str, batch: Batch, until: Until) -> anyhow::Result<Seen> {
        let (batch, next) = (Arc::new(batch), Arc::new(AtomicUsize::new(0)));
        let started = Instant::now();
        let mut running = JoinSet::new();
        for wire in self.0.drain(..) {
            running.spawn(one_client(wire, batch.clone(), next.clone(), until, started));
        }
        let mut seen = Seen::nothing(name);
        let done = running.join_all().await;
        seen.took = started.elapsed();
        for done in done {
            let (wire, part) = done?;
            self.0.push(wire);
            seen.add(part);
        }
        Ok(seen)
    }
}

#[derive(Clone, Copy)]
enum Until {
    Taken(usize),
    Passed(Duration),
}

async fn one_client(
    mut wire: Wire,
    batch: Arc<Batch>,
    next: Arc<AtomicUsize>,
    until: Until,
    started: Instant,
) -> anyhow::Result<(Wire, Seen)> {
    let mut seen = Seen::nothing("");
    loop {
        let taken = next.fetch_add(1, Ordering::Relaxed);
        let over = match until {
            Until::Taken(count) => taken >= count,
            Until::Passed(lasts) => started.elapsed() >= lasts,
        };
        if over {
            return Ok((wire, seen));
        }
        let asked = Instant::now();
        wire.ask(&batch.requests[taken % batch.requests.len()]).await?;
        let took = asked.elapsed();
        if find(wire.body(), batch.expected).is_some() {
            seen.answers += 1;
            seen.times.push(took);
            seen.kept.extend(batch.keep.and_then(|before| quoted(wire.body(), before)).map(|text| (taken, text)));
        } else {
            seen.others += 1;
            seen.sample.get_or_insert_with(|| String::from_utf8_lossy(wire.body()).chars().take(400).collect());
        }
    }
}

/// The text between the end of `before` and the next quote.
fn quoted(body: &[u8], before: &[u8]) -> Option<String> {
    let start = find(body, before)? + before.len();
    let length = body[start..].iter().position(|byte| *byte == b'"')?;
    Some(String::from_utf8_lossy(&body[start..start + length]).into_owned())
}
