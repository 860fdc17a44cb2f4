//! The bus of a single process.

use std::{sync::Arc, time::Duration};

use berth_contracts::event::Envelope;
use parking_lot::RwLock;
use sea_orm::DbErr;
use tokio::sync::broadcast;

use super::{Consumer, LIVE_CAPACITY, News, Parcel, give, wake::Wakes};
use crate::dead;

const ATTEMPTS: u32 = 5;

/// The in-process bus.
pub struct LocalBus {
    pub(super) live: broadcast::Sender<News>,
    pub(super) wakes: Arc<Wakes>,
    consumers: RwLock<Vec<Arc<dyn Consumer>>>,
}

impl LocalBus {
    pub(super) fn new() -> Self {
        let (live, _) = broadcast::channel(LIVE_CAPACITY);
        Self { live, wakes: Arc::default(), consumers: RwLock::default() }
    }

    pub(super) fn register(&self, consumer: Arc<dyn Consumer>) {
        self.consumers.write().push(consumer);
    }

    /// Every consumer has done each event, or has buried it, when this is `Ok`.
    pub(super) async fn deliver_all(&self, parcels: &[Parcel]) -> Result<(), DbErr> {
        for parcel in parcels {
            // Nobody listening is no failure.
            let _listeners = self.live.send(News::Event(Arc::clone(&parcel.envelope)));
            let kind = parcel.envelope.event.kind();
            let consumers: Vec<_> =
                self.consumers.read().iter().filter(|consumer| consumer.kinds().contains(&kind)).cloned().collect();
            for consumer in consumers {
                match hand_over(consumer.as_ref(), &parcel.envelope).await {
                    Ok(()) => {}
                    // Its database is broken, and heals: the event waits in the outbox as long as that takes.
                    Err(Failure { reason, broken: true }) => return Err(DbErr::Custom(reason)),
                    Err(Failure { reason, broken: false }) => {
                        dead::bury(consumer.db(), consumer.name(), &parcel.payload, &reason).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Why a consumer did not do an event.
struct Failure {
    reason: String,
    /// Its database took no writes at one of the attempts.
    broken: bool,
}

async fn hand_over(consumer: &dyn Consumer, event: &Envelope) -> Result<(), Failure> {
    let (mut attempt, mut broken) = (1, false);
    loop {
        match give(consumer, event).await {
            Ok(()) => return Ok(()),
            Err(reason) if attempt == ATTEMPTS => return Err(Failure { reason, broken }),
            Err(reason) => {
                broken |= consumer.db().problem().is_some();
                tracing::warn!(consumer = consumer.name(), event.id = %event.id, attempt, reason, "bus.consumer.retry");
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                attempt += 1;
            }
        }
    }
}
