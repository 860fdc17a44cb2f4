//! Which seats to give to somebody who did not choose, and which to offer to somebody who lost the choice. Pure, and
//! the same answer for the same board.

use std::{cmp::Reverse, ops::Range};

use crate::{
    claim::Board,
    layout::{Layout, SeatAttribute, Spot},
};

/// The trip as it stands, for one segment.
#[derive(Clone)]
pub struct Choice<'t> {
    /// The seats.
    pub layout: &'t Layout,
    /// Their claims.
    pub board: &'t Board,
    /// The segment's legs.
    pub legs: Range<u16>,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What is bad about a group of seats, the worst first.
type Cost = (usize, usize, usize, usize, u16);

impl Choice<'_> {
    /// The best `count` free seats: side by side in a row, else in one coach close together, else anywhere. Among
    /// equals those that leave the smallest remnants of free legs. Seats kept for wheelchairs only when nothing else
    /// is left. `None`: there are not so many.
    pub fn best(&self, count: usize, class_no: Option<u16>) -> Option<Vec<u16>> {
        let free: Vec<u16> = self.free(class_no).collect();
        let common: Vec<u16> = free.iter().copied().filter(|&spot_no| !self.is_kept(spot_no)).collect();
        self.best_window(&common, count).or_else(|| self.best_window(&free, count))
    }

    /// Free seats that come nearest to the lost ones: same class, same coach, near rows; the tightest fit among equals.
    pub fn alternatives(&self, lost: &[u16], first: usize) -> Vec<u16> {
        let places: Vec<&Spot> = lost.iter().filter_map(|&spot_no| self.layout.spot(spot_no)).collect();
        let mut found: Vec<_> = self
            .free(None)
            .filter(|spot_no| !lost.contains(spot_no))
            .filter_map(|spot_no| Some((Self::distance(self.layout.spot(spot_no)?, &places), self.slack(spot_no), spot_no)))
            .collect();
        found.sort_unstable();
        found.into_iter().take(first).map(|(_, _, spot_no)| spot_no).collect()
    }

    fn free(&self, class_no: Option<u16>) -> impl Iterator<Item = u16> + '_ {
        let fits = move |spot: &Spot| class_no.is_none_or(|class_no| class_no == spot.class_no);
        (0..)
            .zip(&self.layout.spots)
            .filter(move |(spot_no, spot)| {
                fits(spot) && *spot_no < self.board.spots() && self.board.is_free(*spot_no, &self.legs, self.now_ms)
            })
            .map(|(spot_no, _)| spot_no)
    }

    fn is_kept(&self, spot_no: u16) -> bool {
        self.layout.spot(spot_no).is_some_and(|spot| spot.attributes.contains(&SeatAttribute::Wheelchair))
    }

    fn slack(&self, spot_no: u16) -> usize {
        self.board.slack(spot_no, &self.legs, self.now_ms)
    }

    /// Seats are numbered coach by coach and row by row, so the seats of a good group follow each other among the free ones.
    fn best_window(&self, free: &[u16], count: usize) -> Option<Vec<u16>> {
        if count == 0 {
            return None;
        }
        free.windows(count).min_by_key(|window| self.cost(window)).map(<[u16]>::to_vec)
    }

    fn cost(&self, window: &[u16]) -> Cost {
        let places: Vec<&Spot> = window.iter().filter_map(|&spot_no| self.layout.spot(spot_no)).collect();
        let steps = |differ: fn(&Spot, &Spot) -> bool| places.windows(2).filter(|pair| differ(pair[0], pair[1])).count();
        let cars = steps(|a, b| a.car_no != b.car_no);
        let rows = match (places.first(), places.last()) {
            (Some(first), Some(last)) if cars == 0 => usize::from(last.row.abs_diff(first.row)),
            _ => 0,
        };
        let apart = steps(|a, b| a.row != b.row || a.column.abs_diff(b.column) != 1);
        let slack = window.iter().map(|&spot_no| self.slack(spot_no)).sum();
        (cars, rows, apart, slack, window.first().copied().unwrap_or(0))
    }

    fn distance(spot: &Spot, lost: &[&Spot]) -> (bool, bool, Reverse<bool>, u16, u16) {
        let kept = spot.attributes.contains(&SeatAttribute::Wheelchair);
        let from = |place: &&Spot| {
            let same_car = place.car_no == spot.car_no;
            (
                kept,
                place.class_no != spot.class_no,
                Reverse(same_car),
                spot.row.abs_diff(place.row),
                spot.column.abs_diff(place.column),
            )
        };
        lost.iter().map(from).min().unwrap_or((kept, false, Reverse(false), 0, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        claim::{Claim, ClaimState},
        layout::{CarPlan, LayoutPlan, MarkPlan},
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    const LEGS: u16 = 4;

    fn layout() -> Layout {
        let car = |label: &str, class: &str, rows, columns: &str| CarPlan {
            label: label.into(),
            count: 1,
            class: class.into(),
            rows,
            first_row: 1,
            columns: columns.into(),
            skip: vec![],
            attributes: vec![],
            marks: vec![],
        };
        let wheelchair =
            MarkPlan { rows: Some("1".into()), columns: Some("A".into()), attributes: vec![SeatAttribute::Wheelchair] };
        let first = CarPlan { marks: vec![wheelchair], ..car("1", "executive", 3, "AB-CD") };
        // Seats 0..12 in the first coach, 12..22 in the second.
        Layout::build(Uuid::nil(), &LayoutPlan { name: "t".into(), cars: vec![first, car("2", "economy", 2, "ABC-DE")] }).unwrap()
    }

    fn board(sold: &[(u16, u16)]) -> Board {
        let claim = |&(spot_no, leg_no): &(u16, u16)| Claim { spot_no, leg_no, state: ClaimState::Sold, expires_at_ms: 0 };
        Board::new(1, 22, LEGS, sold.iter().map(claim))
    }

    fn best(sold: &[(u16, u16)], legs: Range<u16>, count: usize, class_no: Option<u16>) -> Option<Vec<u16>> {
        let (layout, board) = (layout(), board(sold));
        Choice { layout: &layout, board: &board, legs, now_ms: 0 }.best(count, class_no)
    }

    #[test]
    fn neighbours_go_first() {
        // 1A is kept for a wheelchair user, so 1B has no neighbour: 1C and 1D.
        assert_eq!(best(&[], 0..LEGS, 2, None), Some(vec![2, 3]));
        // No three side by side in the first coach (aisle), but in the second.
        assert_eq!(best(&[], 0..LEGS, 3, None), Some(vec![12, 13, 14]));
        assert_eq!(best(&[], 0..LEGS, 3, Some(0)), Some(vec![1, 2, 3]));
        assert_eq!(best(&[], 0..LEGS, 23, None), None);
        assert_eq!(best(&[], 0..LEGS, 0, None), None);
    }

    #[test]
    fn the_tightest_fit_goes_first() {
        // 2B is sold on the last two legs: the first two fit there without a remnant.
        assert_eq!(best(&[(5, 2), (5, 3)], 0..2, 1, Some(0)), Some(vec![5]));
    }

    #[test]
    fn kept_seats_go_last() {
        let sold: Vec<_> = (1..22).map(|spot_no| (spot_no, 0)).collect();
        assert_eq!(best(&sold, 0..1, 1, None), Some(vec![0]));
    }

    #[test]
    fn alternatives_are_near() {
        let (layout, board) = (layout(), board(&[(5, 0)]));
        let choice = Choice { layout: &layout, board: &board, legs: 0..LEGS, now_ms: 0 };
        assert_eq!(choice.alternatives(&[5], 3), [4, 6, 7]);
        assert_eq!(choice.alternatives(&[5], 0), Vec::<u16>::new());
        assert_eq!(choice.alternatives(&[5], 99).len(), 21);
    }

    proptest! {
        #[test]
        fn a_choice_is_free_distinct_of_its_class_and_adjacent_when_that_can_be(
            sold in proptest::collection::vec((0_u16..22, 0_u16..LEGS), 0..60),
            from in 0_u16..LEGS, length in 1_u16..LEGS, count in 1_usize..6, class_no in proptest::option::of(0_u16..2),
        ) {
            let legs = from..(from + length).min(LEGS);
            let (layout, board) = (layout(), board(&sold));
            let choice = Choice { layout: &layout, board: &board, legs: legs.clone(), now_ms: 0 };
            let free: Vec<u16> = choice.free(class_no).collect();
            let chosen = choice.best(count, class_no);
            prop_assert_eq!(chosen.is_some(), free.len() >= count);
            prop_assert_eq!(&chosen, &choice.best(count, class_no));
            let Some(chosen) = chosen else { return Ok(()) };
            prop_assert!(chosen.iter().all(|spot_no| free.contains(spot_no)));
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.len() == count);
            let side_by_side = |group: &[u16]| group.windows(2).all(|pair| {
                let (a, b) = (layout.spot(pair[0]).unwrap(), layout.spot(pair[1]).unwrap());
                a.car_no == b.car_no && a.row == b.row && b.column == a.column + 1
            });
            let common: Vec<u16> = free.iter().copied().filter(|&spot_no| !choice.is_kept(spot_no)).collect();
            if common.windows(count).any(side_by_side) {
                prop_assert!(side_by_side(&chosen), "{:?}", chosen);
            }
        }
    }
}
