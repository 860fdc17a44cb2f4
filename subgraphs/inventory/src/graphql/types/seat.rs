//! Seat maps in the graph.

use std::sync::Arc;

use async_graphql::{Enum, ID, Object, Result};
use berth_kernel::graphql::{BigInt, Money};

use crate::{
    claim, layout,
    trip::{Segment, TripRef},
    trips,
};

/// State of a seat on the asked part of a trip.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "claim::SeatState")]
pub enum SeatState {
    /// Free on the whole part: it can be held.
    Available,
    /// Kept for somebody until a deadline on at least one leg of the part. It can become free again.
    Held,
    /// Out of sale on at least one leg of the part, by the operator's will.
    Blocked,
    /// Sold on at least one leg of the part.
    Sold,
}

/// What a seat offers. New values can be added: treat one you do not know as information to show or to ignore.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "layout::SeatAttribute")]
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
    /// In a zone for families.
    Family,
    /// Faces the direction of travel.
    Forward,
    /// Faces backward.
    Backward,
}

/// Every seat of a trip with its state between two stops, as of a version.
pub struct SeatMap(Arc<trips::SeatMap>);

impl From<trips::SeatMap> for SeatMap {
    fn from(map: trips::SeatMap) -> Self {
        Self(Arc::new(map))
    }
}

/// Every seat of a trip with its state between two stops, as of a version.
#[Object]
impl SeatMap {
    /// The trip, trip_...
    async fn trip_id(&self) -> ID {
        self.0.trip.key().encode().into()
    }

    /// Version of the trip's seats. Pass it to seatAvailability as sinceVersion to get every later change and no gap.
    async fn version(&self) -> BigInt {
        BigInt(self.0.version)
    }

    /// The cars in the order of the train. Decks of a ship and cabins of an aircraft are cars as well.
    async fn cars(&self) -> Vec<Car> {
        (0..).zip(&self.0.trip.layout().cars).map(|(car_no, _)| Car { map: Arc::clone(&self.0), car_no }).collect()
    }
}

/// A car of a trip, with its seats.
pub struct Car {
    map: Arc<trips::SeatMap>,
    car_no: u16,
}

impl Car {
    fn car(&self) -> Option<&layout::Car> {
        self.map.trip.layout().cars.get(usize::from(self.car_no))
    }
}

/// A car of a trip, with its seats.
#[Object]
impl Car {
    /// Opaque id, car_...
    async fn id(&self) -> ID {
        self.map.trip.key().car_id(self.car_no).into()
    }

    /// Label shown to people, such as Executive 3.
    async fn label(&self) -> &str {
        self.car().map_or("", |car| &car.label)
    }

    /// Class of all seats of the car, such as executive, business or economy. The same words as in Fare.travelClass.
    async fn travel_class(&self) -> &str {
        self.car().map_or("", |car| &car.travel_class)
    }

    /// The seats, row by row and from left to right.
    async fn seats(&self) -> Vec<Seat> {
        let spots = self.car().map_or(0..0, |car| car.spots.clone());
        let seat = |spot_no: u16| {
            let state = self.map.states.get(usize::from(spot_no)).copied().unwrap_or(claim::SeatState::Blocked);
            Seat { trip: self.map.trip.clone(), spot_no, segment: self.map.segment, state }
        };
        spots.map(seat).collect()
    }
}

/// A seat of a trip, with its state and price on the part of the trip that was asked for.
#[derive(Clone)]
pub struct Seat {
    /// The trip.
    pub trip: TripRef,
    /// Number of the seat in the trip's layout.
    pub spot_no: u16,
    /// The part of the trip that state and price are about.
    pub segment: Segment,
    /// State on that part.
    pub state: claim::SeatState,
}

impl Seat {
    fn spot(&self) -> Option<&layout::Spot> {
        self.trip.layout().spot(self.spot_no)
    }
}

/// A seat of a trip, with its state and price on the part of the trip that was asked for.
#[Object]
impl Seat {
    /// Opaque id, seat_... The same for every part of the trip; name it in placeHold.
    async fn id(&self) -> ID {
        self.trip.key().seat_id(self.spot_no).into()
    }

    /// Label in its car, such as 5A.
    async fn label(&self) -> &str {
        self.spot().map_or("", |spot| &spot.label)
    }

    /// Row in the car, from 1 at its head.
    async fn row(&self) -> i32 {
        self.spot().map_or(0, |spot| i32::from(spot.row))
    }

    /// Place in the row, from 1 at the left. An aisle takes a place too: seats are neighbours when they differ by one.
    async fn column(&self) -> i32 {
        self.spot().map_or(0, |spot| i32::from(spot.column))
    }

    /// What the seat offers.
    async fn attributes(&self) -> Vec<SeatAttribute> {
        self.spot().map_or_else(Vec::new, |spot| spot.attributes.iter().copied().map(SeatAttribute::from).collect())
    }

    /// State on the part of the trip that was asked for.
    async fn state(&self) -> SeatState {
        self.state.into()
    }

    /// Price of the seat for that part. Set by the server; what a hold costs is fixed when it is placed.
    async fn price(&self) -> Result<Money> {
        let price = self.trip.price(self.spot_no, self.segment);
        price.map(Money::from).ok_or_else(|| berth_kernel::graphql::internal(&"a seat outside its layout"))
    }
}
