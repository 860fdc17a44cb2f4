//! What inventory does for the other services: the [`InventoryPeer`] of this process.

use async_trait::async_trait;
use berth_contracts::peer::{CommitOutcome, HeldSeat, HoldCopy, InventoryPeer, PeerError, PeerResult};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    hold::{HeldItem, Hold, Refusal},
    holds::{HoldError, Holds},
    sales::SaleError,
};

#[async_trait]
impl InventoryPeer for Holds {
    async fn hold(&self, user_id: Uuid, hold_id: Uuid) -> PeerResult<HoldCopy> {
        let hold = self.find(user_id, hold_id).await.map_err(|error| unavailable(&error))?;
        self.copy(&hold.ok_or(PeerError::NotFound)?)
    }

    async fn attach_hold(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<HoldCopy> {
        let hold = self.attach(hold_id, booking_id).await.map_err(sale_error)?;
        self.copy(&hold)
    }

    async fn extend_hold(&self, hold_id: Uuid, until: DateTime<Utc>) -> PeerResult<DateTime<Utc>> {
        self.extend(hold_id, until).await.map_err(sale_error)
    }

    async fn commit_hold(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<CommitOutcome> {
        self.commit(hold_id, booking_id).await.map_err(sale_error)
    }

    async fn release_hold(&self, hold_id: Uuid) -> PeerResult<()> {
        match Holds::give_back(self, hold_id).await {
            Ok(()) => Ok(()),
            Err(HoldError::Database(error)) => Err(unavailable(&error)),
            Err(HoldError::Refused(refusal)) => match *refusal {
                // Unknown, or sold already: nothing to give back.
                Refusal::NotFound { .. } | Refusal::InvalidTransition(_) => Ok(()),
                other => Err(PeerError::Unavailable(format!("{other:?}"))),
            },
        }
    }

    async fn give_back(&self, hold_id: Uuid, booking_id: Uuid) -> PeerResult<()> {
        self.unsell(hold_id, booking_id).await.map_err(sale_error)
    }
}

impl Holds {
    /// The hold as a peer copies it.
    fn copy(&self, hold: &Hold) -> PeerResult<HoldCopy> {
        let seats = hold.items.iter().map(|item| self.seat_copy(item).ok_or(PeerError::NotFound));
        Ok(HoldCopy {
            hold_id: hold.id,
            user_id: hold.user_id,
            state: hold.status(self.now()).peer(),
            expires_at: hold.expires_at,
            seats: seats.collect::<PeerResult<_>>()?,
        })
    }

    fn seat_copy(&self, item: &HeldItem) -> Option<HeldSeat> {
        let trip = self.trip(item.trip)?;
        let segment = trip.segment(item.from_stop, item.to_stop).ok()?;
        let (from, to) = trip.stop_copies(segment)?;
        let (car, spot) = trip.seat(item.spot_no)?;
        Some(HeldSeat {
            held_seat_id: item.id,
            trip: item.trip,
            trip_name: trip.template().name.clone(),
            service_date: trip.service_date(),
            from,
            to,
            spot_no: item.spot_no,
            car: car.label.clone(),
            seat: spot.label.clone(),
            travel_class: car.travel_class.to_string(),
            price: item.price,
        })
    }
}

fn sale_error(error: SaleError) -> PeerError {
    match error {
        SaleError::NotFound | SaleError::Gone => PeerError::NotFound,
        SaleError::Database(error) => unavailable(&error),
    }
}

fn unavailable(error: &DbErr) -> PeerError {
    PeerError::Unavailable(error.to_string())
}
