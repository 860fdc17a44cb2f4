//! Search for trips in the graph.

use async_graphql::{ID, InputObject, Object, SimpleObject};
use berth_kernel::graphql::{Date, Money};

use super::trip::{TravelMode, Trip, TripStop};
use crate::trips;

/// What to look for.
#[derive(InputObject)]
pub struct SearchTripsInput {
    /// Station to board at, station_...
    pub from_station_id: ID,
    /// Station to leave at, station_... Another one than fromStationId.
    pub to_station_id: ID,
    /// Service date of the trips: the date on which their runs begin. A night train that reaches fromStationId after
    /// midnight is found by the date it set out on.
    pub date: Date,
    /// How many people travel, from 1 to 8. Options with fewer free seats are shown as well: compare seatsAvailable.
    #[graphql(default_with = "Some(1)")]
    pub passengers: Option<i32>,
    /// Only trips of this mode. Absent or null: all modes.
    pub mode: Option<TravelMode>,
}

/// A trip that goes from the one station to the other, with what is free of it now.
pub struct TripOption(pub trips::TripOption);

/// A trip that goes from the one station to the other, with what is free of it now.
#[Object]
impl TripOption {
    /// The trip.
    async fn trip(&self) -> Trip {
        Trip(self.0.trip.clone())
    }

    /// The stop to board at.
    async fn from(&self) -> TripStop {
        TripStop { trip: self.0.trip.clone(), index: self.0.segment.from() }
    }

    /// The stop to leave at.
    async fn to(&self) -> TripStop {
        TripStop { trip: self.0.trip.clone(), index: self.0.segment.to() }
    }

    /// Minutes from departure to arrival.
    async fn duration_minutes(&self) -> i32 {
        let (from, to) = (self.0.trip.departure(self.0.segment.from()), self.0.trip.arrival(self.0.segment.to()));
        let minutes = from.zip(to).map_or(0, |(from, to)| (to - from).num_minutes());
        i32::try_from(minutes).unwrap_or(i32::MAX)
    }

    /// One fare per class of the trip, in the order of its cars.
    async fn fares(&self) -> Vec<Fare> {
        self.0.fares.iter().map(|offer| Fare::new(&self.0, offer)).collect()
    }

    /// Seats, of all classes, that are free on every leg between the two stops.
    async fn seats_available(&self) -> i32 {
        i32::from(self.0.seats_available)
    }
}

/// What a seat of one class costs between two stops of a trip.
#[derive(SimpleObject)]
pub struct Fare {
    /// Opaque id, fare_... It names the class on this part of the trip.
    pub id: ID,
    /// Name shown to people, such as Executive.
    pub name: String,
    /// The class, as in Car.travelClass. Pass it to placeHold to get a seat of this class.
    pub travel_class: String,
    /// Price of one seat.
    pub price: Money,
    /// Seats of the class that are free on every leg between the two stops.
    pub seats_available: i32,
}

impl Fare {
    fn new(option: &trips::TripOption, offer: &trips::FareOffer) -> Self {
        let (from, to) = (option.segment.from(), option.segment.to());
        Self {
            id: option.trip.key().fare_id(from, to, offer.class_no).into(),
            name: offer.name.clone(),
            travel_class: offer.travel_class.clone(),
            price: offer.price.into(),
            seats_available: i32::from(offer.seats_available),
        }
    }
}
