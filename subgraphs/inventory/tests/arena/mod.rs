//! One train of 20 seats over 5 legs, and people who want them.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::{ops::Range, sync::Arc};

use berth_contracts::peer::InventoryPeer;
use berth_inventory::{
    InventoryConfig,
    claim::SeatState,
    hold::{Hold, Refusal, SeatRequest, Selection},
    holds::{HoldError, Holds, PlaceHold},
    trip::TripRef,
};
use uuid::Uuid;

use crate::world::{Files, World, small_feed_with};

/// Seats of the train, in rows of two and two.
pub const SEATS: u16 = 20;
/// Legs of the train.
pub const LEGS: u16 = 5;

const LAYOUT: &str = "[[layout]]\nname = 'arena'\n[[layout.cars]]\nlabel = '1'\nclass = 'economy'\nrows = 5\ncolumns = 'AB-CD'\n\
                      [[rule]]\nlayout = 'arena'\n";

/// The train, in a world of its own.
pub struct Arena {
    pub world: World,
    pub trip: TripRef,
}

impl Arena {
    /// A morning before the train leaves.
    pub async fn open() -> Self {
        Self::with(InventoryConfig::default()).await
    }

    pub async fn with(config: InventoryConfig) -> Self {
        let world = World::with("2026-12-09T20:00:00Z", config).await;
        world.import(&feed()).await.unwrap();
        let trip = world.trip("Express 1", "2026-12-10");
        assert_eq!((trip.layout().spot_count(), trip.leg_count()), (SEATS, LEGS));
        Self { world, trip }
    }

    /// Another process over the same database.
    pub async fn beside(&self) -> Self {
        self.beside_with(InventoryConfig::default()).await
    }

    pub async fn beside_with(&self, config: InventoryConfig) -> Self {
        let world = self.world.beside(config).await;
        let trip = world.trip("Express 1", "2026-12-10");
        Self { world, trip }
    }

    pub fn holds(&self) -> &Holds {
        self.world.inventory.holds()
    }

    pub fn peer(&self) -> Arc<dyn InventoryPeer> {
        self.world.inventory.peer()
    }

    pub fn user(&self) -> Uuid {
        self.world.clock.new_key()
    }

    pub fn request(&self, seats: &[u16], legs: Range<u16>) -> SeatRequest {
        let select = Selection::Exact(seats.iter().map(|&spot_no| (self.trip.key(), spot_no)).collect());
        SeatRequest { trip: self.trip.key(), from_stop: legs.start, to_stop: legs.end, select }
    }

    /// From the fourth stop to the second.
    pub fn reversed(&self, seats: &[u16]) -> SeatRequest {
        SeatRequest { from_stop: 3, to_stop: 1, ..self.request(seats, 0..1) }
    }

    pub fn best(&self, count: i32, legs: Range<u16>) -> SeatRequest {
        let select = Selection::Best { count, travel_class: None };
        SeatRequest { trip: self.trip.key(), from_stop: legs.start, to_stop: legs.end, select }
    }

    /// Places with a key of its own.
    pub async fn place(&self, user: Uuid, requests: Vec<SeatRequest>) -> Result<Hold, Refusal> {
        let key = self.world.clock.new_key().to_string();
        self.place_as(user, requests, &key).await
    }

    pub async fn place_as(&self, user: Uuid, requests: Vec<SeatRequest>, key: &str) -> Result<Hold, Refusal> {
        let command = PlaceHold { requests, idempotency_key: key.to_owned() };
        self.holds().place(user, command).await.map_err(refusal)
    }

    /// Holds seats for somebody new.
    pub async fn hold(&self, seats: &[u16], legs: Range<u16>) -> Result<Hold, Refusal> {
        self.place(self.user(), vec![self.request(seats, legs)]).await
    }

    /// State of every seat on one leg.
    pub async fn leg(&self, leg: u16) -> Vec<SeatState> {
        let board = self.holds().board(&self.trip).await.unwrap();
        let now_ms = self.world.clock.now().timestamp_millis();
        (0..SEATS).map(|spot_no| board.state(spot_no, &(leg..leg + 1), now_ms)).collect()
    }

    pub async fn state(&self, spot_no: u16, legs: Range<u16>) -> SeatState {
        let board = self.holds().board(&self.trip).await.unwrap();
        board.state(spot_no, &legs, self.world.clock.now().timestamp_millis())
    }

    pub async fn version(&self) -> i64 {
        self.holds().board(&self.trip).await.unwrap().version()
    }
}

/// What was refused; a fault of the database ends the test.
pub fn refusal(error: HoldError) -> Refusal {
    match error {
        HoldError::Refused(refusal) => *refusal,
        HoldError::Database(error) => panic!("the database failed: {error}"),
    }
}

/// The taken seats of a refusal.
pub fn lost(refusal: &Refusal) -> Vec<u16> {
    match refusal {
        Refusal::SeatsUnavailable(lost) => lost.iter().flat_map(|lost| &lost.seats).map(|(spot_no, _)| *spot_no).collect(),
        other => panic!("not about seats: {other:?}"),
    }
}

fn feed() -> Files<'static> {
    let stops = "stop_id,stop_name,stop_lat,stop_lon\nA,Alpha,-6.0,106.0\nB,Beta,-6.0,107.0\nC,Gamma,-6.0,108.0\n\
                 D,Delta,-6.0,109.0\nE,Epsilon,-6.0,110.0\nF,Zeta,-6.0,111.0\n";
    let times = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\nT1,08:00:00,08:00:00,A,1\nT1,09:00:00,09:05:00,B,2\n\
                 T1,10:00:00,10:05:00,C,3\nT1,11:00:00,11:05:00,D,4\nT1,12:00:00,12:05:00,E,5\nT1,13:00:00,13:00:00,F,6\n";
    small_feed_with(&[("stops.txt", stops), ("stop_times.txt", times), ("berth.toml", LAYOUT)])
}
