//! Holds: seats kept for one person until a deadline. What they are, how long they live, and which requests for one
//! make sense at all. Pure: whether the seats are free is the database's to say.

use std::collections::{BTreeMap, HashSet};

use berth_contracts::{
    Money,
    event::{LegState, SeatChanged},
    id::TripKey,
    peer::HoldState,
};
use berth_kernel::idempotency::MAX_KEY_CHARS;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    claim::{Block, SeatState},
    timetable::Timetable,
    trip::{Segment, SegmentError, TripRef},
};

/// The limits of holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldPolicy {
    /// Life of a hold.
    pub ttl: TimeDelta,
    /// Life at most, extension included.
    pub cap: TimeDelta,
    /// Seats of one hold at most.
    pub max_seats: usize,
    /// Active holds of one person at most.
    pub max_active: u32,
}

impl Default for HoldPolicy {
    fn default() -> Self {
        Self { ttl: TimeDelta::minutes(15), cap: TimeDelta::hours(2), max_seats: 8, max_active: 4 }
    }
}

/// State of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldStatus {
    /// The seats are kept until the deadline.
    Active,
    /// The seats are sold.
    Committed,
    /// Given back before the deadline.
    Released,
    /// The deadline passed.
    Expired,
}

impl HoldStatus {
    /// The stored number.
    pub const fn number(self) -> i32 {
        match self {
            Self::Active => 0,
            Self::Committed => 1,
            Self::Released => 2,
            Self::Expired => 3,
        }
    }

    /// Reads [`Self::number`].
    pub const fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Active,
            1 => Self::Committed,
            2 => Self::Released,
            _ => Self::Expired,
        }
    }

    /// The word of the graph, for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Committed => "COMMITTED",
            Self::Released => "RELEASED",
            Self::Expired => "EXPIRED",
        }
    }

    /// The same for peers.
    pub const fn peer(self) -> HoldState {
        match self {
            Self::Active => HoldState::Active,
            Self::Committed => HoldState::Committed,
            Self::Released => HoldState::Released,
            Self::Expired => HoldState::Expired,
        }
    }
}

/// One seat of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldItem {
    /// Key.
    pub id: Uuid,
    /// Key of the trip's claims.
    pub occurrence_id: i64,
    /// The trip.
    pub trip: TripKey,
    /// The seat.
    pub spot_no: u16,
    /// Index of the first stop.
    pub from_stop: u16,
    /// Index of the last stop.
    pub to_stop: u16,
    /// The price when the hold was placed: what a booking will cost.
    pub price: Money,
}

/// A hold with its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Key.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// Status as stored: may still say ACTIVE after the deadline. See [`Self::status`].
    pub stored_status: HoldStatus,
    /// The booking it is tied to.
    pub booking_id: Option<Uuid>,
    /// Sum of the prices.
    pub total: Money,
    /// The deadline.
    pub expires_at: DateTime<Utc>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// Whether the deadline was moved already.
    pub extended: bool,
    /// The seats.
    pub items: Vec<HeldItem>,
}

impl Hold {
    /// Status at an instant: dead at the deadline, whether or not anybody swept.
    pub fn status(&self, now: DateTime<Utc>) -> HoldStatus {
        match self.stored_status {
            HoldStatus::Active if self.expires_at <= now => HoldStatus::Expired,
            stored => stored,
        }
    }

    /// Time until the deadline; zero when it is over.
    pub fn remaining(&self, now: DateTime<Utc>) -> TimeDelta {
        if self.status(now) == HoldStatus::Active { self.expires_at - now } else { TimeDelta::zero() }
    }

    /// The trips it has seats of, in the order in which they are locked.
    pub fn trips(&self) -> Vec<TripKey> {
        let mut trips: Vec<TripKey> = self.items.iter().map(|item| item.trip).collect();
        trips.sort_unstable();
        trips.dedup();
        trips
    }

    /// Its claims on one trip.
    pub fn blocks(&self, trip: TripKey, version: i64) -> Vec<Block> {
        let mut blocks: BTreeMap<(i64, u16, u16), Vec<u16>> = BTreeMap::new();
        for item in self.items.iter().filter(|item| item.trip == trip) {
            blocks.entry((item.occurrence_id, item.from_stop, item.to_stop)).or_default().push(item.spot_no);
        }
        let block = |((occurrence_id, from, to), mut spots): ((i64, u16, u16), Vec<u16>)| {
            spots.sort_unstable();
            Block { occurrence_id, version, legs: from..to, spots }
        };
        blocks.into_iter().map(block).collect()
    }

    /// The deadline that an extension until `until` gives: never sooner than now in force, never past the cap.
    pub fn extended_until(&self, until: DateTime<Utc>, policy: &HoldPolicy) -> DateTime<Utc> {
        until.min(self.created_at + policy.cap).max(self.expires_at)
    }
}

/// Entries of an event for seats and legs that fell free; both in order.
pub fn freed(claims: &[(u16, u16)]) -> Vec<SeatChanged> {
    let mut changes: Vec<SeatChanged> = Vec::new();
    for &(spot_no, leg_no) in claims {
        match changes.last_mut() {
            Some(last) if last.spot_no == spot_no && last.to_leg == leg_no => last.to_leg += 1,
            _ => changes.push(SeatChanged {
                spot_no,
                from_leg: leg_no,
                to_leg: leg_no + 1,
                state: LegState::Free,
                expires_at: None,
            }),
        }
    }
    changes
}

/// Seats of one trip that somebody wants to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatRequest {
    /// The trip.
    pub trip: TripKey,
    /// Index of the stop to board at.
    pub from_stop: u16,
    /// Index of the stop to leave at.
    pub to_stop: u16,
    /// Which seats.
    pub select: Selection,
}

/// How seats are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Selection {
    /// These: each with the trip it belongs to.
    Exact(Vec<(TripKey, u16)>),
    /// That many, chosen by the server.
    Best {
        /// How many.
        count: i32,
        /// Of this class only.
        travel_class: Option<String>,
    },
}

/// A request that makes sense: the trip runs, the segment can be travelled, the seats exist.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The trip.
    pub trip: TripRef,
    /// The part of it.
    pub segment: Segment,
    /// The seats.
    pub pick: Pick,
}

/// Seats to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// These, in order.
    Seats(Vec<u16>),
    /// The best ones.
    Best {
        /// How many.
        count: usize,
        /// Index of the class.
        class_no: Option<u16>,
    },
}

impl Pick {
    fn count(&self) -> usize {
        match self {
            Self::Seats(seats) => seats.len(),
            Self::Best { count, .. } => *count,
        }
    }
}

/// Seats of one trip that are somebody else's.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The trip.
    pub trip: TripRef,
    /// The wanted part.
    pub segment: Segment,
    /// The seats, each with its state on that part. Empty when the server should have chosen and found too few.
    pub seats: Vec<(u16, SeatState)>,
    /// The wanted class, when the server should have chosen.
    pub class_no: Option<u16>,
}

/// Why a hold is not placed or changed. Nothing was changed then.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The input is wrong at a place.
    Invalid {
        /// Code.
        code: &'static str,
        /// For a developer.
        message: String,
        /// Where in the input.
        path: Vec<String>,
    },
    /// What an id names is not there.
    NotFound {
        /// For a developer.
        message: &'static str,
        /// Where in the input.
        path: Vec<String>,
    },
    /// The trip is not sold any more.
    SaleClosed {
        /// For a developer.
        message: &'static str,
        /// Where in the input.
        path: Vec<String>,
    },
    /// Somebody else has some of the seats.
    SeatsUnavailable(Vec<Lost>),
    /// Too many active holds.
    HoldLimit(u32),
    /// The idempotency key was used with another input.
    IdempotencyConflict,
    /// The hold is in a state in which this can't be done.
    InvalidTransition(&'static str),
}

/// A place in the input of `placeHold`: `items`, the item's index, and so on.
pub fn item_path(index: usize, rest: &[&str]) -> Vec<String> {
    let head = ["items".to_owned(), index.to_string(), "seats".to_owned()];
    head.into_iter().chain(rest.iter().map(|&part| part.to_owned())).collect()
}

/// An input that is wrong at a place.
pub fn invalid(code: &'static str, message: impl Into<String>, path: Vec<String>) -> Refusal {
    Refusal::Invalid { code, message: message.into(), path }
}

/// Refuses a key that is empty or too long.
pub fn check_key(key: &str) -> Result<(), Refusal> {
    let length = key.chars().count();
    if (1..=MAX_KEY_CHARS).contains(&length) {
        return Ok(());
    }
    let message = format!("idempotencyKey must have 1 to {MAX_KEY_CHARS} characters");
    Err(invalid("INVALID_IDEMPOTENCY_KEY", message, vec!["idempotencyKey".to_owned()]))
}

/// Everything that can be refused without asking the database.
pub fn check(
    timetable: &Timetable,
    policy: &HoldPolicy,
    now: DateTime<Utc>,
    requests: &[SeatRequest],
) -> Result<Vec<Wanted>, Refusal> {
    let wanted = (0..).zip(requests).map(|(index, request)| check_one(timetable, now, index, request));
    let wanted = wanted.collect::<Result<Vec<Wanted>, Refusal>>()?;
    let count: usize = wanted.iter().map(|wanted| wanted.pick.count()).sum();
    if !(1..=policy.max_seats).contains(&count) {
        let message = format!("a hold has 1 to {} seats, not {count}", policy.max_seats);
        return Err(invalid("INVALID_SEAT_COUNT", message, vec!["items".to_owned()]));
    }
    check_repeats(&wanted)?;
    Ok(wanted)
}

fn check_one(timetable: &Timetable, now: DateTime<Utc>, index: usize, request: &SeatRequest) -> Result<Wanted, Refusal> {
    let at = |rest: &[&str]| item_path(index, rest);
    let Some(trip) = timetable.trip(request.trip) else {
        return Err(Refusal::NotFound { message: "there is no such trip", path: at(&["tripId"]) });
    };
    let segment = trip.segment(request.from_stop, request.to_stop).map_err(|error| segment_refusal(error, index))?;
    let closed = |message| Err(Refusal::SaleClosed { message, path: at(&["tripId"]) });
    if trip.template().retired {
        return closed("this trip is not on sale any more");
    }
    if trip.departure(segment.from()).is_none_or(|departure| departure <= now) {
        return closed("the trip has left this stop");
    }
    let pick = check_selection(&trip, index, &request.select)?;
    Ok(Wanted { trip, segment, pick })
}

fn segment_refusal(error: SegmentError, index: usize) -> Refusal {
    let field = match error {
        SegmentError::NoBoarding => "fromStopId",
        SegmentError::UnknownStop | SegmentError::Reversed | SegmentError::NoAlighting => "toStopId",
    };
    invalid("INVALID_SEGMENT", error.to_string(), item_path(index, &[field]))
}

fn check_selection(trip: &TripRef, index: usize, select: &Selection) -> Result<Pick, Refusal> {
    let at = |rest: &[&str]| item_path(index, rest);
    match select {
        Selection::Exact(ids) => {
            let mut seats = Vec::with_capacity(ids.len());
            for &(owner, spot_no) in ids {
                if owner != trip.key() || trip.seat(spot_no).is_none() {
                    return Err(invalid("INVALID_SEAT", "the seat is not one of this trip", at(&["select", "seatIds"])));
                }
                seats.push(spot_no);
            }
            seats.sort_unstable();
            if seats.is_empty() {
                return Err(invalid("INVALID_SEAT_COUNT", "name at least one seat", at(&["select", "seatIds"])));
            }
            Ok(Pick::Seats(seats))
        }
        Selection::Best { count, travel_class } => {
            let class_no = match travel_class {
                None => None,
                Some(class) => Some(trip.layout().class_named(class).ok_or_else(|| {
                    invalid("UNKNOWN_CLASS", "the trip has no such class", at(&["select", "bestAvailable", "travelClass"]))
                })?),
            };
            match usize::try_from(*count) {
                Ok(count) if count > 0 => Ok(Pick::Best { count, class_no }),
                _ => Err(invalid("INVALID_SEAT_COUNT", "count must be at least 1", at(&["select", "bestAvailable", "count"]))),
            }
        }
    }
}

/// No seat × leg may be asked for twice in one hold.
fn check_repeats(wanted: &[Wanted]) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for (index, wanted) in wanted.iter().enumerate() {
        let Pick::Seats(seats) = &wanted.pick else { continue };
        for &spot_no in seats {
            for leg_no in wanted.segment.legs() {
                if !seen.insert((wanted.trip.key(), spot_no, leg_no)) {
                    return Err(invalid("DUPLICATE_SEAT", "a seat is named twice", item_path(index, &["select", "seatIds"])));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_contracts::Currency;

    fn hold() -> Hold {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let item = |spot_no, day, from_stop, to_stop| HeldItem {
            id: Uuid::nil(),
            occurrence_id: i64::from(day),
            trip: TripKey { template: Uuid::nil(), day },
            spot_no,
            from_stop,
            to_stop,
            price: Money::new(1, Currency::IDR),
        };
        Hold {
            id: Uuid::nil(),
            user_id: Uuid::nil(),
            stored_status: HoldStatus::Active,
            booking_id: None,
            total: Money::new(3, Currency::IDR),
            expires_at: start + TimeDelta::minutes(15),
            created_at: start,
            extended: false,
            items: vec![item(7, 2, 0, 3), item(5, 1, 0, 2), item(2, 2, 0, 3), item(2, 2, 3, 4)],
        }
    }

    #[test]
    fn a_hold_is_dead_at_its_deadline() {
        let hold = hold();
        let second = TimeDelta::seconds(1);
        assert_eq!(hold.status(hold.expires_at - second), HoldStatus::Active);
        assert_eq!(hold.remaining(hold.expires_at - second), second);
        assert_eq!(hold.status(hold.expires_at), HoldStatus::Expired);
        assert_eq!(hold.remaining(hold.expires_at + second), TimeDelta::zero());
        let committed = Hold { stored_status: HoldStatus::Committed, ..hold };
        assert_eq!(committed.status(committed.expires_at + second), HoldStatus::Committed);
    }

    #[test]
    fn blocks_join_seats_of_the_same_legs() {
        let hold = hold();
        assert_eq!(hold.trips().iter().map(|trip| trip.day).collect::<Vec<_>>(), [1, 2]);
        let blocks = hold.blocks(TripKey { template: Uuid::nil(), day: 2 }, 9);
        assert_eq!(
            blocks,
            [
                Block { occurrence_id: 2, version: 9, legs: 0..3, spots: vec![2, 7] },
                Block { occurrence_id: 2, version: 9, legs: 3..4, spots: vec![2] }
            ]
        );
        assert_eq!(blocks[0].claims(), 6);
    }

    #[test]
    fn an_extension_has_a_cap_and_never_shortens() {
        let (hold, policy) = (hold(), HoldPolicy::default());
        let after = |minutes| hold.created_at + TimeDelta::minutes(minutes);
        assert_eq!(hold.extended_until(after(30), &policy), after(30));
        assert_eq!(hold.extended_until(after(500), &policy), after(120));
        assert_eq!(hold.extended_until(after(1), &policy), hold.expires_at);
    }

    #[test]
    fn freed_legs_are_joined() {
        let ranges: Vec<_> = freed(&[(1, 0), (1, 1), (1, 3), (2, 4)])
            .iter()
            .map(|change| (change.spot_no, change.from_leg, change.to_leg))
            .collect();
        assert_eq!(ranges, [(1, 0, 2), (1, 3, 4), (2, 4, 5)]);
    }

    #[test]
    fn keys_have_a_length() {
        assert!(check_key("").is_err() && check_key(&"é".repeat(129)).is_err());
        assert!(check_key("k").is_ok() && check_key(&"é".repeat(128)).is_ok());
    }
}
