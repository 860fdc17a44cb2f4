//! What clients were told, when; and the checkers that judge it afterwards.
//!
//! A client writes down when it asked and when it was answered. Between the answer to `placeHold` and the moment it gives
//! the seats back (or their deadline, counted from when it asked) a client certainly holds them: two certain spans on
//! one seat and leg mean that it was given away twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{client::kind_of, timetable::SeatState};

/// A time in which something is certain. Without an end: to the end of the run.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Certain from here.
    pub from: Instant,
    /// To here.
    pub to: Option<Instant>,
}

impl Span {
    fn meets(&self, later: &Self) -> bool {
        self.to.is_none_or(|end| later.from < end) && later.to.is_none_or(|end| later.from < end)
    }

    fn contains(&self, from: Instant, to: Instant) -> bool {
        self.from <= from && self.to.is_none_or(|end| to <= end)
    }
}

/// Seats that somebody was granted on some legs.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Number of the client.
    pub who: usize,
    /// The hold.
    pub hold_id: String,
    /// Numbers of the seats in the arena.
    pub seats: Vec<usize>,
    /// The legs.
    pub legs: Range<usize>,
    /// When the seats were certainly held.
    pub held: Span,
    /// From when on they were certainly sold.
    pub sold: Option<Instant>,
    /// The answer to giving them back has come.
    pub released: bool,
    /// What became of it on the way to a ticket.
    pub purchase: Option<Purchase>,
}

/// A booking, and its payment.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// The booking.
    pub booking_id: String,
    /// Its payment, once begun.
    pub payment_id: Option<String>,
    /// The provider was told to settle, and said yes.
    pub settled: bool,
    /// The answer to the cancellation has come.
    pub cancelled: bool,
}

/// One read of a seat map of one leg.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The leg.
    pub leg: usize,
    /// When it was asked for.
    pub asked: Instant,
    /// When the answer came.
    pub answered: Instant,
    /// The map's version.
    pub version: u64,
    /// The map.
    pub seats: Vec<SeatState>,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Two clients certainly had the same seat on the same leg.
    GivenTwice(String),
    /// A seat map missed a seat, or showed one twice.
    NotConserved(String),
    /// A seat map showed a seat as free that somebody certainly had.
    ShownFree(String),
    /// A later read showed an older version.
    WentBack(String),
    /// An answer that is neither a success nor a typed refusal.
    Untyped(String),
    /// Something acknowledged is gone, or something given back is still there.
    Lost(String),
    /// Money without tickets and without refund, or with both.
    Unsettled(String),
    /// A subscription told something else than the query.
    Untrue(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[derive(Default)]
struct Log {
    claims: Vec<Claim>,
    readings: Vec<Reading>,
    refusals: BTreeMap<String, usize>,
    outages: BTreeMap<String, usize>,
    violations: Vec<Violation>,
}

/// The log of a run, written by many clients.
#[derive(Default)]
pub struct History {
    log: Mutex<Log>,
}

impl History {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seats were granted. Answers the claim's number.
    pub fn granted(&self, claim: Claim) -> usize {
        let mut log = self.log();
        log.claims.push(claim);
        log.claims.len() - 1
    }

    /// Changes a claim.
    pub fn amend(&self, number: usize, change: impl FnOnce(&mut Claim)) {
        change(&mut self.log().claims[number]);
    }

    /// From now on a claim is not certain any more: it is about to be given back.
    pub fn ends(&self, number: usize, now: Instant) {
        self.amend(number, |claim| claim.held.to = Some(claim.held.to.map_or(now, |end| end.min(now))));
    }

    /// A seat map was read.
    pub fn read(&self, reading: Reading) {
        self.log().readings.push(reading);
    }

    /// A typed refusal was given.
    pub fn refused(&self, code: &str) {
        *self.log().refusals.entry(code.to_owned()).or_default() += 1;
    }

    /// No answer came, or our own fault did; the outcome is unknown until the request was repeated.
    pub fn outage(&self, error: &anyhow::Error) {
        *self.log().outages.entry(kind_of(error)).or_default() += 1;
    }

    /// How often which kind of bad end was met ([`kind_of`]).
    pub fn outages(&self) -> BTreeMap<String, usize> {
        self.log().outages.clone()
    }

    /// Something was seen that must not be.
    pub fn violated(&self, violation: Violation) {
        self.log().violations.push(violation);
    }

    /// All claims.
    pub fn claims(&self) -> Vec<Claim> {
        self.log().claims.clone()
    }

    /// How often which refusal was given.
    pub fn refusals(&self) -> BTreeMap<String, usize> {
        self.log().refusals.clone()
    }

    /// One line about the run.
    pub fn summary(&self) -> String {
        let log = self.log();
        let sold = log.claims.iter().filter(|claim| claim.sold.is_some()).count();
        let (granted, reads) = (log.claims.len(), log.readings.len());
        format!(
            "{granted} holds granted, {sold} sold, {reads} seat maps read, bad ends {:?}, refusals {:?}",
            log.outages, log.refusals
        )
    }

    /// Everything that is wrong: what clients saw, and what the checkers find. `capacity` is the number of seats of a map.
    pub fn violations(&self, capacity: usize) -> Vec<Violation> {
        let log = self.log();
        let mut found = log.violations.clone();
        found.extend(given_twice(&log.claims));
        found.extend(not_conserved(&log.readings, capacity));
        found.extend(went_back(&log.readings));
        found
    }

    /// Reads that showed a certainly held seat as free. `seats` are the ids of the arena's seats by number.
    pub fn shown_free(&self, seats: &[String]) -> Vec<Violation> {
        let log = self.log();
        log.readings.iter().flat_map(|reading| reading_shows_free(reading, &log.claims, seats)).collect()
    }
}

/// No seat and leg is certainly with two holds at once.
pub fn given_twice(claims: &[Claim]) -> Vec<Violation> {
    let mut cells: BTreeMap<(usize, usize), Vec<(Span, &Claim)>> = BTreeMap::new();
    for claim in claims {
        let sold = claim.sold.map(|from| Span { from, to: None });
        for span in std::iter::once(claim.held).chain(sold).filter(|span| span.to.is_none_or(|end| span.from < end)) {
            for seat in &claim.seats {
                for leg in claim.legs.clone() {
                    cells.entry((*seat, leg)).or_default().push((span, claim));
                }
            }
        }
    }
    cells.into_iter().flat_map(|(cell, spans)| overlapping(cell, spans)).collect()
}

fn overlapping(cell: (usize, usize), mut spans: Vec<(Span, &Claim)>) -> Vec<Violation> {
    spans.sort_by_key(|(span, _)| span.from);
    let mut found = Vec::new();
    for (at, (span, claim)) in spans.iter().enumerate() {
        for (later, other) in spans[at + 1..].iter().take_while(|(later, _)| span.to.is_none_or(|end| later.from < end)) {
            if other.hold_id != claim.hold_id && span.meets(later) {
                let (seat, leg) = cell;
                found.push(Violation::GivenTwice(format!(
                    "seat {seat} leg {leg}: {} of client {} and {} of client {}",
                    claim.hold_id, claim.who, other.hold_id, other.who
                )));
            }
        }
    }
    found
}

/// Every map has every seat once.
fn not_conserved(readings: &[Reading], capacity: usize) -> Vec<Violation> {
    let broken = readings.iter().filter_map(|reading| {
        let known: BTreeSet<&str> = reading.seats.iter().map(|seat| seat.id.as_str()).collect();
        let stated =
            reading.seats.iter().filter(|seat| matches!(seat.state.as_str(), "AVAILABLE" | "HELD" | "SOLD" | "BLOCKED")).count();
        let right = known.len() == capacity && reading.seats.len() == capacity && stated == capacity;
        (!right).then(|| {
            Violation::NotConserved(format!(
                "leg {}: {} seats, {} distinct, {stated} with a state, of {capacity}",
                reading.leg,
                reading.seats.len(),
                known.len()
            ))
        })
    });
    broken.collect()
}

/// A read that began after another was answered shows no older version.
fn went_back(readings: &[Reading]) -> Vec<Violation> {
    let mut by_answer: Vec<&Reading> = readings.iter().collect();
    by_answer.sort_by_key(|reading| reading.answered);
    let mut by_question: Vec<&Reading> = readings.iter().collect();
    by_question.sort_by_key(|reading| reading.asked);
    let (mut next, mut newest, mut found) = (0, 0, Vec::new());
    for reading in by_question {
        while next < by_answer.len() && by_answer[next].answered < reading.asked {
            newest = newest.max(by_answer[next].version);
            next += 1;
        }
        if reading.version < newest {
            found.push(Violation::WentBack(format!("version {} after {newest}", reading.version)));
        }
    }
    found
}

fn reading_shows_free(reading: &Reading, claims: &[Claim], seats: &[String]) -> Vec<Violation> {
    let states: BTreeMap<&str, &str> = reading.seats.iter().map(|seat| (seat.id.as_str(), seat.state.as_str())).collect();
    let certain = claims.iter().filter(|claim| {
        claim.legs.contains(&reading.leg)
            && (claim.held.contains(reading.asked, reading.answered) || claim.sold.is_some_and(|from| from <= reading.asked))
    });
    let shown = certain.flat_map(|claim| claim.seats.iter().map(move |seat| (claim, *seat)));
    let free = shown.filter(|(_, seat)| states.get(seats[*seat].as_str()) == Some(&"AVAILABLE"));
    free.map(|(claim, seat)| {
        Violation::ShownFree(format!("seat {seat} leg {}: {} of client {}", reading.leg, claim.hold_id, claim.who))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn claim(hold_id: &str, legs: Range<usize>, from: Instant, secs: u64) -> Claim {
        let held = Span { from, to: Some(from + Duration::from_secs(secs)) };
        Claim { who: 0, hold_id: hold_id.to_owned(), seats: vec![3], legs, held, sold: None, released: false, purchase: None }
    }

    #[test]
    fn overlaps_are_found_on_the_same_leg_only() {
        let now = Instant::now();
        let first = claim("a", 0..3, now, 5);
        assert_eq!(given_twice(&[first.clone(), claim("b", 3..5, now, 5)]), []);
        assert_eq!(given_twice(&[first.clone(), claim("b", 0..3, now + Duration::from_secs(5), 5)]), []);
        assert_eq!(given_twice(&[first.clone(), claim("b", 2..4, now + Duration::from_secs(4), 5)]).len(), 1);
        assert_eq!(given_twice(&[first.clone(), claim("b", 0..3, now + Duration::from_secs(1), 1)]).len(), 3);
    }

    #[test]
    fn a_sale_lasts() {
        let now = Instant::now();
        let mut sold = claim("a", 0..1, now, 5);
        sold.sold = Some(now + Duration::from_secs(2));
        assert_eq!(given_twice(std::slice::from_ref(&sold)), []);
        assert_eq!(given_twice(&[sold, claim("b", 0..1, now + Duration::from_mins(1), 5)]).len(), 1);
    }

    #[test]
    fn maps_are_whole_and_go_forward() {
        let now = Instant::now();
        let seat = |id: &str| SeatState { id: id.to_owned(), state: "AVAILABLE".to_owned() };
        let reading = |secs: u64, version, seats| Reading {
            leg: 0,
            asked: now + Duration::from_secs(secs),
            answered: now + Duration::from_secs(secs + 1),
            version,
            seats,
        };
        assert_eq!(not_conserved(&[reading(0, 1, vec![seat("a"), seat("b")])], 2), []);
        assert_eq!(not_conserved(&[reading(0, 1, vec![seat("a"), seat("a")])], 2).len(), 1);
        assert_eq!(went_back(&[reading(0, 2, vec![]), reading(5, 2, vec![]), reading(6, 3, vec![])]), []);
        assert_eq!(went_back(&[reading(0, 2, vec![]), reading(5, 1, vec![])]).len(), 1);
    }
}
