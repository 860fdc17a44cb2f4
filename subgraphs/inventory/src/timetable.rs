//! The timetable in memory: everything of the catalogue that does not change between two imports. Immutable; a new
//! import makes a new one. Search, trip details, seat maps and the checks of holds read it; claims are never in it.

use std::{collections::HashMap, sync::Arc};

use berth_contracts::id::TripKey;
use uuid::Uuid;

use crate::{
    station::{Fit, Operator, Station, fold},
    trip::{Template, TravelMode, TripRef},
};

/// A template's call at a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CallAt {
    template: u32,
    call: u16,
}

/// A trip that goes from one station to another.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The trip.
    pub trip: TripRef,
    /// Index of the stop to board at.
    pub from: u16,
    /// Index of the stop to leave at.
    pub to: u16,
}

/// All stations, operators and trips.
#[derive(Debug, Default)]
pub struct Timetable {
    version: i64,
    stations: Vec<Arc<Station>>,
    operators: HashMap<Uuid, Arc<Operator>>,
    templates: Vec<Arc<Template>>,
    by_template: HashMap<Uuid, u32>,
    by_station: HashMap<Uuid, u32>,
    calls_at: HashMap<Uuid, Vec<CallAt>>,
    days: Option<(u16, u16)>,
}

impl Timetable {
    /// Indexes stations and templates.
    pub fn new(version: i64, mut stations: Vec<Arc<Station>>, templates: Vec<Arc<Template>>) -> Self {
        stations.sort_by(|a, b| (a.folded.name(), a.id).cmp(&(b.folded.name(), b.id)));
        let mut timetable = Self { version, stations, ..Self::default() };
        for (index, station) in (0..).zip(&timetable.stations) {
            timetable.by_station.insert(station.id, index);
        }
        for (index, template) in (0..).zip(&templates) {
            timetable.add(index, template);
        }
        timetable.templates = templates;
        timetable
    }

    fn add(&mut self, index: u32, template: &Arc<Template>) {
        self.by_template.insert(template.id, index);
        self.operators.entry(template.operator.id).or_insert_with(|| Arc::clone(&template.operator));
        if template.retired {
            return;
        }
        for (call_no, call) in (0..).zip(&template.pattern.calls) {
            self.calls_at.entry(call.station.id).or_default().push(CallAt { template: index, call: call_no });
        }
        if let Some((first, last)) = template.days.span() {
            let (least, most) = self.days.unwrap_or((first, last));
            self.days = Some((least.min(first), most.max(last)));
        }
    }

    /// The number of the import it was read after.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// First and last service day on which anything runs.
    pub fn days(&self) -> Option<(u16, u16)> {
        self.days
    }

    /// How many trips it has templates for, sold-out relics of older feeds included.
    pub fn template_count(&self) -> usize {
        self.templates.len()
    }

    /// Every template.
    pub fn templates(&self) -> &[Arc<Template>] {
        &self.templates
    }

    /// The template with this key.
    pub fn template(&self, id: Uuid) -> Option<&Arc<Template>> {
        self.by_template.get(&id).and_then(|&index| self.templates.get(index as usize))
    }

    /// The trip, if its template exists and runs on its day.
    pub fn trip(&self, key: TripKey) -> Option<TripRef> {
        TripRef::new(self.template(key.template)?, key.day)
    }

    /// The station with this key.
    pub fn station(&self, id: Uuid) -> Option<&Arc<Station>> {
        self.by_station.get(&id).and_then(|&index| self.stations.get(index as usize))
    }

    /// The operator with this key.
    pub fn operator(&self, id: Uuid) -> Option<&Arc<Operator>> {
        self.operators.get(&id)
    }

    /// All stations by name.
    pub fn stations(&self) -> &[Arc<Station>] {
        &self.stations
    }

    /// Stations that fit a search text, the best first; by name among equals. An empty text finds all.
    pub fn find_stations(&self, search: &str) -> Vec<&Arc<Station>> {
        let wanted = fold(search);
        if wanted.is_empty() {
            return if search.trim().is_empty() { self.stations.iter().collect() } else { Vec::new() };
        }
        let mut found: Vec<(Fit, &Arc<Station>)> =
            self.stations.iter().filter_map(|station| Some((station.folded.fit(&wanted)?, station))).collect();
        // Stable: stations are in the order of their names already.
        found.sort_by_key(|(fit, _)| *fit);
        found.into_iter().map(|(_, station)| station).collect()
    }

    /// The trips of a service day that can be boarded at one station and left at the other, by departure. A trip that
    /// calls twice at a station is offered once per shortest way.
    pub fn connections(&self, from: Uuid, to: Uuid, day: u16, mode: Option<TravelMode>) -> Vec<Connection> {
        let mut found = Vec::new();
        let calls = self.calls_at.get(&from).map_or(&[][..], Vec::as_slice);
        for at in calls {
            let Some(template) = self.templates.get(at.template as usize) else { continue };
            if mode.is_some_and(|mode| mode != template.mode) {
                continue;
            }
            let Some(trip) = TripRef::new(template, day) else { continue };
            if let Some(left_at) = shortest_way(&trip, at.call, from, to) {
                found.push(Connection { trip, from: at.call, to: left_at });
            }
        }
        found.sort_by_cached_key(|way| (way.trip.departure(way.from), way.trip.key(), way.from));
        found
    }
}

/// Where to leave after boarding at a call: the first call at the wanted station, unless the trip comes back to the
/// first station before.
fn shortest_way(trip: &TripRef, boarding: u16, from: Uuid, to: Uuid) -> Option<u16> {
    for (stop_no, call) in (0..).zip(trip.calls()).skip(usize::from(boarding) + 1) {
        if call.station.id == to && trip.segment(boarding, stop_no).is_ok() {
            return Some(stop_no);
        }
        if call.station.id == from && call.pickup {
            return None;
        }
    }
    None
}
