//! Finding trips, and the seats of one: the timetable from memory, claims from the database.

use berth_contracts::{Money, id::TripKey};
use berth_kernel::{clock::Clock, db::Db};
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::{
    calendar::{clamped_day_of, date_of},
    catalogue::Catalogue,
    claim::SeatState,
    error::{Error, MAX_PASSENGERS},
    store::occupancy::{self, Wanted},
    timetable::{Connection, Timetable},
    trip::{Segment, TravelMode, TripRef},
};

/// What a person looks for.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Station to board at.
    pub from: Uuid,
    /// Station to leave at.
    pub to: Uuid,
    /// Service date.
    pub date: NaiveDate,
    /// How many travel.
    pub passengers: i32,
    /// Only this mode.
    pub mode: Option<TravelMode>,
}

/// A trip that fits, with what is free of it.
#[derive(Debug, Clone)]
pub struct TripOption {
    /// The trip.
    pub trip: TripRef,
    /// The part that is travelled.
    pub segment: Segment,
    /// Free seats on the whole segment.
    pub seats_available: u16,
    /// Prices and free seats by class.
    pub fares: Vec<FareOffer>,
}

/// A class of a trip on a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FareOffer {
    /// Index of the class in the layout.
    pub class_no: u16,
    /// Name shown to people.
    pub name: String,
    /// The class.
    pub travel_class: String,
    /// Price of a seat.
    pub price: Money,
    /// Free seats of the class.
    pub seats_available: u16,
}

/// A page of options, each with its position, and how many options there are in all.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// One more than asked for, if there are more.
    pub options: Vec<(String, TripOption)>,
    /// All that fit.
    pub total: usize,
}

/// The seats of a trip on a segment.
#[derive(Debug, Clone)]
pub struct SeatMap {
    /// The trip.
    pub trip: TripRef,
    /// The part that is travelled.
    pub segment: Segment,
    /// Version of the trip's claims: changes with a greater number came later.
    pub version: i64,
    /// State of each seat, by its number.
    pub states: Vec<SeatState>,
}

/// Questions about trips.
#[derive(Clone)]
pub struct Trips {
    catalogue: Catalogue,
    db: Db,
    clock: Clock,
}

impl Trips {
    /// Answers from a catalogue and the claims of a database.
    pub fn new(catalogue: Catalogue, db: Db, clock: Clock) -> Self {
        Self { catalogue, db, clock }
    }

    /// The trip, if it exists.
    pub fn find(&self, key: TripKey) -> Option<TripRef> {
        self.catalogue.now().trip(key)
    }

    /// Trips of a service date between two stations that have not departed yet, by departure; at most `first` + 1 after
    /// a position.
    pub async fn search(&self, search: Search, first: usize, after: Option<&str>) -> Result<SearchPage, Error> {
        let found = self.connections(search)?;
        let total = found.len();
        let skipped = match after {
            None => 0,
            Some(after) => {
                let after = read_position(after).ok_or(Error::InvalidCursor)?;
                found.partition_point(|way| sort_key(way) <= after)
            }
        };
        let page: Vec<Connection> = found.into_iter().skip(skipped).take(first + 1).collect();
        Ok(SearchPage { options: self.offer(page).await?, total })
    }

    fn connections(&self, search: Search) -> Result<Vec<Connection>, Error> {
        if !(1..=MAX_PASSENGERS).contains(&search.passengers) {
            return Err(Error::InvalidPassengerCount);
        }
        let timetable = self.catalogue.now();
        timetable.station(search.from).ok_or(Error::UnknownStation("fromStationId"))?;
        timetable.station(search.to).ok_or(Error::UnknownStation("toStationId"))?;
        if search.from == search.to {
            return Err(Error::SameStation);
        }
        let day = day_in(&timetable, search.date)?;
        let mut found = timetable.connections(search.from, search.to, day, search.mode);
        let now = self.clock.now();
        found.retain(|way| way.trip.departure(way.from).is_some_and(|departure| departure > now));
        Ok(found)
    }

    async fn offer(&self, page: Vec<Connection>) -> Result<Vec<(String, TripOption)>, Error> {
        let mut ways = Vec::with_capacity(page.len());
        for way in page {
            let segment = way.trip.segment(way.from, way.to)?;
            ways.push((position(&way), way.trip, segment));
        }
        let wanted: Vec<Wanted> = ways.iter().map(|(_, trip, segment)| wanted(trip, *segment)).collect();
        let occupied = occupancy::occupied(self.db.read(), &wanted, self.clock.now().timestamp_millis()).await?;
        let options = ways.into_iter().zip(occupied).map(|((position, trip, segment), occupied)| {
            let taken: Vec<u16> = occupied.into_iter().map(|(spot_no, _)| spot_no).collect();
            (position, option(trip, segment, &taken))
        });
        Ok(options.collect())
    }

    /// Every seat of a trip with its state on a segment.
    pub async fn seat_map(&self, trip: &TripRef, segment: Segment) -> Result<SeatMap, Error> {
        // The version first: claims made in between are then told of once more, never missed.
        let version = occupancy::trip_version(self.db.read(), trip.key()).await?;
        let now_ms = self.clock.now().timestamp_millis();
        let occupied = occupancy::occupied(self.db.read(), &[wanted(trip, segment)], now_ms).await?;
        let mut states = vec![SeatState::Available; usize::from(trip.layout().spot_count())];
        for (spot_no, state) in occupied.into_iter().flatten() {
            if let Some(seat) = states.get_mut(usize::from(spot_no)) {
                *seat = state;
            }
        }
        Ok(SeatMap { trip: trip.clone(), segment, version, states })
    }
}

fn day_in(timetable: &Timetable, date: NaiveDate) -> Result<u16, Error> {
    let (first, last) = timetable.days().ok_or(Error::EmptyTimetable)?;
    if date < date_of(first) || date > date_of(last) {
        return Err(Error::DateOutsideTimetable { first: date_of(first), last: date_of(last) });
    }
    Ok(clamped_day_of(date))
}

fn wanted(trip: &TripRef, segment: Segment) -> Wanted {
    Wanted { trip: trip.key(), from_leg: segment.legs().start, to_leg: segment.legs().end }
}

fn option(trip: TripRef, segment: Segment, taken: &[u16]) -> TripOption {
    let layout = trip.layout();
    let mut free = vec![0_u16; layout.classes.len()];
    for spot in &layout.spots {
        free[usize::from(spot.class_no)] += 1;
    }
    for spot in taken.iter().filter_map(|&spot_no| layout.spot(spot_no)) {
        free[usize::from(spot.class_no)] -= 1;
    }
    let fares = (0..).zip(&layout.classes).map(|(class_no, class)| FareOffer {
        class_no,
        name: trip.template().tariff.fare_name(class).to_owned(),
        travel_class: class.to_string(),
        price: trip.class_price(class, segment),
        seats_available: free[usize::from(class_no)],
    });
    let fares = fares.collect();
    TripOption { segment, seats_available: free.iter().sum(), fares, trip }
}

type SortKey = (Option<DateTime<Utc>>, TripKey, u16);

fn sort_key(way: &Connection) -> SortKey {
    (way.trip.departure(way.from), way.trip.key(), way.from)
}

/// Where an option stands in the list: departure, trip and stop.
fn position(way: &Connection) -> String {
    let (departure, trip, from) = sort_key(way);
    format!("{}|{}|{from}", departure.map_or(0, |at| at.timestamp()), trip.encode())
}

fn read_position(text: &str) -> Option<SortKey> {
    let mut parts = text.split('|');
    let departure = DateTime::from_timestamp(parts.next()?.parse().ok()?, 0)?;
    let trip = TripKey::decode(parts.next()?).ok()?;
    let from = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((Some(departure), trip, from))
}
