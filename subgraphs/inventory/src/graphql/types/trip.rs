//! Trips and their stops in the graph.

use async_graphql::{Context, Enum, ID, Object, Result};
use berth_contracts::id::TripKey;
use berth_kernel::graphql::{Date, DateTime, LocalDateTime, TimeZone};
use chrono::Utc;

use super::{
    seat::SeatMap,
    station::{Operator, Station},
};
use crate::{
    error::Error,
    graphql::refused,
    trip::{self, Segment, SegmentError, TripRef},
    trips::Trips,
};

/// How a trip travels.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "trip::TravelMode")]
pub enum TravelMode {
    /// On rails: trains, metros, trams.
    Rail,
    /// By ship.
    Ferry,
    /// By air.
    Flight,
    /// By coach or bus.
    Bus,
}

/// A train, ship, flight or bus on one service date.
#[derive(Clone)]
pub struct Trip(pub TripRef);

#[Object]
impl Trip {
    /// Opaque id, trip_... It names the run of one service date.
    pub async fn id(&self) -> ID {
        self.0.key().encode().into()
    }

    /// Name or number people know the trip by, such as Argo Lawu 8.
    async fn name(&self) -> &str {
        &self.0.template().name
    }

    /// How it travels.
    async fn mode(&self) -> TravelMode {
        self.0.template().mode.into()
    }

    /// Who runs it.
    async fn operator(&self) -> Operator {
        Operator::from(&*self.0.template().operator)
    }

    /// The service date: the date on which the run begins in the operator's timetable. After midnight the run keeps
    /// it, so a stop can lie on a later calendar date.
    async fn service_date(&self) -> Date {
        Date(self.0.service_date())
    }

    /// Every stop, in order; at least two. A station can occur twice when the trip comes back to it.
    async fn stops(&self) -> Vec<TripStop> {
        (0..=self.0.leg_count()).map(|index| TripStop { trip: self.0.clone(), index }).collect()
    }

    /// Every seat, with its state and its price between two stops of this trip. Fails with `INVALID_ID` when an id is
    /// malformed, and with `INVALID_SEGMENT` when a stop belongs to another trip, the stops are the same or in the wrong
    /// order, or boarding or leaving is not possible there.
    async fn seat_map(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Stop where the journey begins, from stops of this trip.")] from_stop_id: ID,
        #[graphql(desc = "Stop where the journey ends: a later one of the same trip.")] to_stop_id: ID,
    ) -> Result<SeatMap> {
        let segment = segment(&self.0, &from_stop_id, &to_stop_id).map_err(refused)?;
        let map = ctx.data::<Trips>()?.seat_map(&self.0, segment).await.map_err(refused)?;
        Ok(SeatMap::from(map))
    }
}

/// The part of a trip between two stops given by their ids.
pub fn segment(trip: &TripRef, from: &str, to: &str) -> Result<Segment, Error> {
    let index = |name: &'static str, id: &str| {
        let (key, index) = TripKey::decode_stop(id).map_err(|_| Error::InvalidId(name))?;
        if key == trip.key() { Ok(index) } else { Err(Error::InvalidSegment(SegmentError::UnknownStop)) }
    };
    let (from, to) = (index("fromStopId", from)?, index("toStopId", to)?);
    Ok(trip.segment(from, to)?)
}

/// One stop of a trip. Times are given three ways: as an instant with the offset of the station, as the station's
/// clocks show it, and with the zone in which to read that.
#[derive(Clone)]
pub struct TripStop {
    /// The trip.
    pub trip: TripRef,
    /// Index of the stop in the trip, from 0. Must be one of the trip's.
    pub index: u16,
}

impl TripStop {
    fn zone(&self) -> chrono_tz::Tz {
        self.trip.call(self.index).map_or(chrono_tz::UTC, |call| call.station.time_zone)
    }

    fn arrives(&self) -> Option<chrono::DateTime<Utc>> {
        if self.index == 0 { None } else { self.trip.arrival(self.index) }
    }

    fn departs(&self) -> Option<chrono::DateTime<Utc>> {
        if self.index == self.trip.leg_count() { None } else { self.trip.departure(self.index) }
    }
}

#[Object]
impl TripStop {
    /// Opaque id, stop_... It names this stop of this trip.
    pub async fn id(&self) -> ID {
        self.trip.key().stop_id(self.index).into()
    }

    /// Place in the trip's stops, from 1.
    async fn sequence(&self) -> i32 {
        i32::from(self.index) + 1
    }

    /// The station.
    async fn station(&self) -> Result<Station> {
        let call = self.trip.call(self.index);
        call.map(|call| Station(call.station.clone())).ok_or_else(|| refused(SegmentError::UnknownStop.into()))
    }

    /// When it arrives, with the offset in force at the station. Null at the first stop.
    async fn arrival_at(&self) -> Option<DateTime> {
        self.arrives().map(|at| at.with_timezone(&self.zone()).fixed_offset())
    }

    /// When it departs, with the offset in force at the station. Null at the last stop.
    async fn departure_at(&self) -> Option<DateTime> {
        self.departs().map(|at| at.with_timezone(&self.zone()).fixed_offset())
    }

    /// When it arrives by the station's clocks, to be read in timeZone. Null at the first stop.
    async fn arrival_local(&self) -> Option<LocalDateTime> {
        self.arrives().map(|at| LocalDateTime(at.with_timezone(&self.zone()).naive_local()))
    }

    /// When it departs by the station's clocks, to be read in timeZone. Null at the last stop.
    async fn departure_local(&self) -> Option<LocalDateTime> {
        self.departs().map(|at| LocalDateTime(at.with_timezone(&self.zone()).naive_local()))
    }

    /// The zone of the station's clocks.
    async fn time_zone(&self) -> TimeZone {
        TimeZone(self.zone().name().to_owned())
    }
}
