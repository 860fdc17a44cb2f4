//! Broken on purpose: with the cargo feature `sabotage` and `BERTH_SABOTAGE=shuffle_events`, of a hundred events thirty are
//! delivered twice and thirty late, after younger ones. No consumer may mind.

use std::time::Duration;

use super::{Bus, Parcel};
use crate::sabotage;

/// Of a hundred.
const DOUBLED: u8 = 30;
const LATE: u8 = 30;

/// What is delivered now. What comes again or late is delivered by a task of its own.
pub(super) fn shuffled(bus: &Bus, parcels: &[Parcel]) -> Vec<Parcel> {
    if !sabotage::is_chosen("shuffle_events") {
        return parcels.to_vec();
    }
    let mut now = Vec::with_capacity(parcels.len());
    for parcel in parcels {
        // The last byte of an id is chance.
        let lot = parcel.envelope.id.as_bytes()[15] % 100;
        if lot < DOUBLED + LATE {
            later(bus.clone(), parcel.clone(), Duration::from_millis(20 + 15 * u64::from(lot)));
        }
        if lot < DOUBLED || lot >= DOUBLED + LATE {
            now.push(parcel.clone());
        }
    }
    now
}

fn later(bus: Bus, parcel: Parcel, delay: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        if let Err(error) = bus.hand_over(&[parcel]).await {
            tracing::warn!(error = %error, "bus.shuffled.lost");
        }
    });
}
