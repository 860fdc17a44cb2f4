//! Inventory: stations, trips and seats, and who holds them.
//!
//! * [`calendar`], [`station`], [`trip`], [`layout`], [`fare`]: the nouns of the catalogue and their pure rules
//! * [`timetable`]: the catalogue in memory, indexed; replaced as a whole after an import

pub mod calendar;
pub mod fare;
pub mod layout;
pub mod station;
pub mod timetable;
pub mod trip;
