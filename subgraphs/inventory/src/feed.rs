//! The live picture of one trip: its board kept up to date by events, the views of its segments, and the changes of late.
//! Pure: [`crate::availability`] feeds it and tells its subscribers.
//!
//! Events of several processes may arrive twice, out of order, or not at all. Those that come early are kept until those
//! before them are there; how long to wait for these is the caller's to decide ([`Feed::replace`] ends the waiting).

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
};

use berth_contracts::event::SeatChanged;

use crate::claim::{Board, SeatState};

/// How many versions back a subscriber can resume.
pub const RETAINED_VERSIONS: usize = 1_000;

/// Seats with their states.
pub type States = Vec<(u16, SeatState)>;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one; those that had come early and followed it were taken over too.
    Next,
    /// It was known already.
    Known,
    /// Others before it are missing: it is kept until they come.
    Early,
}

/// A version, and the seats and legs that it changed.
type Change = (i64, Vec<(u16, Range<u16>)>);

/// The board of a trip and its recent history.
#[derive(Debug)]
pub struct Feed {
    board: Board,
    /// Seats that changed since the views were last told.
    touched: BTreeSet<u16>,
    /// Seats and legs that each of the last versions changed, without gaps up to the board's version.
    recent: VecDeque<Change>,
    /// Versions that came before their turn.
    early: BTreeMap<i64, Vec<SeatChanged>>,
    /// The newest version that is known to exist.
    newest: i64,
}

impl Feed {
    /// A feed that begins with this board.
    pub fn new(board: Board) -> Self {
        let newest = board.version();
        Self { board, touched: BTreeSet::new(), recent: VecDeque::new(), early: BTreeMap::new(), newest }
    }

    /// The version it stands at.
    pub fn version(&self) -> i64 {
        self.board.version()
    }

    /// Whether something changed that the views were not told.
    pub fn is_dirty(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Whether a version is known to exist that it has not reached.
    pub fn is_behind(&self) -> bool {
        self.newest > self.version()
    }

    /// Whether it keeps versions that came before their turn.
    pub fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// Learns that a version exists, whatever it changed.
    pub fn learn(&mut self, version: i64) {
        self.newest = self.newest.max(version);
    }

    /// Takes over an event, if it is the next, and those kept that follow it.
    pub fn apply(&mut self, version: i64, changes: &[SeatChanged]) -> Applied {
        if version <= self.version() {
            return Applied::Known;
        }
        self.learn(version);
        if version > self.version() + 1 {
            // Past the limit nothing is kept: the board is read anew before long.
            if self.early.len() < RETAINED_VERSIONS {
                self.early.insert(version, changes.to_vec());
            }
            return Applied::Early;
        }
        self.take_next(version, changes);
        while let Some(changes) = self.early.remove(&(self.version() + 1)) {
            self.take_next(self.version() + 1, &changes);
        }
        Applied::Next
    }

    fn take_next(&mut self, version: i64, changes: &[SeatChanged]) {
        self.board.apply(version, changes);
        self.touched.extend(changes.iter().map(|change| change.spot_no));
        if self.recent.len() == RETAINED_VERSIONS {
            self.recent.pop_front();
        }
        let spots = changes.iter().map(|change| (change.spot_no, change.from_leg..change.to_leg)).collect();
        self.recent.push_back((version, spots));
    }

    /// Takes a board that was read anew. What changed in between is not known: nobody can resume from before. It contains
    /// every version that was learnt of before it was read.
    pub fn replace(&mut self, board: Board) {
        self.board = board;
        self.settle();
        self.touched.clear();
        self.recent.clear();
    }

    /// The database stands where the feed does: whatever else was learnt of is not so.
    pub fn settle(&mut self) {
        self.newest = self.version();
        self.early.clear();
    }

    /// Every seat's state on some legs.
    pub fn snapshot(&self, legs: &Range<u16>, now_ms: i64) -> States {
        (0..self.board.spots()).map(|spot_no| (spot_no, self.board.state(spot_no, legs, now_ms))).collect()
    }

    /// The states of the seats that changed on some legs after a version. `None` when that is too long ago or yet to come.
    pub fn since(&self, version: i64, legs: &Range<u16>, now_ms: i64) -> Option<States> {
        let oldest = self.recent.front().map_or(self.version(), |(first, _)| first - 1);
        if !(oldest..=self.version()).contains(&version) {
            return None;
        }
        let overlaps = |changed: &Range<u16>| changed.start < legs.end && legs.start < changed.end;
        let later = self.recent.iter().filter(|(changed, _)| *changed > version);
        let spots: BTreeSet<u16> =
            later.flat_map(|(_, spots)| spots).filter(|(_, changed)| overlaps(changed)).map(|(spot_no, _)| *spot_no).collect();
        Some(spots.into_iter().map(|spot_no| (spot_no, self.board.state(spot_no, legs, now_ms))).collect())
    }

    /// What each view has to be told now. Call [`Self::told`] after the last view.
    pub fn news(&self, view: &mut View, now_ms: i64) -> States {
        let legs = view.legs.clone();
        view.take_over(self.touched.iter().map(|&spot_no| (spot_no, self.board.state(spot_no, &legs, now_ms))))
    }

    /// All views were told.
    pub fn told(&mut self) {
        self.touched.clear();
    }
}

/// What the subscribers of one segment were told last.
#[derive(Debug)]
pub struct View {
    legs: Range<u16>,
    states: Vec<SeatState>,
}

impl View {
    /// A view whose subscribers begin with this snapshot.
    pub fn new(legs: Range<u16>, snapshot: &States) -> Self {
        Self { legs, states: snapshot.iter().map(|(_, state)| *state).collect() }
    }

    /// The segment.
    pub fn legs(&self) -> &Range<u16> {
        &self.legs
    }

    /// Keeps the states that differ from those told, and answers them.
    fn take_over(&mut self, states: impl Iterator<Item = (u16, SeatState)>) -> States {
        let mut news = Vec::new();
        for (spot_no, state) in states {
            match self.states.get_mut(usize::from(spot_no)) {
                Some(told) if *told != state => *told = state,
                _ => continue,
            }
            news.push((spot_no, state));
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::{Claim, ClaimState};
    use berth_contracts::event::LegState;
    use chrono::DateTime;
    use proptest::prelude::*;

    const NOW: i64 = 1_000;

    fn feed() -> Feed {
        let claim = Claim { spot_no: 1, leg_no: 0, state: ClaimState::Sold, expires_at_ms: 0 };
        Feed::new(Board::new(5, 3, 4, [claim]))
    }

    fn change(spot_no: u16, legs: Range<u16>, state: LegState) -> SeatChanged {
        let expires_at = (state == LegState::Held).then(|| DateTime::from_timestamp_millis(NOW * 2).unwrap());
        SeatChanged { spot_no, from_leg: legs.start, to_leg: legs.end, state, expires_at }
    }

    #[test]
    fn events_are_taken_in_order() {
        let mut feed = feed();
        assert_eq!(feed.apply(5, &[]), Applied::Known);
        assert_eq!(feed.apply(6, &[change(0, 0..2, LegState::Held)]), Applied::Next);
        assert_eq!(feed.apply(6, &[]), Applied::Known);
        assert_eq!((feed.version(), feed.is_dirty(), feed.is_behind()), (6, true, false));
    }

    #[test]
    fn what_comes_early_waits_for_its_turn() {
        let mut feed = feed();
        assert_eq!(feed.apply(8, &[change(0, 0..2, LegState::Sold)]), Applied::Early);
        assert_eq!(feed.apply(7, &[change(0, 0..2, LegState::Held)]), Applied::Early);
        assert_eq!((feed.version(), feed.is_behind(), feed.has_early(), feed.is_dirty()), (5, true, true, false));
        assert_eq!(feed.apply(6, &[]), Applied::Next);
        assert_eq!((feed.version(), feed.is_behind(), feed.has_early(), feed.is_dirty()), (8, false, false, true));
        assert_eq!(feed.snapshot(&(0..1), NOW)[0], (0, SeatState::Sold));
        assert_eq!(feed.since(6, &(0..4), NOW), Some(vec![(0, SeatState::Sold)]));
    }

    #[test]
    fn a_lost_last_version_is_learnt_of() {
        let mut feed = feed();
        feed.learn(4);
        assert!(!feed.is_behind());
        feed.learn(7);
        assert!(feed.is_behind() && !feed.has_early());
        feed.replace(Board::new(7, 3, 4, []));
        assert!(!feed.is_behind());
        // An event that lies (no such version was ever written) does not make it read for ever.
        feed.apply(100, &[]);
        feed.settle();
        assert_eq!((feed.version(), feed.is_behind(), feed.has_early()), (7, false, false));
    }

    #[test]
    fn views_hear_what_concerns_their_segment() {
        let mut feed = feed();
        let mut near = View::new(0..2, &feed.snapshot(&(0..2), NOW));
        let mut far = View::new(2..4, &feed.snapshot(&(2..4), NOW));
        feed.apply(6, &[change(0, 0..2, LegState::Held)]);
        feed.apply(7, &[change(1, 2..3, LegState::Sold)]);
        assert_eq!(feed.news(&mut near, NOW), [(0, SeatState::Held)]);
        assert_eq!(feed.news(&mut far, NOW), [(1, SeatState::Sold)]);
        feed.told();
        assert!(!feed.is_dirty());
        // There and back within one window is no news.
        feed.apply(8, &[change(0, 0..2, LegState::Free)]);
        feed.apply(9, &[change(0, 0..2, LegState::Held)]);
        assert_eq!(feed.news(&mut near, NOW), []);
    }

    #[test]
    fn a_subscriber_resumes_where_it_was() {
        let mut feed = feed();
        feed.apply(6, &[change(0, 0..2, LegState::Held)]);
        feed.apply(7, &[change(2, 2..3, LegState::Held)]);
        feed.apply(8, &[change(0, 0..2, LegState::Free)]);
        assert_eq!(feed.since(5, &(0..4), NOW), Some(vec![(0, SeatState::Available), (2, SeatState::Held)]));
        assert_eq!(feed.since(6, &(2..3), NOW), Some(vec![(2, SeatState::Held)]));
        assert_eq!(feed.since(8, &(0..4), NOW), Some(vec![]));
        assert_eq!((feed.since(4, &(0..4), NOW), feed.since(9, &(0..4), NOW), feed.since(-1, &(0..4), NOW)), (None, None, None));
        feed.replace(Board::new(20, 3, 4, []));
        assert_eq!((feed.since(8, &(0..4), NOW), feed.since(20, &(0..4), NOW)), (None, Some(vec![])));
    }

    #[test]
    fn only_so_many_versions_are_kept() {
        let mut feed = feed();
        let last = 5 + i64::try_from(RETAINED_VERSIONS).unwrap() + 1;
        for version in 6..=last {
            assert_eq!(feed.apply(version, &[]), Applied::Next);
        }
        assert_eq!((feed.since(5, &(0..1), NOW), feed.since(6, &(0..1), NOW)), (None, Some(vec![])));
    }

    fn any_change() -> impl Strategy<Value = SeatChanged> {
        let state = prop_oneof![Just(LegState::Free), Just(LegState::Held), Just(LegState::Sold)];
        (0_u16..3, 0_u16..4, 1_u16..4, state)
            .prop_map(|(spot_no, from, length, state)| change(spot_no, from..(from + length).min(4), state))
    }

    /// Changes of some versions, and an order in which their events arrive: each at least once, some twice.
    fn arrivals() -> impl Strategy<Value = (Vec<Vec<SeatChanged>>, Vec<usize>)> {
        let changes = proptest::collection::vec(proptest::collection::vec(any_change(), 1..3), 1..30);
        changes.prop_flat_map(|changes| {
            let twice = (0..changes.len()).chain((0..changes.len()).step_by(3)).collect::<Vec<_>>();
            (Just(changes), Just(twice).prop_shuffle())
        })
    }

    fn in_order(changes: &[Vec<SeatChanged>]) -> Feed {
        let mut feed = feed();
        for changes in changes {
            feed.apply(feed.version() + 1, changes);
        }
        feed
    }

    proptest! {
        /// However events are reordered and repeated, the end is that of the clean run; versions only rise on the way.
        #[test]
        fn order_and_repetition_do_not_matter((changes, order) in arrivals()) {
            let clean = in_order(&changes);
            let (mut feed, first) = (feed(), 6);
            let mut seen = feed.snapshot(&(0..4), NOW);
            let mut view = View::new(0..4, &seen);
            for index in order {
                let before = feed.version();
                let version = first + i64::try_from(index).unwrap();
                let applied = feed.apply(version, &changes[index]);
                prop_assert_eq!(applied == Applied::Next, feed.version() > before);
                for (spot_no, state) in feed.news(&mut view, NOW) {
                    seen[usize::from(spot_no)].1 = state;
                }
                feed.told();
            }
            prop_assert_eq!((feed.version(), feed.is_behind(), feed.has_early()), (clean.version(), false, false));
            prop_assert_eq!(&seen, &clean.snapshot(&(0..4), NOW));
            prop_assert_eq!(feed.snapshot(&(0..4), NOW), seen);
            prop_assert_eq!(feed.since(5, &(0..4), NOW), clean.since(5, &(0..4), NOW));
        }

        /// Whatever is lost: the feed knows of it once it learns the version in force, and a board that is read anew heals it.
        #[test]
        fn losses_are_seen_and_healed((changes, order) in arrivals(), lost in proptest::collection::btree_set(0_usize..30, 0..8)) {
            let clean = in_order(&changes);
            let mut feed = feed();
            for index in order.into_iter().filter(|index| !lost.contains(index)) {
                feed.apply(6 + i64::try_from(index).unwrap(), &changes[index]);
            }
            feed.learn(clean.version());
            let whole = (0..changes.len()).all(|index| !lost.contains(&index));
            prop_assert_eq!(feed.is_behind(), !whole);
            if feed.is_behind() {
                feed.replace(clean.board.clone());
            }
            prop_assert_eq!((feed.version(), feed.is_behind()), (clean.version(), false));
            prop_assert_eq!(feed.snapshot(&(0..4), NOW), clean.snapshot(&(0..4), NOW));
        }

        /// Snapshot plus all news, however windows are cut, is the state in the end; and so is a resume from anywhere.
        #[test]
        fn news_add_up(
            changes in proptest::collection::vec((proptest::collection::vec(any_change(), 1..3), any::<bool>()), 1..40),
            from in 0_u16..4, length in 1_u16..4, resume_after in 0_usize..40,
        ) {
            let legs = from..(from + length).min(4);
            let mut feed = feed();
            let mut seen = feed.snapshot(&legs, NOW);
            let mut view = View::new(legs.clone(), &seen);
            let (mut resumed, mut resumed_at) = (seen.clone(), feed.version());
            for (index, (changes, window_ends)) in changes.iter().enumerate() {
                feed.apply(feed.version() + 1, changes);
                if *window_ends {
                    for (spot_no, state) in feed.news(&mut view, NOW) {
                        seen[usize::from(spot_no)].1 = state;
                    }
                    feed.told();
                }
                if index == resume_after {
                    (resumed, resumed_at) = (feed.snapshot(&legs, NOW), feed.version());
                }
            }
            for (spot_no, state) in feed.news(&mut view, NOW) {
                seen[usize::from(spot_no)].1 = state;
            }
            for (spot_no, state) in feed.since(resumed_at, &legs, NOW).unwrap() {
                resumed[usize::from(spot_no)].1 = state;
            }
            prop_assert_eq!(&seen, &feed.snapshot(&legs, NOW));
            prop_assert_eq!(&resumed, &seen);
        }
    }
}
