//! Coach layouts: which seats a trip has, where they are and what they offer. A layout is immutable; its seats are
//! numbered densely from 0 (`spot_no`), which is what claims refer to.

use std::{ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// More seats than any train has; keeps numbers in 16 bits and a seat map answerable.
pub const MAX_SPOTS: usize = 4_000;

/// What a seat offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SeatAttribute {
    /// Beside a window.
    Window,
    /// Beside the aisle.
    Aisle,
    /// At a table.
    Table,
    /// With a power socket.
    Power,
    /// Kept for a wheelchair user.
    Wheelchair,
    /// In a quiet zone.
    Quiet,
    /// In a family zone.
    Family,
    /// Faces the direction of travel.
    Forward,
    /// Faces backward.
    Backward,
}

/// Why a layout can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A layout without any seat.
    #[error("layout {0} has no seat")]
    Empty(String),
    /// Too many seats.
    #[error("layout {0} has more than {MAX_SPOTS} seats")]
    TooLarge(String),
    /// Two coaches with one label.
    #[error("layout {layout} has two cars labelled {car}")]
    DuplicateCar {
        /// The layout.
        layout: String,
        /// The label.
        car: String,
    },
    /// The columns text has something else than capital letters and `-`.
    #[error("layout {layout}: columns {columns} must be capital letters, each once, and - for an aisle")]
    Columns {
        /// The layout.
        layout: String,
        /// The text.
        columns: String,
    },
    /// `rows` of a mark is not like `3` or `1-4`.
    #[error("layout {layout}: rows {rows} of a mark must be like 3 or 1-4")]
    MarkRows {
        /// The layout.
        layout: String,
        /// The text.
        rows: String,
    },
}

/// A layout as written in a layout file, and as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutPlan {
    /// Name, by which rules refer to it.
    pub name: String,
    /// Coaches, from the head of the train.
    pub cars: Vec<CarPlan>,
}

/// One coach, or several alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarPlan {
    /// Label; `{n}` is the number within this entry, from 1.
    pub label: String,
    /// How many coaches alike.
    #[serde(default = "one")]
    pub count: u16,
    /// Class: `executive`, `business`, `economy` or any other word.
    pub class: String,
    /// Rows of seats.
    pub rows: u16,
    /// Number of the first row: 1 unless rows are counted on from another coach or cabin.
    #[serde(default = "one")]
    pub first_row: u16,
    /// Seats of a row from left to right, `-` is an aisle: `AB-CD`.
    pub columns: String,
    /// Seats that do not exist: `1A`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// What every seat of the coach offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<SeatAttribute>,
    /// What some of its seats offer besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<MarkPlan>,
}

/// Attributes of some rows and columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkPlan {
    /// `3` or `1-4`; absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<String>,
    /// Letters of the columns; absent: every column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<String>,
    /// What those seats offer.
    pub attributes: Vec<SeatAttribute>,
}

const fn one() -> u16 {
    1
}

/// A seat's place in its layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Index of its coach.
    pub car_no: u16,
    /// Index of its class in [`Layout::classes`].
    pub class_no: u16,
    /// Label in the coach: `5A`.
    pub label: String,
    /// Row, from 1.
    pub row: u16,
    /// Place in the row, from 1. An aisle takes a place too, so neighbours differ by exactly one.
    pub column: u16,
    /// What it offers, in order.
    pub attributes: Vec<SeatAttribute>,
}

/// A coach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Car {
    /// Label: `Executive 1`.
    pub label: String,
    /// Its class.
    pub travel_class: Arc<str>,
    /// Its seats' numbers.
    pub spots: Range<u16>,
}

/// The seats of a trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Key.
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// Coaches in order.
    pub cars: Vec<Car>,
    /// Seats; the index is the `spot_no`.
    pub spots: Vec<Spot>,
    /// Classes, in order of first appearance.
    pub classes: Vec<Arc<str>>,
}

impl Layout {
    /// Numbers the seats of a plan.
    pub fn build(id: Uuid, plan: &LayoutPlan) -> Result<Self, LayoutError> {
        let mut layout = Self { id, name: plan.name.clone(), cars: Vec::new(), spots: Vec::new(), classes: Vec::new() };
        for car in &plan.cars {
            for number in 1..=car.count {
                layout.add_car(car, number)?;
            }
        }
        if layout.spots.is_empty() { Err(LayoutError::Empty(plan.name.clone())) } else { Ok(layout) }
    }

    fn add_car(&mut self, plan: &CarPlan, number: u16) -> Result<(), LayoutError> {
        let label = plan.label.replace("{n}", &number.to_string());
        if self.cars.iter().any(|car| car.label == label) {
            return Err(LayoutError::DuplicateCar { layout: self.name.clone(), car: label });
        }
        let class_no = self.class_no(&plan.class);
        let (car_no, first) = (narrow(self.cars.len()), narrow(self.spots.len()));
        let marks = self.read_marks(plan)?;
        for row in (plan.first_row..=u16::MAX).take(usize::from(plan.rows)) {
            for (column, letter, edge) in self.columns(&plan.columns)? {
                let label = format!("{row}{letter}");
                if plan.skip.contains(&label) {
                    continue;
                }
                if self.spots.len() >= MAX_SPOTS {
                    return Err(LayoutError::TooLarge(self.name.clone()));
                }
                let attributes = attributes_of(&plan.attributes, edge, &marks, row, letter);
                self.spots.push(Spot { car_no, class_no, label, row, column, attributes });
            }
        }
        let travel_class = Arc::clone(&self.classes[usize::from(class_no)]);
        self.cars.push(Car { label, travel_class, spots: first..narrow(self.spots.len()) });
        Ok(())
    }

    fn class_no(&mut self, class: &str) -> u16 {
        let found = self.classes.iter().position(|known| known.as_ref() == class);
        narrow(found.unwrap_or_else(|| {
            self.classes.push(Arc::from(class));
            self.classes.len() - 1
        }))
    }

    /// Place, letter and position (window, aisle) of each seat of a row.
    fn columns(&self, text: &str) -> Result<Vec<(u16, char, Vec<SeatAttribute>)>, LayoutError> {
        let places: Vec<char> = text.chars().collect();
        let wrong = || LayoutError::Columns { layout: self.name.clone(), columns: text.to_owned() };
        let mut columns = Vec::with_capacity(places.len());
        for (at, &letter) in places.iter().enumerate() {
            if letter == '-' {
                continue;
            }
            if !letter.is_ascii_uppercase() || places[..at].contains(&letter) {
                return Err(wrong());
            }
            let mut edge = Vec::new();
            if at == 0 || at + 1 == places.len() {
                edge.push(SeatAttribute::Window);
            }
            if at.checked_sub(1).is_some_and(|left| places[left] == '-') || places.get(at + 1) == Some(&'-') {
                edge.push(SeatAttribute::Aisle);
            }
            columns.push((narrow(at + 1), letter, edge));
        }
        if columns.is_empty() { Err(wrong()) } else { Ok(columns) }
    }

    fn read_marks<'p>(&self, plan: &'p CarPlan) -> Result<Vec<Mark<'p>>, LayoutError> {
        let read = |mark: &'p MarkPlan| {
            let rows = match &mark.rows {
                None => 1..=u16::MAX,
                Some(text) => {
                    row_range(text).ok_or_else(|| LayoutError::MarkRows { layout: self.name.clone(), rows: text.clone() })?
                }
            };
            Ok(Mark { rows, columns: mark.columns.as_deref(), attributes: &mark.attributes })
        };
        plan.marks.iter().map(read).collect()
    }

    /// The seat with this number.
    pub fn spot(&self, spot_no: u16) -> Option<&Spot> {
        self.spots.get(usize::from(spot_no))
    }

    /// The coach of a seat.
    pub fn car_of(&self, spot: &Spot) -> Option<&Car> {
        self.cars.get(usize::from(spot.car_no))
    }

    /// How many seats there are.
    pub fn spot_count(&self) -> u16 {
        narrow(self.spots.len())
    }

    /// The number of a class; letters' case does not matter.
    pub fn class_named(&self, class: &str) -> Option<u16> {
        self.classes.iter().position(|known| known.eq_ignore_ascii_case(class)).map(narrow)
    }
}

struct Mark<'p> {
    rows: std::ops::RangeInclusive<u16>,
    columns: Option<&'p str>,
    attributes: &'p [SeatAttribute],
}

fn attributes_of(
    car: &[SeatAttribute],
    edge: Vec<SeatAttribute>,
    marks: &[Mark<'_>],
    row: u16,
    letter: char,
) -> Vec<SeatAttribute> {
    let mut all = edge;
    all.extend_from_slice(car);
    for mark in marks {
        if mark.rows.contains(&row) && mark.columns.is_none_or(|columns| columns.contains(letter)) {
            all.extend_from_slice(mark.attributes);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn row_range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// Counts here are bounded by [`MAX_SPOTS`].
fn narrow(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn car(label: &str, class: &str, rows: u16, columns: &str) -> CarPlan {
        CarPlan {
            label: label.into(),
            count: 1,
            class: class.into(),
            rows,
            first_row: 1,
            columns: columns.into(),
            skip: vec![],
            attributes: vec![],
            marks: vec![],
        }
    }

    fn build(cars: Vec<CarPlan>) -> Result<Layout, LayoutError> {
        Layout::build(Uuid::nil(), &LayoutPlan { name: "t".into(), cars })
    }

    #[test]
    fn seats_are_numbered_densely_over_the_cars() {
        let executive = CarPlan { count: 2, skip: vec!["1A".into()], ..car("Exec {n}", "executive", 2, "AB-CD") };
        let layout = build(vec![executive, car("Eco", "economy", 1, "A-B")]).unwrap();
        let labels: Vec<_> = layout.cars.iter().map(|car| (car.label.as_str(), car.spots.clone())).collect();
        assert_eq!(labels, [("Exec 1", 0..7), ("Exec 2", 7..14), ("Eco", 14..16)]);
        assert_eq!(layout.spot(0).unwrap().label, "1B");
        assert_eq!(layout.spot(16), None);
        assert_eq!(layout.class_named("ECONOMY"), Some(1));
    }

    #[test]
    fn windows_and_aisles_follow_from_the_columns() {
        use SeatAttribute::{Aisle, Power, Window};
        let layout = build(vec![CarPlan { attributes: vec![Power], ..car("1", "economy", 1, "ABC-D") }]).unwrap();
        let seen: Vec<_> = layout.spots.iter().map(|spot| (spot.column, spot.attributes.clone())).collect();
        assert_eq!(seen, [(1, vec![Window, Power]), (2, vec![Power]), (3, vec![Aisle, Power]), (5, vec![Window, Aisle, Power])]);
    }

    #[test]
    fn marks_add_attributes() {
        let mark = MarkPlan { rows: Some("2-3".into()), columns: Some("A".into()), attributes: vec![SeatAttribute::Table] };
        let layout = build(vec![CarPlan { marks: vec![mark], ..car("1", "economy", 3, "A-B") }]).unwrap();
        let tables: Vec<_> = layout
            .spots
            .iter()
            .filter(|spot| spot.attributes.contains(&SeatAttribute::Table))
            .map(|spot| spot.label.as_str())
            .collect();
        assert_eq!(tables, ["2A", "3A"]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(build(vec![]), Err(LayoutError::Empty("t".into())));
        assert!(matches!(build(vec![car("1", "x", 1, "AA")]), Err(LayoutError::Columns { .. })));
        assert!(matches!(build(vec![car("1", "x", 1, "--")]), Err(LayoutError::Columns { .. })));
        assert!(matches!(build(vec![car("1", "x", 9999, "AB")]), Err(LayoutError::TooLarge(_))));
        assert!(matches!(build(vec![car("1", "x", 1, "A"), car("1", "x", 1, "A")]), Err(LayoutError::DuplicateCar { .. })));
        let mark = MarkPlan { rows: Some("4-2".into()), columns: None, attributes: vec![] };
        assert!(matches!(build(vec![CarPlan { marks: vec![mark], ..car("1", "x", 1, "A") }]), Err(LayoutError::MarkRows { .. })));
    }
}
