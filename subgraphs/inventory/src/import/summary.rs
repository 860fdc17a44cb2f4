//! What an import did, for a person to read.

use std::fmt;

/// Why a trip with sold or held seats was not changed as the feed wants, or was changed so that people must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// Its stops changed: the old ones stay.
    Stops,
    /// Its layout changed: the old one stays.
    Layout,
    /// It no longer runs on a day for which seats are sold: the old days stay.
    Days,
    /// It is no longer in the feed: it stays for those who have seats, and is not for sale.
    Removed,
    /// Its times changed: the new ones hold.
    Times,
}

/// A trip whose claims stand against a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Id of the trip in the feed.
    pub source_id: String,
    /// Its name.
    pub name: String,
    /// What changed.
    pub kind: ConflictKind,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = match self.kind {
            ConflictKind::Stops => "its stops changed; seats are sold, so the old stops stay",
            ConflictKind::Layout => "its layout changed; seats are sold, so the old layout stays",
            ConflictKind::Days => "it no longer runs on a day with sold seats; the old days stay",
            ConflictKind::Removed => "it is gone from the feed; seats are sold, so it stays, closed for sale",
            ConflictKind::Times => "its times changed; seats are sold, and the new times hold",
        };
        write!(f, "{} ({}): {told}", self.name, self.source_id)
    }
}

/// Counts and conflicts of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Name of the feed.
    pub feed: String,
    /// Its version, if it says one.
    pub feed_version: Option<String>,
    /// Number of the timetable now.
    pub timetable_version: i64,
    /// Stations.
    pub stations: u64,
    /// Routes.
    pub routes: u64,
    /// Trips of the feed.
    pub trips: u64,
    /// Departures that can be sold: trips, with those of frequencies counted one by one.
    pub templates: u64,
    /// Stop times.
    pub stop_times: u64,
    /// Different calendars.
    pub services: u64,
    /// First service date, as the timetable has it now.
    pub first_date: Option<chrono::NaiveDate>,
    /// Last service date.
    pub last_date: Option<chrono::NaiveDate>,
    /// Departures that are new.
    pub added: u64,
    /// Departures that changed.
    pub updated: u64,
    /// Departures that are as they were.
    pub unchanged: u64,
    /// Departures that are gone.
    pub removed: u64,
    /// Trips of the feed that nobody can ride.
    pub skipped: u64,
    /// Stations, operators and their names that are new or changed.
    pub places_changed: u64,
    /// Where claims stood against a change.
    pub conflicts: Vec<Conflict>,
}

impl Summary {
    /// Whether anything is different from before.
    pub fn changed(&self) -> bool {
        self.added + self.updated + self.removed + self.places_changed > 0
    }

    /// The counts as rows of a table.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let date = |date: Option<chrono::NaiveDate>| date.map_or_else(|| "-".to_owned(), |date| date.to_string());
        vec![
            ("feed", self.feed.clone()),
            ("version", self.feed_version.clone().unwrap_or_else(|| "-".to_owned())),
            ("runs from", date(self.first_date)),
            ("runs until", date(self.last_date)),
            ("stations", self.stations.to_string()),
            ("routes", self.routes.to_string()),
            ("trips", self.trips.to_string()),
            ("departures", self.templates.to_string()),
            ("stop times", self.stop_times.to_string()),
            ("calendars", self.services.to_string()),
            ("new", self.added.to_string()),
            ("updated", self.updated.to_string()),
            ("unchanged", self.unchanged.to_string()),
            ("removed", self.removed.to_string()),
            ("skipped", self.skipped.to_string()),
            ("conflicts", self.conflicts.len().to_string()),
        ]
    }
}
