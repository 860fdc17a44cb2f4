//! Claims: who has which seat on which leg, and the board that shows all claims of one trip. Pure.

use std::ops::Range;

use berth_contracts::event::{LegState, SeatChanged};
use chrono::DateTime;
use uuid::Uuid;

/// State of a claim as stored. A seat and leg without a claim is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// Until its deadline.
    Held,
    /// For good.
    Sold,
    /// Out of sale.
    Blocked,
}

impl ClaimState {
    /// The stored number.
    pub const fn number(self) -> i32 {
        match self {
            Self::Held => 0,
            Self::Sold => 1,
            Self::Blocked => 2,
        }
    }

    /// Reads [`Self::number`]. An unknown number is taken for BLOCKED: whatever it is, the seat is not free.
    pub const fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Held,
            1 => Self::Sold,
            _ => Self::Blocked,
        }
    }
}

/// A claim of one seat on one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Dense number of the seat in its trip's layout.
    pub spot_no: u16,
    /// Index of the leg.
    pub leg_no: u16,
    /// State.
    pub state: ClaimState,
    /// End of a HELD claim, milliseconds since 1970.
    pub expires_at_ms: i64,
}

/// State of a seat on a segment: the strongest of its legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SeatState {
    /// Free on every leg.
    Available,
    /// Held on a leg; none is blocked or sold.
    Held,
    /// Out of sale on a leg; none is sold.
    Blocked,
    /// Sold on a leg.
    Sold,
}

/// The same seats over the same legs of one trip: what one hold claims there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Key of the trip's occurrence.
    pub occurrence_id: i64,
    /// Version that the trip has after the change.
    pub version: i64,
    /// The legs.
    pub legs: Range<u16>,
    /// The seats, in order.
    pub spots: Vec<u16>,
}

impl Block {
    /// How many claims that are.
    pub fn claims(&self) -> u64 {
        self.legs.len() as u64 * self.spots.len() as u64
    }

    /// The event's entries: every seat of the block over all of its legs.
    pub fn changes(&self, state: LegState, expires_at_ms: Option<i64>) -> impl Iterator<Item = SeatChanged> + '_ {
        let expires_at = expires_at_ms.and_then(DateTime::from_timestamp_millis);
        let Range { start: from_leg, end: to_leg } = self.legs;
        self.spots.iter().map(move |&spot_no| SeatChanged { spot_no, from_leg, to_leg, state, expires_at })
    }
}

/// What claims become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Their state.
    pub state: ClaimState,
    /// The booking, once there is one.
    pub booking_id: Option<Uuid>,
    /// The deadline of HELD claims.
    pub expires_at_ms: i64,
}

const SOLD: i64 = i64::MAX;
const BLOCKED: i64 = i64::MAX - 1;
const FREE: i64 = i64::MIN;

/// Every seat of a trip on every leg, as of a version of the trip.
///
/// A cell is the instant until which it is taken, so a held cell falls free by itself, and the state of a segment is
/// the maximum of its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    version: i64,
    legs: usize,
    cells: Vec<i64>,
}

impl Board {
    /// The board of a trip's claims. Claims of seats and legs that the trip has no more are left out.
    pub fn new(version: i64, spots: u16, legs: u16, claims: impl IntoIterator<Item = Claim>) -> Self {
        let legs = usize::from(legs);
        let mut board = Self { version, legs, cells: vec![FREE; usize::from(spots) * legs] };
        for claim in claims {
            let until = match claim.state {
                ClaimState::Held => claim.expires_at_ms,
                ClaimState::Sold => SOLD,
                ClaimState::Blocked => BLOCKED,
            };
            board.set(claim.spot_no, claim.leg_no..claim.leg_no.saturating_add(1), until);
        }
        board
    }

    /// The version it shows.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// How many seats it has.
    pub fn spots(&self) -> u16 {
        u16::try_from(self.cells.len().checked_div(self.legs).unwrap_or(0)).unwrap_or(u16::MAX)
    }

    /// Takes over the changes of the next version.
    pub fn apply(&mut self, version: i64, changes: &[SeatChanged]) {
        self.version = version;
        for change in changes {
            let until = match change.state {
                LegState::Free => FREE,
                LegState::Held => change.expires_at.map_or(BLOCKED, |at| at.timestamp_millis()),
                LegState::Sold => SOLD,
                LegState::Blocked => BLOCKED,
            };
            self.set(change.spot_no, change.from_leg..change.to_leg, until);
        }
    }

    fn set(&mut self, spot_no: u16, legs: Range<u16>, until: i64) {
        let range = self.range(spot_no, &legs);
        if let Some(cells) = self.cells.get_mut(range) {
            cells.fill(until);
        }
    }

    fn range(&self, spot_no: u16, legs: &Range<u16>) -> Range<usize> {
        let row = usize::from(spot_no) * self.legs;
        let at = |leg: u16| row + usize::from(leg).min(self.legs);
        at(legs.start)..at(legs.end).max(at(legs.start))
    }

    /// State of a seat over some legs.
    pub fn state(&self, spot_no: u16, legs: &Range<u16>, now_ms: i64) -> SeatState {
        let cells = self.cells.get(self.range(spot_no, legs)).unwrap_or_default();
        match cells.iter().copied().max().unwrap_or(FREE) {
            SOLD => SeatState::Sold,
            BLOCKED => SeatState::Blocked,
            until if until > now_ms => SeatState::Held,
            _ => SeatState::Available,
        }
    }

    /// Whether a seat is free on every one of these legs.
    pub fn is_free(&self, spot_no: u16, legs: &Range<u16>, now_ms: i64) -> bool {
        self.state(spot_no, legs, now_ms) == SeatState::Available
    }

    /// How many free legs of the seat border on these: what a sale would leave as a remnant. 0 is a perfect fit.
    pub fn slack(&self, spot_no: u16, legs: &Range<u16>, now_ms: i64) -> usize {
        let whole = 0..u16::try_from(self.legs).unwrap_or(u16::MAX);
        let row = self.cells.get(self.range(spot_no, &whole)).unwrap_or_default();
        let free = |until: &&i64| **until <= now_ms;
        let before = row.iter().take(usize::from(legs.start)).rev().take_while(free).count();
        let after = row.iter().skip(usize::from(legs.end)).take_while(free).count();
        before + after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000;

    fn claim(spot_no: u16, leg_no: u16, state: ClaimState, expires_at_ms: i64) -> Claim {
        Claim { spot_no, leg_no, state, expires_at_ms }
    }

    #[test]
    fn the_strongest_leg_decides() {
        use ClaimState::{Blocked, Held, Sold};
        let board = Board::new(
            7,
            3,
            4,
            [
                claim(0, 0, Held, NOW + 1),
                claim(0, 1, Blocked, 0),
                claim(0, 2, Sold, 0),
                claim(1, 3, Held, NOW),
                claim(9, 0, Sold, 0),
            ],
        );
        assert_eq!((board.version(), board.spots()), (7, 3));
        assert_eq!(board.state(0, &(0..1), NOW), SeatState::Held);
        assert_eq!(board.state(0, &(0..2), NOW), SeatState::Blocked);
        assert_eq!(board.state(0, &(0..4), NOW), SeatState::Sold);
        assert_eq!(board.state(0, &(3..4), NOW), SeatState::Available);
        // Dead at its deadline, not a millisecond later.
        assert_eq!(board.state(1, &(0..4), NOW), SeatState::Available);
        assert_eq!(board.state(1, &(0..4), NOW - 1), SeatState::Held);
        // A seat that is not there is nothing that can be read.
        assert_eq!(board.state(77, &(0..4), NOW), SeatState::Available);
    }

    #[test]
    fn changes_replace_what_was_there() {
        let mut board = Board::new(1, 2, 3, []);
        let at = DateTime::from_timestamp_millis(NOW + 5);
        board.apply(2, &[SeatChanged { spot_no: 1, from_leg: 1, to_leg: 3, state: LegState::Held, expires_at: at }]);
        assert_eq!(board.version(), 2);
        assert!(board.is_free(1, &(0..1), NOW) && !board.is_free(1, &(0..2), NOW) && board.is_free(1, &(0..3), NOW + 5));
        board.apply(3, &[SeatChanged { spot_no: 1, from_leg: 0, to_leg: 9, state: LegState::Free, expires_at: None }]);
        assert!(board.is_free(1, &(0..3), NOW) && board.is_free(0, &(0..3), NOW));
    }

    #[test]
    fn slack_counts_the_free_legs_beside() {
        let board = Board::new(1, 2, 6, [claim(0, 0, ClaimState::Sold, 0), claim(0, 5, ClaimState::Held, NOW + 1)]);
        assert_eq!(board.slack(0, &(2..4), NOW), 2);
        assert_eq!(board.slack(0, &(1..5), NOW), 0);
        assert_eq!(board.slack(1, &(2..4), NOW), 4);
    }
}
