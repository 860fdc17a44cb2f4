//! Subscriptions.

use async_graphql::{Context, ID, Result, Subscription as GraphSubscription};
use berth_contracts::{IdError, id::TripKey};
use berth_kernel::graphql::{BigInt, refuse};
use futures_util::{Stream, StreamExt};

use super::types::availability::SeatAvailability;
use crate::availability::{Availability, Watch, WatchError};

/// Subscriptions of inventory.
pub struct Subscription;

#[GraphSubscription]
impl Subscription {
    /// The seats of a trip, live: a SNAPSHOT first, then CHANGES as they happen, at most 20 updates a second. States are those of the
    /// segment between the two stops. After a lost connection pass the last version as sinceVersion: if it is not too old (1,000
    /// changes), the first update is CHANGES with what was missed. A client that reads too slowly gets a new SNAPSHOT. Fails
    /// with `INVALID_ID`, `NOT_FOUND` or `INVALID_SEGMENT`. Needs no signing in.
    async fn seat_availability(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The trip_ id.")] trip_id: ID,
        #[graphql(desc = "The stop_ id where the segment begins. Absent: the trip's first stop.")] from_stop_id: Option<ID>,
        #[graphql(desc = "The stop_ id where the segment ends. Absent: the trip's last stop.")] to_stop_id: Option<ID>,
        #[graphql(desc = "The last version you know. Absent, negative, too old or yet to come: begin with a SNAPSHOT.")]
        since_version: Option<BigInt>,
    ) -> Result<impl Stream<Item = Result<SeatAvailability>> + use<>> {
        let trip = TripKey::decode(&trip_id).map_err(|error| unreadable("tripId", error))?;
        let from_stop = from_stop_id.map(|id| stop(trip, "fromStopId", &id)).transpose()?;
        let to_stop = to_stop_id.map(|id| stop(trip, "toStopId", &id)).transpose()?;
        let watch = Watch { trip, from_stop, to_stop, since: since_version.map(|version| version.0) };
        let updates = ctx.data::<Availability>()?.watch(watch).await.map_err(|error| watch_error(&error))?;
        Ok(updates.map(|update| update.map(SeatAvailability).map_err(|error| watch_error(&error))))
    }
}

fn stop(trip: TripKey, field: &str, id: &ID) -> Result<u16> {
    let (owner, stop) = TripKey::decode_stop(id).map_err(|error| unreadable(field, error))?;
    if owner == trip { Ok(stop) } else { Err(refuse("INVALID_SEGMENT", format!("{field} is not a stop of this trip"))) }
}

fn unreadable(field: &str, error: IdError) -> async_graphql::Error {
    refuse("INVALID_ID", format!("{field}: {error}"))
}

fn watch_error(error: &WatchError) -> async_graphql::Error {
    match error {
        WatchError::NoTrip => refuse("NOT_FOUND", error.to_string()),
        WatchError::Segment(_) => refuse("INVALID_SEGMENT", error.to_string()),
        WatchError::Unavailable => berth_kernel::graphql::internal(error),
    }
}
