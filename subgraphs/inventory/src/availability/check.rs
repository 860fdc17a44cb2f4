//! Compares what the feeds show with the versions in the database.

use std::{sync::Arc, time::Duration};

use berth_contracts::id::TripKey;

use super::{Message, Shared};
use crate::store;

/// How often the database is asked whether a feed is behind.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Trips of one question to the database.
const TRIPS_AT_ONCE: usize = 500;

/// Tells every feed where its trip stands, again and again.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.deps.background.stopped() => return,
            () = tokio::time::sleep(CHECK_EVERY) => {}
        }
        let trips: Vec<TripKey> = shared.feeds.iter().map(|feed| *feed.key()).collect();
        for trips in trips.chunks(TRIPS_AT_ONCE) {
            match store::occupancy::trip_versions(shared.deps.db.read(), trips).await {
                Ok(versions) => versions.into_iter().for_each(|(trip, version)| {
                    if let Some(feed) = shared.feeds.get(&trip) {
                        let _ending = feed.send(Message::Stands(version));
                    }
                }),
                // What was read before is still told; the next look may succeed.
                Err(error) => tracing::warn!(error = %error, "availability.check.failed"),
            }
        }
    }
}
