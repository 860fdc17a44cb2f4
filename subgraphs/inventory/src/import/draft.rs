//! A feed as the rows that the catalogue should have: equal parts once, layouts and fares chosen, days moved.

use std::{collections::HashMap, hash::Hash};

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::{
    ImportError, ImportOptions, Progress, ProgressFn, Stage,
    gtfs::{self, Feed, Route, Trip},
    layouts::{LayoutBook, Subject, with_feed_fares},
    schedule::{self, PlannedCall},
    source::Source,
};
use crate::{
    calendar::{ServiceDays, clamped_day_of, whole_week_shift},
    fare::Tariff,
    layout::LayoutPlan,
    trip::TravelMode,
};

/// What the catalogue should hold of a feed.
#[derive(Debug)]
pub struct Draft {
    /// Key of the feed over its versions.
    pub source_key: String,
    /// Who publishes it.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// The zone of its times.
    pub time_zone: Tz,
    /// Operators: id in the feed and name.
    pub operators: Vec<(String, String)>,
    /// Stations.
    pub stations: Vec<DraftStation>,
    /// Stop patterns; stations by index.
    pub patterns: Vec<Vec<PlannedCall>>,
    /// Days of service.
    pub calendars: Vec<ServiceDays>,
    /// Layouts.
    pub layouts: Vec<LayoutPlan>,
    /// Fares.
    pub tariffs: Vec<Tariff>,
    /// Trips.
    pub templates: Vec<DraftTemplate>,
    /// Routes of the feed.
    pub route_count: u64,
    /// Trips of the feed.
    pub trip_count: u64,
    /// Stop times of the feed.
    pub stop_time_count: u64,
    /// Trips nobody can ride.
    pub skipped: u64,
}

/// A station of the feed.
#[derive(Debug)]
pub struct DraftStation {
    /// Id in the feed.
    pub source_id: String,
    /// Name.
    pub name: String,
    /// Public code.
    pub code: Option<String>,
    /// Latitude and longitude.
    pub position: Option<(f64, f64)>,
    /// Zone of its clocks.
    pub time_zone: Tz,
}

/// A trip of the feed; parts by index.
#[derive(Debug)]
pub struct DraftTemplate {
    /// Id in the feed.
    pub source_id: String,
    /// Start of this departure of a frequency; -1 without frequency.
    pub frequency_secs: i32,
    /// Name.
    pub name: String,
    /// Mode.
    pub mode: TravelMode,
    /// Operator.
    pub operator: usize,
    /// First departure.
    pub start_secs: i32,
    /// Days.
    pub calendar: usize,
    /// Stops.
    pub pattern: usize,
    /// Seats.
    pub layout: usize,
    /// Prices.
    pub tariff: usize,
}

/// Equal things once, in order of first appearance.
struct Distinct<K, V> {
    index: HashMap<K, usize>,
    values: Vec<V>,
}

impl<K: Hash + Eq, V> Distinct<K, V> {
    fn new() -> Self {
        Self { index: HashMap::new(), values: Vec::new() }
    }

    fn add(&mut self, key: K, value: impl FnOnce() -> V) -> usize {
        *self.index.entry(key).or_insert_with(|| {
            self.values.push(value());
            self.values.len() - 1
        })
    }
}

/// Reads a feed and drafts its rows.
pub fn read(mut source: Source, options: &ImportOptions, progress: &ProgressFn) -> Result<Draft, ImportError> {
    let own = match &options.layouts {
        Some(text) => Some(text.clone()),
        None => source.text("berth.toml")?,
    };
    let book = LayoutBook::read(own.as_deref())?;
    let feed = gtfs::read(&mut source, options.window, progress)?;
    Drafting::new(&feed, &book, options.start_date).draft(progress)
}

struct Drafting<'f> {
    feed: &'f Feed,
    book: &'f LayoutBook,
    shift: i32,
    stations: Vec<usize>,
    station_at: HashMap<usize, usize>,
    patterns: Distinct<Vec<PlannedCall>, Vec<PlannedCall>>,
    calendars: Distinct<ServiceDays, ServiceDays>,
    by_service: HashMap<&'f str, usize>,
    layouts: Distinct<String, LayoutPlan>,
    tariffs: Distinct<(String, &'f str), Tariff>,
    templates: Vec<DraftTemplate>,
    skipped: u64,
}

impl<'f> Drafting<'f> {
    fn new(feed: &'f Feed, book: &'f LayoutBook, start_date: Option<NaiveDate>) -> Self {
        let used = feed.trips.iter().filter_map(|trip| feed.services.get(&trip.service_id));
        let first = used.flatten().min().copied();
        let shift = start_date.zip(first).map_or(0, |(start, first)| whole_week_shift(first, clamped_day_of(start)));
        let mut drafting = Self {
            feed,
            book,
            shift,
            stations: Vec::new(),
            station_at: HashMap::new(),
            patterns: Distinct::new(),
            calendars: Distinct::new(),
            by_service: HashMap::new(),
            layouts: Distinct::new(),
            tariffs: Distinct::new(),
            templates: Vec::new(),
            skipped: 0,
        };
        drafting.choose_stations();
        drafting
    }

    /// Stations, and stops that are no part of one.
    fn choose_stations(&mut self) {
        for (at, stop) in self.feed.stops.iter().enumerate() {
            if stop.location_type <= 1 && schedule::station_of(self.feed, at) == at {
                self.station_at.insert(at, self.stations.len());
                self.stations.push(at);
            }
        }
    }

    fn draft(mut self, progress: &ProgressFn) -> Result<Draft, ImportError> {
        let total = u64::try_from(self.feed.trips.len()).ok();
        for (done, trip) in (0..).zip(&self.feed.trips) {
            if done % 256 == 0 {
                progress(Progress { stage: Stage::Plan, done, total });
            }
            self.add_trip(trip)?;
        }
        if self.templates.is_empty() { Err(ImportError::NoTrips) } else { Ok(self.finish()) }
    }

    fn add_trip(&mut self, trip: &'f Trip) -> Result<(), ImportError> {
        let planned = if trip.stop_times.is_empty() { None } else { schedule::plan(self.feed, trip)? };
        let (Some((start_secs, calls)), Some(route)) = (planned, self.feed.routes.get(&trip.route_id)) else {
            self.skipped += 1;
            return Ok(());
        };
        let calls = self.with_station_numbers(calls);
        let pattern = self.patterns.add(calls.clone(), || calls);
        let (layout, tariff) = self.choose(trip, route)?;
        let mut template = DraftTemplate {
            source_id: trip.id.clone(),
            frequency_secs: -1,
            name: name_of(trip, route),
            mode: TravelMode::of_route_type(route.route_type),
            operator: route.agency,
            start_secs,
            calendar: self.calendar(&trip.service_id),
            pattern,
            layout,
            tariff,
        };
        if trip.frequencies.is_empty() {
            self.templates.push(template);
            return Ok(());
        }
        for start in schedule::departures(trip) {
            (template.frequency_secs, template.start_secs) = (start, start);
            self.templates.push(template.copy());
        }
        Ok(())
    }

    fn with_station_numbers(&mut self, mut calls: Vec<PlannedCall>) -> Vec<PlannedCall> {
        for call in &mut calls {
            let stations = &mut self.stations;
            // A call at something that is no station (an entrance) makes it one.
            call.station = *self.station_at.entry(call.station).or_insert_with_key(|&stop| {
                stations.push(stop);
                stations.len() - 1
            });
        }
        calls
    }

    fn calendar(&mut self, service_id: &'f str) -> usize {
        let Self { feed, shift, calendars, by_service, .. } = self;
        *by_service.entry(service_id).or_insert_with(|| {
            let days = feed.services.get(service_id).cloned().unwrap_or_default();
            let days = ServiceDays::from_days(days).shifted(*shift);
            calendars.add(days.clone(), || days)
        })
    }

    fn choose(&mut self, trip: &'f Trip, route: &'f Route) -> Result<(usize, usize), ImportError> {
        let agency = &self.feed.agencies[route.agency];
        let subject = Subject {
            operator: [&agency.id, &agency.name],
            mode: TravelMode::of_route_type(route.route_type),
            route_type: route.route_type,
            route: [
                &trip.route_id,
                route.short_name.as_deref().unwrap_or_default(),
                route.long_name.as_deref().unwrap_or_default(),
            ],
            train: [&trip.id, trip.short_name.as_deref().unwrap_or_default()],
            time_zone: self.feed.time_zone.name(),
        };
        let plan = self.book.layout(&subject)?;
        let layout = self.layouts.add(plan.name.clone(), || plan.clone());
        let tariff = self.book.tariff(&subject)?;
        let route_id = if self.feed.fares.is_empty() { "" } else { trip.route_id.as_str() };
        let key = (tariff.name.clone(), route_id);
        if let Some(&known) = self.tariffs.index.get(&key) {
            return Ok((layout, known));
        }
        let tariff = with_feed_fares(tariff, self.feed, &trip.route_id)?;
        Ok((layout, self.tariffs.add(key, || tariff)))
    }

    fn finish(self) -> Draft {
        let feed = self.feed;
        let station = |&stop: &usize| {
            let at = &feed.stops[stop];
            DraftStation {
                source_id: at.id.clone(),
                name: if at.name.is_empty() { at.id.clone() } else { at.name.clone() },
                code: at.code.clone(),
                position: at.position,
                time_zone: at.time_zone.unwrap_or(feed.time_zone),
            }
        };
        Draft {
            source_key: feed.source_key.clone(),
            name: feed.name.clone(),
            version: feed.version.clone(),
            time_zone: feed.time_zone,
            operators: feed.agencies.iter().map(|agency| (agency.id.clone(), agency.name.clone())).collect(),
            stations: self.stations.iter().map(station).collect(),
            patterns: self.patterns.values,
            calendars: self.calendars.values,
            layouts: self.layouts.values,
            tariffs: self.tariffs.values,
            templates: self.templates,
            route_count: feed.routes.len() as u64,
            trip_count: feed.trips.len() as u64,
            stop_time_count: feed.stop_time_count,
            skipped: self.skipped,
        }
    }
}

impl DraftTemplate {
    fn copy(&self) -> Self {
        Self { source_id: self.source_id.clone(), name: self.name.clone(), ..*self }
    }
}

/// `IC 114 Cracovia`; a bare number gets the route's name before it; without either, where it goes.
fn name_of(trip: &Trip, route: &Route) -> String {
    let line = route.short_name.as_deref().or(route.long_name.as_deref());
    match (trip.short_name.as_deref(), line) {
        (Some(number), Some(_)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let line = route.long_name.as_deref().or(line).unwrap_or_default();
            format!("{line} {number}")
        }
        (Some(name), _) => name.to_owned(),
        (None, Some(line)) => match trip.headsign.as_deref() {
            Some(headsign) if !line.contains(headsign) => format!("{line} {headsign}"),
            _ => line.to_owned(),
        },
        (None, None) => trip.headsign.clone().unwrap_or_else(|| trip.id.clone()),
    }
}
