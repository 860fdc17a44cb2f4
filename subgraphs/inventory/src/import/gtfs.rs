//! Reads a GTFS feed into memory as it is written, checking every value and reference. Nothing is decided here.

use std::collections::HashMap;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::{
    ImportError, Progress, ProgressFn, Stage,
    source::{Row, Source},
};
use crate::calendar::{day_of, weekly};

/// A feed as read.
#[derive(Debug, Default)]
pub struct Feed {
    /// Key that stays the same over the versions of a feed.
    pub source_key: String,
    /// Who publishes it.
    pub name: String,
    /// Its version, if it says one.
    pub version: Option<String>,
    /// Operators; never empty.
    pub agencies: Vec<Agency>,
    /// The zone in which all its times are counted.
    pub time_zone: Tz,
    /// Stops, platforms and stations.
    pub stops: Vec<Stop>,
    /// Routes by id.
    pub routes: HashMap<String, Route>,
    /// Service days by service id.
    pub services: HashMap<String, Vec<u16>>,
    /// Trips in the order of the file.
    pub trips: Vec<Trip>,
    /// How many rows `stop_times.txt` has.
    pub stop_time_count: u64,
    /// Fares of the feed.
    pub fares: Vec<Fare>,
}

/// A row of `agency.txt`.
#[derive(Debug)]
pub struct Agency {
    /// Id; empty when the feed has one agency and gives it none.
    pub id: String,
    /// Name.
    pub name: String,
}

/// A row of `stops.txt`.
#[derive(Debug)]
pub struct Stop {
    /// Id.
    pub id: String,
    /// Name; empty only for what nobody boards at.
    pub name: String,
    /// Public code.
    pub code: Option<String>,
    /// Latitude and longitude.
    pub position: Option<(f64, f64)>,
    /// 0 stop or platform, 1 station, 2 to 4 something nobody boards at.
    pub location_type: u8,
    /// The station it belongs to, as an index.
    pub parent: Option<usize>,
    /// Zone of its clocks, if it differs from the agency's.
    pub time_zone: Option<Tz>,
    /// Fare zone.
    pub fare_zone: Option<String>,
}

/// A row of `routes.txt`.
#[derive(Debug)]
pub struct Route {
    /// Index of its agency.
    pub agency: usize,
    /// Short name.
    pub short_name: Option<String>,
    /// Long name.
    pub long_name: Option<String>,
    /// GTFS `route_type`, basic or extended.
    pub route_type: u16,
}

/// A row of `trips.txt` with its stops and frequencies.
#[derive(Debug)]
pub struct Trip {
    /// Id.
    pub id: String,
    /// Route.
    pub route_id: String,
    /// Service.
    pub service_id: String,
    /// Name or number shown to people.
    pub short_name: Option<String>,
    /// Where it goes.
    pub headsign: Option<String>,
    /// Stops by sequence.
    pub stop_times: Vec<StopTime>,
    /// Start, end and headway in seconds.
    pub frequencies: Vec<(i32, i32, i32)>,
}

/// A row of `stop_times.txt`.
#[derive(Debug, Clone, PartialEq)]
pub struct StopTime {
    /// Line of the file.
    pub line: u64,
    /// Order in the trip.
    pub sequence: u32,
    /// Index of the stop.
    pub stop: usize,
    /// Arrival, if given.
    pub arrival: Option<i32>,
    /// Departure, if given.
    pub departure: Option<i32>,
    /// Whether passengers may board.
    pub pickup: bool,
    /// Whether passengers may leave.
    pub drop_off: bool,
    /// Distance along the shape, in a unit of the feed.
    pub distance: Option<f64>,
}

/// A fare with where it applies.
#[derive(Debug)]
pub struct Fare {
    /// Line of the file.
    pub line: u64,
    /// Price as written: `12.50`.
    pub price: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Agency it is of, as an index; absent: any.
    pub agency: Option<usize>,
    /// Where it applies; empty: everywhere.
    pub rules: Vec<FareRule>,
}

/// A row of `fare_rules.txt`.
#[derive(Debug, Default)]
pub struct FareRule {
    /// Route.
    pub route_id: Option<String>,
    /// Zone of the first stop.
    pub origin: Option<String>,
    /// Zone of the last stop.
    pub destination: Option<String>,
    /// A zone that is passed.
    pub contains: Option<String>,
}

/// Reads all files of a feed.
pub fn read(source: &mut Source, window: Option<(NaiveDate, NaiveDate)>, progress: &ProgressFn) -> Result<Feed, ImportError> {
    let mut feed = Feed::default();
    progress(Progress { stage: Stage::Read, done: 0, total: None });
    read_agencies(source, &mut feed)?;
    read_feed_info(source, &mut feed)?;
    let stops = read_stops(source, &mut feed)?;
    read_routes(source, &mut feed)?;
    read_calendar(source, &mut feed, window)?;
    read_calendar_dates(source, &mut feed)?;
    let trips = read_trips(source, &mut feed)?;
    read_stop_times(source, &mut feed, &stops, &trips, progress)?;
    read_frequencies(source, &mut feed, &trips)?;
    read_fares(source, &mut feed)?;
    Ok(feed)
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn zone(row: &Row<'_>, column: &'static str) -> Result<Option<Tz>, ImportError> {
    let read = |text: &str| text.parse().map_err(|_| row.wrong(column, text, "an IANA time zone like Asia/Jakarta"));
    row.text(column).map(read).transpose()
}

fn read_agencies(source: &mut Source, feed: &mut Feed) -> Result<(), ImportError> {
    let mut table = source.table("agency.txt")?;
    while let Some(row) = table.next_row()? {
        let time_zone = zone(&row, "agency_timezone")?.ok_or_else(|| row.wrong("agency_timezone", "", "an IANA time zone"))?;
        if feed.agencies.is_empty() {
            feed.time_zone = time_zone;
        }
        let (id, name) = (row.text("agency_id").unwrap_or_default().to_owned(), row.required("agency_name")?.to_owned());
        feed.agencies.push(Agency { id, name });
    }
    if feed.agencies.is_empty() { Err(ImportError::EmptyFile { file: "agency.txt" }) } else { Ok(()) }
}

fn read_feed_info(source: &mut Source, feed: &mut Feed) -> Result<(), ImportError> {
    let (mut feed_id, mut publisher) = (None, None);
    if let Some(mut table) = source.optional_table("feed_info.txt")?
        && let Some(row) = table.next_row()?
    {
        feed_id = owned(row.text("feed_id"));
        publisher = owned(row.text("feed_publisher_name"));
        feed.version = owned(row.text("feed_version"));
    }
    let agency = feed.agencies.iter().map(|agency| if agency.id.is_empty() { &agency.name } else { &agency.id }).min();
    let agency = agency.cloned().unwrap_or_default();
    // Without an id of its own, a feed is known by its publisher and the first of its agencies: two feeds of one
    // publisher stay apart, and a new version is recognised.
    feed.source_key = feed_id.unwrap_or_else(|| format!("{}/{agency}", publisher.as_deref().unwrap_or_default()));
    feed.name = publisher.unwrap_or_else(|| feed.agencies[0].name.clone());
    Ok(())
}

fn read_stops(source: &mut Source, feed: &mut Feed) -> Result<HashMap<String, usize>, ImportError> {
    let mut table = source.table("stops.txt")?;
    let mut by_id = HashMap::new();
    let mut parents = Vec::new();
    while let Some(row) = table.next_row()? {
        let id = row.required("stop_id")?.to_owned();
        if by_id.insert(id.clone(), feed.stops.len()).is_some() {
            return Err(row.wrong("stop_id", &id, "an id that no other stop has"));
        }
        let location_type = row.number("location_type")?.unwrap_or(0);
        let name = if location_type <= 1 { row.required("stop_name")? } else { row.text("stop_name").unwrap_or_default() };
        if let Some(parent) = row.text("parent_station") {
            parents.push((feed.stops.len(), parent.to_owned(), row.line()));
        }
        feed.stops.push(Stop {
            id,
            name: name.to_owned(),
            code: owned(row.text("stop_code")),
            position: position(&row)?,
            location_type,
            parent: None,
            time_zone: zone(&row, "stop_timezone")?,
            fare_zone: owned(row.text("zone_id")),
        });
    }
    for (stop, parent, line) in parents {
        let wrong = ImportError::Reference { file: "stops.txt", line, column: "parent_station", value: parent.clone() };
        feed.stops[stop].parent = Some(*by_id.get(&parent).ok_or(wrong)?);
    }
    Ok(by_id)
}

/// Both coordinates in range, or none. (0, 0) is how many feeds say that they do not know.
fn position(row: &Row<'_>) -> Result<Option<(f64, f64)>, ImportError> {
    let (Some(latitude), Some(longitude)) = (row.number::<f64>("stop_lat")?, row.number::<f64>("stop_lon")?) else {
        return Ok(None);
    };
    if !(-90.0..=90.0).contains(&latitude) {
        return Err(row.wrong("stop_lat", &latitude.to_string(), "degrees from -90 to 90"));
    }
    if !(-180.0..=180.0).contains(&longitude) {
        return Err(row.wrong("stop_lon", &longitude.to_string(), "degrees from -180 to 180"));
    }
    Ok((latitude != 0.0 || longitude != 0.0).then_some((latitude, longitude)))
}

fn read_routes(source: &mut Source, feed: &mut Feed) -> Result<(), ImportError> {
    let mut table = source.table("routes.txt")?;
    while let Some(row) = table.next_row()? {
        let id = row.required("route_id")?;
        let agency = agency_of(&row, &feed.agencies)?.unwrap_or(0);
        let (short_name, long_name) = (owned(row.text("route_short_name")), owned(row.text("route_long_name")));
        let route_type = row.number("route_type")?.unwrap_or(2);
        let route = Route { agency, short_name, long_name, route_type };
        if feed.routes.insert(id.to_owned(), route).is_some() {
            return Err(row.wrong("route_id", id, "an id that no other route has"));
        }
    }
    Ok(())
}

fn agency_of(row: &Row<'_>, agencies: &[Agency]) -> Result<Option<usize>, ImportError> {
    let Some(id) = row.text("agency_id") else { return Ok(None) };
    match agencies.iter().position(|agency| agency.id == id) {
        Some(found) => Ok(Some(found)),
        // One agency without an id, but routes that name it all the same.
        None if agencies.len() == 1 && agencies[0].id.is_empty() => Ok(Some(0)),
        None => Err(row.wrong("agency_id", id, "an id of agency.txt")),
    }
}

fn read_calendar(source: &mut Source, feed: &mut Feed, window: Option<(NaiveDate, NaiveDate)>) -> Result<(), ImportError> {
    const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let bounds = source.bounds().clone();
    let Some(mut table) = source.optional_table("calendar.txt")? else { return Ok(()) };
    let mut count = 0;
    while let Some(row) = table.next_row()? {
        let mut weekdays = 0;
        for (at, weekday) in WEEKDAYS.into_iter().enumerate() {
            weekdays |= u8::from(row.number::<u8>(weekday)?.unwrap_or(0) == 1) << at;
        }
        let (first, last) = match window {
            Some(window) => window,
            None => (row.date("start_date")?, row.date("end_date")?),
        };
        if last < first {
            return Err(row.wrong("end_date", row.text("end_date").unwrap_or_default(), "a date not before start_date"));
        }
        let days = weekly(first, last, weekdays);
        count += days.len() as u64;
        bounds.check_days(count)?;
        feed.services.entry(row.required("service_id")?.to_owned()).or_default().extend(days);
    }
    Ok(())
}

fn read_calendar_dates(source: &mut Source, feed: &mut Feed) -> Result<(), ImportError> {
    let Some(mut table) = source.optional_table("calendar_dates.txt")? else { return Ok(()) };
    let mut removed: HashMap<String, Vec<u16>> = HashMap::new();
    while let Some(row) = table.next_row()? {
        let service_id = row.required("service_id")?;
        let date = row.date("date")?;
        let day = day_of(date).ok_or_else(|| row.wrong("date", &date.to_string(), "a year from 1970 to 2149"))?;
        let changed = match row.number::<u8>("exception_type")? {
            Some(1) => &mut feed.services,
            Some(2) => &mut removed,
            _ => return Err(row.wrong("exception_type", row.text("exception_type").unwrap_or_default(), "1 or 2")),
        };
        match changed.get_mut(service_id) {
            Some(days) => days.push(day),
            None => drop(changed.insert(service_id.to_owned(), vec![day])),
        }
    }
    for (service_id, mut gone) in removed {
        gone.sort_unstable();
        let days = feed.services.entry(service_id).or_default();
        days.retain(|day| gone.binary_search(day).is_err());
    }
    Ok(())
}

fn read_trips(source: &mut Source, feed: &mut Feed) -> Result<HashMap<String, usize>, ImportError> {
    let mut table = source.table("trips.txt")?;
    let mut by_id = HashMap::new();
    while let Some(row) = table.next_row()? {
        let (id, route_id) = (row.required("trip_id")?, row.required("route_id")?);
        if !feed.routes.contains_key(route_id) {
            return Err(row.wrong("route_id", route_id, "an id of routes.txt"));
        }
        if by_id.insert(id.to_owned(), feed.trips.len()).is_some() {
            return Err(row.wrong("trip_id", id, "an id that no other trip has"));
        }
        feed.trips.push(Trip {
            id: id.to_owned(),
            route_id: route_id.to_owned(),
            service_id: row.required("service_id")?.to_owned(),
            short_name: owned(row.text("trip_short_name")),
            headsign: owned(row.text("trip_headsign")),
            stop_times: Vec::new(),
            frequencies: Vec::new(),
        });
    }
    Ok(by_id)
}

fn read_stop_times(
    source: &mut Source,
    feed: &mut Feed,
    stops: &HashMap<String, usize>,
    trips: &HashMap<String, usize>,
    progress: &ProgressFn,
) -> Result<(), ImportError> {
    let mut table = source.table("stop_times.txt")?;
    while let Some(row) = table.next_row()? {
        let trip_id = row.required("trip_id")?;
        let trip = *trips.get(trip_id).ok_or_else(|| row.wrong("trip_id", trip_id, "an id of trips.txt"))?;
        let stop_id = row.required("stop_id")?;
        let stop = *stops.get(stop_id).ok_or_else(|| row.wrong("stop_id", stop_id, "an id of stops.txt"))?;
        let sequence = row.number("stop_sequence")?.ok_or_else(|| row.wrong("stop_sequence", "", "a number"))?;
        feed.trips[trip].stop_times.push(StopTime {
            line: row.line(),
            sequence,
            stop,
            arrival: row.time("arrival_time")?,
            departure: row.time("departure_time")?,
            pickup: row.number::<u8>("pickup_type")? != Some(1),
            drop_off: row.number::<u8>("drop_off_type")? != Some(1),
            distance: row.number::<f64>("shape_dist_traveled")?.filter(|distance| distance.is_finite()),
        });
        feed.stop_time_count += 1;
        if feed.stop_time_count.is_multiple_of(4096) {
            progress(Progress { stage: Stage::Read, done: feed.stop_time_count, total: None });
        }
    }
    for trip in &mut feed.trips {
        trip.stop_times.sort_by_key(|time| time.sequence);
        if let Some(twice) = trip.stop_times.windows(2).find(|pair| pair[0].sequence == pair[1].sequence) {
            let value = twice[1].sequence.to_string();
            let (line, expected) = (twice[1].line, "a number that no other stop of the trip has");
            return Err(ImportError::Field { file: "stop_times.txt", line, column: "stop_sequence", value, expected });
        }
    }
    Ok(())
}

fn read_frequencies(source: &mut Source, feed: &mut Feed, trips: &HashMap<String, usize>) -> Result<(), ImportError> {
    let bounds = source.bounds().clone();
    let Some(mut table) = source.optional_table("frequencies.txt")? else { return Ok(()) };
    let mut departures = 0;
    while let Some(row) = table.next_row()? {
        let trip_id = row.required("trip_id")?;
        let trip = *trips.get(trip_id).ok_or_else(|| row.wrong("trip_id", trip_id, "an id of trips.txt"))?;
        let time = |column| row.time(column)?.ok_or_else(|| row.wrong(column, "", "a time like 25:05:00"));
        let headway = row.number("headway_secs")?.unwrap_or(0);
        // A headway of seconds would make a trip of every one of them.
        if headway < 10 {
            return Err(row.wrong("headway_secs", row.text("headway_secs").unwrap_or_default(), "at least 10 seconds"));
        }
        let (first, end) = (time("start_time")?, time("end_time")?);
        departures += u64::try_from(end.saturating_sub(first) / headway).unwrap_or(0) + 1;
        bounds.check_departures(departures)?;
        feed.trips[trip].frequencies.push((first, end, headway));
    }
    Ok(())
}

fn read_fares(source: &mut Source, feed: &mut Feed) -> Result<(), ImportError> {
    let mut by_id: HashMap<String, usize> = HashMap::new();
    if let Some(mut table) = source.optional_table("fare_attributes.txt")? {
        while let Some(row) = table.next_row()? {
            by_id.insert(row.required("fare_id")?.to_owned(), feed.fares.len());
            feed.fares.push(Fare {
                line: row.line(),
                price: row.required("price")?.to_owned(),
                currency: row.required("currency_type")?.to_owned(),
                agency: agency_of(&row, &feed.agencies)?,
                rules: Vec::new(),
            });
        }
    }
    let Some(mut table) = source.optional_table("fare_rules.txt")? else { return Ok(()) };
    while let Some(row) = table.next_row()? {
        let fare_id = row.required("fare_id")?;
        let fare = *by_id.get(fare_id).ok_or_else(|| row.wrong("fare_id", fare_id, "an id of fare_attributes.txt"))?;
        feed.fares[fare].rules.push(FareRule {
            route_id: owned(row.text("route_id")),
            origin: owned(row.text("origin_id")),
            destination: owned(row.text("destination_id")),
            contains: owned(row.text("contains_id")),
        });
    }
    Ok(())
}
