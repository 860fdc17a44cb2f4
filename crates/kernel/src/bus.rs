//! The bus: a wake-up and a fan-out, never the truth. Consumers that must not miss an event have a reconciler besides.

mod local;
mod redis;
#[cfg(feature = "sabotage")]
mod shuffle;
mod wake;

use std::{sync::Arc, time::Duration};

use ::redis::RedisError;
use async_trait::async_trait;
use berth_contracts::event::{Envelope, Event};
use tokio::sync::broadcast;

pub use local::LocalBus;
pub use redis::{RedisBus, RedisSettings};
pub use wake::Wake;

use crate::{db::Db, jobs::Background, metrics, telemetry::Origin};

const LIVE_CAPACITY: usize = 16_384;

/// Somebody who acts on events. Must be idempotent, or keep an inbox ([`crate::outbox::first_time`]).
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Stable name, for the inbox and for logs.
    fn name(&self) -> &'static str;
    /// Names of the events it wants ([`berth_contracts::event::Event::kind`]).
    fn kinds(&self) -> &'static [&'static str];
    /// The database of its service: there is buried what it can't handle.
    fn db(&self) -> &Db;
    /// Acts. An error means: try again.
    async fn handle(&self, event: &Envelope) -> Result<(), String>;
}

/// Where events go after the outbox.
#[derive(Clone)]
pub enum Bus {
    /// Within this process.
    Local(Arc<LocalBus>),
    /// Between processes.
    Redis(Arc<RedisBus>),
}

/// An event on its way, with its text.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    /// The event.
    pub envelope: Arc<Envelope>,
    /// The same as JSON, as the outbox has it.
    pub payload: String,
}

/// The bus does not take events now.
#[derive(Debug, thiserror::Error)]
#[error("the bus does not take the event: {0}")]
pub struct NotTaken(String);

/// Gives an event to a consumer, as part of the trace of the request that made the change.
async fn give(consumer: &dyn Consumer, event: &Envelope) -> Result<(), String> {
    let span =
        tracing::info_span!("bus.consume", consumer = consumer.name(), event.kind = event.event.kind(), event.id = %event.id);
    let done = Origin::new(None, event.trace_parent.as_deref()).run(span, consumer.handle(event)).await;
    if done.is_ok() {
        metrics::event_consumed(consumer.name());
    }
    done
}

/// What a live view hears.
#[derive(Debug, Clone)]
pub enum News {
    /// Something happened; it may be told more than once.
    Event(Arc<Envelope>),
    /// Something may have happened that was not heard: read afresh.
    Missed,
}

/// The ear of a live view: every event from its making on.
pub struct Live(broadcast::Receiver<News>);

impl Live {
    /// The next news; `None`: there will never be any. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<News> {
        match self.0.recv().await {
            Ok(news) => Some(news),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(News::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// Until something may have changed for a watcher: an event that concerns it, news that were lost, or the end of this time.
    pub async fn wait(&mut self, at_most: Duration, concerns: impl Fn(&Event) -> bool) {
        let pause = tokio::time::sleep(at_most);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return,
                news = self.next() => match news {
                    Some(News::Event(envelope)) if !concerns(&envelope.event) => {}
                    Some(_) => return,
                    None => {
                        (&mut pause).await;
                        return;
                    }
                },
            }
        }
    }
}

impl Bus {
    /// A bus within this process.
    pub fn local() -> Self {
        metrics::BUS_UP.set(1);
        Self::Local(Arc::new(LocalBus::new()))
    }

    /// A bus between processes. Redis may be away, now or later. Inside a Tokio runtime; ends with the background work.
    pub fn redis(url: &str, settings: RedisSettings, background: Background) -> Result<Self, RedisError> {
        RedisBus::open(url, settings, background).map(Self::Redis)
    }

    /// Registers a consumer. Do it before the relays start.
    pub fn register(&self, consumer: Arc<dyn Consumer>) {
        metrics::consumer_begins(consumer.name());
        match self {
            Self::Local(bus) => bus.register(consumer),
            Self::Redis(bus) => bus.register(consumer),
        }
    }

    /// Every event from now on, for live views; who reads too slowly hears [`News::Missed`].
    pub fn live(&self) -> Live {
        let live = match self {
            Self::Local(bus) => &bus.live,
            Self::Redis(bus) => &bus.live,
        };
        Live(live.subscribe())
    }

    /// What wakes the work of this name in every process, and what that work waits for.
    pub fn wake(&self, name: &'static str) -> Wake {
        let wakes = match self {
            Self::Local(bus) => &bus.wakes,
            Self::Redis(bus) => &bus.wakes,
        };
        Wake::new(name, Arc::clone(wakes))
    }

    /// Whether events reach every process. When not, all is slower, nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Redis(bus) => bus.is_healthy(),
        }
    }

    /// Hands an event to everybody, or on its way to everybody.
    pub async fn deliver(&self, event: &Arc<Envelope>) -> Result<(), NotTaken> {
        let payload = serde_json::to_string(event.as_ref()).map_err(|error| NotTaken(error.to_string()))?;
        self.deliver_all(&[Parcel { envelope: Arc::clone(event), payload }]).await
    }

    /// Hands several events over, in their order.
    pub(crate) async fn deliver_all(&self, parcels: &[Parcel]) -> Result<(), NotTaken> {
        #[cfg(feature = "sabotage")]
        let parcels = &shuffle::shuffled(self, parcels);
        self.hand_over(parcels).await
    }

    async fn hand_over(&self, parcels: &[Parcel]) -> Result<(), NotTaken> {
        match self {
            Self::Local(bus) => bus.deliver_all(parcels).await.map_err(|error| NotTaken(error.to_string())),
            Self::Redis(bus) => bus.publish(parcels).await.map_err(|error| NotTaken(error.to_string())),
        }
    }
}
