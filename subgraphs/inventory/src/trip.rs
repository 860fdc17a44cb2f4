//! A trip: a template of the timetable on one service day. Its stops, legs, times, seats and prices. Pure.

use std::{ops::Range, sync::Arc};

use berth_contracts::{Money, id::TripKey, peer::StopCopy};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use uuid::Uuid;

use crate::{
    calendar::{ServiceDays, date_of, day_start},
    fare::{Journey, Tariff},
    layout::{Car, Layout, Spot},
    station::{Operator, Station},
};

/// How a trip travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TravelMode {
    /// Trains, metros, trams: anything on rails or a rope.
    Rail,
    /// Ships.
    Ferry,
    /// Aircraft.
    Flight,
    /// Coaches and buses.
    Bus,
}

impl TravelMode {
    /// The mode of a GTFS `route_type`, basic or extended.
    pub const fn of_route_type(route_type: u16) -> Self {
        match route_type {
            4 | 1000..=1099 | 1200..=1299 => Self::Ferry,
            1100..=1199 => Self::Flight,
            3 | 11 | 200..=299 | 700..=899 | 1500..=1599 => Self::Bus,
            _ => Self::Rail,
        }
    }

    /// The word by which it is stored and named in layout files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rail => "rail",
            Self::Ferry => "ferry",
            Self::Flight => "flight",
            Self::Bus => "bus",
        }
    }

    /// Reads [`Self::word`].
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Rail, Self::Ferry, Self::Flight, Self::Bus].into_iter().find(|mode| mode.word() == word)
    }
}

/// A stop of a pattern. Times are seconds after the pattern's first departure.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Where.
    pub station: Arc<Station>,
    /// When it arrives.
    pub arrival_secs: i32,
    /// When it departs.
    pub departure_secs: i32,
    /// Whether passengers may board.
    pub pickup: bool,
    /// Whether passengers may leave.
    pub drop_off: bool,
    /// Metres from the first stop.
    pub distance_m: u32,
    /// Fare zone of the feed.
    pub fare_zone: Option<Arc<str>>,
}

/// Stops in order; immutable and shared by every template that runs them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Key.
    pub id: Uuid,
    /// The stops; leg `i` lies between stop `i` and stop `i + 1`.
    pub calls: Vec<Call>,
}

/// A trip of the timetable on whichever day.
#[derive(Debug)]
pub struct Template {
    /// Key: the part of a trip's id that names the template.
    pub id: Uuid,
    /// Name people know it by: `Argo Lawu 8`.
    pub name: String,
    /// How it travels.
    pub mode: TravelMode,
    /// Who runs it.
    pub operator: Arc<Operator>,
    /// The zone in which its times are counted.
    pub time_zone: Tz,
    /// Seconds of its first departure after the service day's beginning; may exceed a day.
    pub start_secs: i32,
    /// The days it runs.
    pub days: Arc<ServiceDays>,
    /// Its stops.
    pub pattern: Arc<Pattern>,
    /// Its seats.
    pub layout: Arc<Layout>,
    /// Its prices.
    pub tariff: Arc<Tariff>,
    /// No longer in the feed; kept because seats of it are sold. Not for sale.
    pub retired: bool,
}

/// Why two stops are no segment of a trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// A stop is not one of the trip.
    #[error("the stop is not one of this trip")]
    UnknownStop,
    /// The second stop does not come after the first.
    #[error("the trip reaches the second stop before the first")]
    Reversed,
    /// Nobody may board at the first stop.
    #[error("nobody can board at the first stop")]
    NoBoarding,
    /// Nobody may leave at the second stop.
    #[error("nobody can leave at the second stop")]
    NoAlighting,
}

/// A part of a trip, from one stop to a later one. Made by [`TripRef::segment`] only, so it is always valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segment {
    from: u16,
    to: u16,
}

impl Segment {
    /// Index of the stop where it begins.
    pub const fn from(self) -> u16 {
        self.from
    }

    /// Index of the stop where it ends.
    pub const fn to(self) -> u16 {
        self.to
    }

    /// Its legs.
    pub const fn legs(self) -> Range<u16> {
        self.from..self.to
    }
}

/// A trip that exists: the service runs on its day. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TripRef {
    template: Arc<Template>,
    day: u16,
}

impl TripRef {
    /// The trip, if the template's service runs on the day.
    pub fn new(template: &Arc<Template>, day: u16) -> Option<Self> {
        template.days.contains(day).then(|| Self { template: Arc::clone(template), day })
    }

    /// Key.
    pub fn key(&self) -> TripKey {
        TripKey { template: self.template.id, day: self.day }
    }

    /// What it shares with the trips of other days.
    pub fn template(&self) -> &Arc<Template> {
        &self.template
    }

    /// The service day.
    pub fn day(&self) -> u16 {
        self.day
    }

    /// The service date.
    pub fn service_date(&self) -> NaiveDate {
        date_of(self.day)
    }

    /// The stops in order.
    pub fn calls(&self) -> &[Call] {
        &self.template.pattern.calls
    }

    /// The stop with this index.
    pub fn call(&self, stop_index: u16) -> Option<&Call> {
        self.calls().get(usize::from(stop_index))
    }

    /// How many legs it has.
    pub fn leg_count(&self) -> u16 {
        u16::try_from(self.calls().len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The seats.
    pub fn layout(&self) -> &Layout {
        &self.template.layout
    }

    /// A seat with its coach.
    pub fn seat(&self, spot_no: u16) -> Option<(&Car, &Spot)> {
        let spot = self.layout().spot(spot_no)?;
        Some((self.layout().car_of(spot)?, spot))
    }

    /// The part between two stops, if it can be travelled.
    pub fn segment(&self, from: u16, to: u16) -> Result<Segment, SegmentError> {
        let (Some(first), Some(last)) = (self.call(from), self.call(to)) else { return Err(SegmentError::UnknownStop) };
        match (first.pickup, last.drop_off) {
            _ if from >= to => Err(SegmentError::Reversed),
            (false, _) => Err(SegmentError::NoBoarding),
            (_, false) => Err(SegmentError::NoAlighting),
            _ => Ok(Segment { from, to }),
        }
    }

    /// The whole trip, whether or not it can be boarded throughout.
    pub fn whole(&self) -> Segment {
        Segment { from: 0, to: self.leg_count() }
    }

    /// When it arrives at a stop.
    pub fn arrival(&self, stop_index: u16) -> Option<DateTime<Utc>> {
        self.call(stop_index).map(|call| self.instant(call.arrival_secs))
    }

    /// When it departs from a stop.
    pub fn departure(&self, stop_index: u16) -> Option<DateTime<Utc>> {
        self.call(stop_index).map(|call| self.instant(call.departure_secs))
    }

    fn instant(&self, secs: i32) -> DateTime<Utc> {
        let seconds = i64::from(self.template.start_secs) + i64::from(secs);
        day_start(self.day, self.template.time_zone) + TimeDelta::seconds(seconds)
    }

    /// The price of a seat of a class on a segment.
    pub fn class_price(&self, class: &str, segment: Segment) -> Money {
        let calls = &self.calls()[usize::from(segment.from)..=usize::from(segment.to)];
        let metre = |call: Option<&Call>| call.map_or(0, |call| call.distance_m);
        let journey = Journey {
            distance_m: metre(calls.last()).saturating_sub(metre(calls.first())),
            zones: calls.iter().map(|call| call.fare_zone.as_deref()).collect(),
        };
        self.template.tariff.price(class, &journey)
    }

    /// The price of a seat on a segment; `None`: no such seat.
    pub fn price(&self, spot_no: u16, segment: Segment) -> Option<Money> {
        self.seat(spot_no).map(|(car, _)| self.class_price(&car.travel_class, segment))
    }

    /// The stop as a booking keeps it: with the departure where a segment begins, the arrival where it ends.
    pub fn stop_copies(&self, segment: Segment) -> Option<(StopCopy, StopCopy)> {
        let copy = |index: u16, at: DateTime<Utc>| {
            let station = &self.call(index)?.station;
            Some(StopCopy {
                stop_index: index,
                station_name: station.name.clone(),
                at,
                local: at.with_timezone(&station.time_zone).naive_local(),
                time_zone: station.time_zone.name().to_owned(),
            })
        };
        Some((copy(segment.from, self.departure(segment.from)?)?, copy(segment.to, self.arrival(segment.to)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_types_map_to_modes() {
        let mode = TravelMode::of_route_type;
        assert!([0, 1, 2, 5, 7, 12, 100, 109, 400, 900, 9999].iter().all(|&code| mode(code) == TravelMode::Rail));
        assert!([3, 11, 200, 702, 800].iter().all(|&code| mode(code) == TravelMode::Bus));
        assert!([4, 1000, 1200].iter().all(|&code| mode(code) == TravelMode::Ferry));
        assert_eq!(mode(1100), TravelMode::Flight);
        assert_eq!(TravelMode::from_word("ferry"), Some(TravelMode::Ferry));
    }
}
