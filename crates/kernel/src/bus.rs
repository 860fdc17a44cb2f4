//! The bus: a wake-up and a fan-out, never the truth. Consumers that must not miss an event have a reconciler besides.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use berth_contracts::event::Envelope;
use parking_lot::RwLock;
use tokio::sync::broadcast;

const LIVE_CAPACITY: usize = 16_384;
const ATTEMPTS: u32 = 5;

/// Somebody who acts on events. Must be idempotent, or keep an inbox ([`crate::outbox::first_time`]).
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Stable name, for the inbox and for logs.
    fn name(&self) -> &'static str;
    /// Names of the events it wants ([`berth_contracts::event::Event::kind`]).
    fn kinds(&self) -> &'static [&'static str];
    /// Acts. An error means: try again.
    async fn handle(&self, event: &Envelope) -> Result<(), String>;
}

/// Where events go after the outbox.
#[derive(Clone)]
pub enum Bus {
    /// Within this process.
    Local(Arc<LocalBus>),
}

/// The in-process bus.
pub struct LocalBus {
    live: broadcast::Sender<Arc<Envelope>>,
    consumers: RwLock<Vec<Arc<dyn Consumer>>>,
}

impl Bus {
    /// A bus within this process.
    pub fn local() -> Self {
        let (live, _) = broadcast::channel(LIVE_CAPACITY);
        Self::Local(Arc::new(LocalBus { live, consumers: RwLock::new(Vec::new()) }))
    }

    /// Registers a consumer. Do it before the relays start.
    pub fn register(&self, consumer: Arc<dyn Consumer>) {
        let Self::Local(bus) = self;
        bus.consumers.write().push(consumer);
    }

    /// Every event from now on, for live views; a slow reader loses the oldest (`Lagged`) and must read afresh.
    pub fn live(&self) -> broadcast::Receiver<Arc<Envelope>> {
        let Self::Local(bus) = self;
        bus.live.subscribe()
    }

    /// Hands an event to everybody. `Err` tells which consumer gave up after some tries.
    pub async fn deliver(&self, event: &Arc<Envelope>) -> Result<(), String> {
        let Self::Local(bus) = self;
        // Nobody listening is no failure.
        let _listeners = bus.live.send(Arc::clone(event));
        let kind = event.event.kind();
        let consumers: Vec<_> =
            bus.consumers.read().iter().filter(|consumer| consumer.kinds().contains(&kind)).cloned().collect();
        let mut failure = Ok(());
        for consumer in consumers {
            if let Err(reason) = hand_over(consumer.as_ref(), event).await {
                failure = Err(format!("{}: {reason}", consumer.name()));
            }
        }
        failure
    }
}

async fn hand_over(consumer: &dyn Consumer, event: &Envelope) -> Result<(), String> {
    let mut attempt = 1;
    loop {
        match consumer.handle(event).await {
            Ok(()) => return Ok(()),
            Err(reason) if attempt == ATTEMPTS => return Err(reason),
            Err(reason) => {
                tracing::warn!(consumer = consumer.name(), event.id = %event.id, attempt, reason, "bus.consumer.retry");
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                attempt += 1;
            }
        }
    }
}
