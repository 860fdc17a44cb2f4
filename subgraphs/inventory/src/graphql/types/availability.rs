//! Live availability in the graph.

use std::sync::Arc;

use async_graphql::{Enum, ID, Object, SimpleObject};
use berth_kernel::graphql::BigInt;

use super::seat::SeatState;
use crate::availability::{Update, UpdateKind};

/// Whether an update replaces or amends what was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum AvailabilityKind {
    /// All seats of the trip. Forget what you knew.
    Snapshot,
    /// Only seats that changed. All others are as they were.
    Changes,
}

/// Seats of a trip and their states on the watched segment, at one version of the trip.
pub struct SeatAvailability(pub Arc<Update>);

/// Seats of a trip and their states on the watched segment, at one version of the trip.
#[Object]
impl SeatAvailability {
    /// The trip_ id.
    async fn trip_id(&self) -> ID {
        ID(self.0.trip_id.to_string())
    }

    /// The trip's version that this update leads to. Grows from update to update; numbers are left out when changes are told together
    /// or do not concern the segment. Pass the last one as sinceVersion to resume.
    async fn version(&self) -> BigInt {
        BigInt(self.0.version)
    }

    /// Whether seats is everything or only what changed.
    async fn kind(&self) -> AvailabilityKind {
        match self.0.kind {
            UpdateKind::Snapshot => AvailabilityKind::Snapshot,
            UpdateKind::Changes => AvailabilityKind::Changes,
        }
    }

    /// The seats with their states.
    async fn seats(&self) -> Vec<SeatChange> {
        let change =
            |(seat_id, state): &(Arc<str>, _)| SeatChange { seat_id: ID(seat_id.to_string()), state: SeatState::from(*state) };
        self.0.seats.iter().map(change).collect()
    }
}

/// A seat and its state.
#[derive(SimpleObject)]
pub struct SeatChange {
    /// The seat_ id, as in Trip.seatMap.
    seat_id: ID,
    /// State on the watched segment: SOLD before BLOCKED before HELD before AVAILABLE over its legs.
    state: SeatState,
}
