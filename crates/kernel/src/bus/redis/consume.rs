//! One consumer's group: reads its streams, takes over what others left behind, and buries what can't be handled.

use std::{collections::HashMap, sync::Arc, time::Duration};

use berth_contracts::event::Envelope;
use futures_util::{StreamExt, stream};
use redis::{
    AsyncCommands, AsyncConnectionConfig, RedisResult,
    aio::MultiplexedConnection,
    streams::{
        StreamAutoClaimOptions, StreamAutoClaimReply, StreamId, StreamPendingCountReply, StreamReadOptions, StreamReadReply,
    },
};
use tokio::time::Instant;

use super::{RedisBus, within};
use crate::{
    bus::{Consumer, give},
    dead,
};

/// After so many deliveries a message is dead.
const DELIVERIES_AT_MOST: usize = 8;
const BATCH: usize = 32;
const AT_ONCE: usize = 8;
const BLOCK: Duration = Duration::from_millis(500);
const RECONNECT: Duration = Duration::from_millis(500);

struct Group {
    bus: Arc<RedisBus>,
    consumer: Arc<dyn Consumer>,
    streams: Vec<String>,
    connection: MultiplexedConnection,
    /// A message was not finished: before another try its database must answer, so that no try is spent on one that is away.
    doubtful: bool,
}

struct Message {
    id: String,
    payload: String,
    deliveries: usize,
}

pub async fn run(bus: Arc<RedisBus>, consumer: Arc<dyn Consumer>) {
    while !bus.background.is_stopped() {
        if let Err(error) = follow(&bus, &consumer).await {
            tracing::debug!(consumer = consumer.name(), error = %error, "bus.group.lost");
            bus.rest(RECONNECT).await;
        }
    }
}

async fn follow(bus: &Arc<RedisBus>, consumer: &Arc<dyn Consumer>) -> RedisResult<()> {
    let time = bus.settings.call_timeout;
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(time)).set_response_timeout(Some(BLOCK + time));
    let moves = bus.moves();
    let connection = within(time, bus.client()?.get_multiplexed_async_connection_with_config(&config)).await?;
    let streams = consumer.kinds().iter().map(|kind| bus.stream(kind)).collect();
    let mut group = Group { bus: Arc::clone(bus), consumer: Arc::clone(consumer), streams, connection, doubtful: false };
    group.enter().await?;
    let mut take_over_at = Instant::now();
    while !bus.background.is_stopped() && bus.moves() == moves {
        if group.doubtful && !group.database_works().await {
            bus.rest(RECONNECT).await;
            continue;
        }
        if Instant::now() >= take_over_at {
            group.take_over().await?;
            take_over_at = Instant::now() + bus.settings.retry_after / 4;
        }
        group.read().await?;
    }
    Ok(())
}

impl Group {
    fn name(&self) -> &'static str {
        self.consumer.name()
    }

    async fn database_works(&mut self) -> bool {
        let db = self.consumer.db();
        self.doubtful = db.problem().is_some() || db.ping().await.is_err();
        !self.doubtful
    }

    /// Makes the group where it is missing. A new group begins with all that its stream still has.
    async fn enter(&mut self) -> RedisResult<()> {
        for stream in &self.streams {
            let made: RedisResult<()> = self.connection.xgroup_create_mkstream(stream, self.consumer.name(), "0").await;
            match made {
                Err(error) if error.code() == Some("BUSYGROUP") => {}
                other => other?,
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> RedisResult<()> {
        let block = usize::try_from(BLOCK.as_millis()).unwrap_or(usize::MAX);
        let options = StreamReadOptions::default().group(self.name(), &self.bus.me).count(BATCH).block(block);
        let news = vec![">"; self.streams.len()];
        let reply: Option<StreamReadReply> = self.connection.xread_options(&self.streams, &news, &options).await?;
        for key in reply.map(|reply| reply.keys).unwrap_or_default() {
            let messages = key.ids.iter().map(|entry| message(entry, 1)).collect();
            self.attend(&key.key, messages).await?;
        }
        Ok(())
    }

    /// Takes messages over that nobody finished in time: their consumer failed, or is gone.
    async fn take_over(&mut self) -> RedisResult<()> {
        for stream in self.streams.clone() {
            let idle_ms = u64::try_from(self.bus.settings.retry_after.as_millis()).unwrap_or(u64::MAX);
            let options = StreamAutoClaimOptions::default().count(BATCH);
            let (name, me) = (self.name(), self.bus.me.clone());
            let reply: StreamAutoClaimReply =
                self.connection.xautoclaim_options(&stream, name, &me, idle_ms, "0-0", options).await?;
            let (Some(first), Some(last)) = (reply.claimed.first(), reply.claimed.last()) else { continue };
            let pending: StreamPendingCountReply =
                self.connection.xpending_consumer_count(&stream, name, &first.id, &last.id, BATCH * 4, &me).await?;
            let deliveries: HashMap<&str, usize> =
                pending.ids.iter().map(|entry| (entry.id.as_str(), entry.times_delivered)).collect();
            let message = |entry: &StreamId| message(entry, deliveries.get(entry.id.as_str()).copied().unwrap_or(1));
            self.attend(&stream, reply.claimed.iter().map(message).collect()).await?;
        }
        Ok(())
    }

    /// Handles messages, and acknowledges those that are over: handled, or buried.
    async fn attend(&mut self, stream: &str, messages: Vec<Message>) -> RedisResult<()> {
        let consumer = Arc::clone(&self.consumer);
        let consumer = &consumer;
        let done: Vec<Option<String>> = stream::iter(messages)
            .map(|message| async move { settle(consumer.as_ref(), &message).await.then_some(message.id) })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        self.doubtful |= done.iter().any(Option::is_none);
        let done: Vec<String> = done.into_iter().flatten().collect();
        if !done.is_empty() {
            let _count: usize = self.connection.xack(stream, self.consumer.name(), &done).await?;
        }
        Ok(())
    }
}

fn message(entry: &StreamId, deliveries: usize) -> Message {
    Message { id: entry.id.clone(), payload: entry.get("event").unwrap_or_default(), deliveries }
}

/// Whether the message is over.
async fn settle(consumer: &dyn Consumer, message: &Message) -> bool {
    let Ok(envelope) = serde_json::from_str::<Envelope>(&message.payload) else {
        return bury(consumer, message, "the message can't be read").await;
    };
    if message.deliveries > DELIVERIES_AT_MOST {
        return bury(consumer, message, "it was delivered 8 times and never finished").await;
    }
    match give(consumer, &envelope).await {
        Ok(()) => true,
        Err(reason) if message.deliveries >= DELIVERIES_AT_MOST => bury(consumer, message, &reason).await,
        Err(reason) => {
            let deliveries = message.deliveries;
            tracing::warn!(consumer = consumer.name(), event.id = %envelope.id, deliveries, reason, "bus.consumer.retry");
            false
        }
    }
}

/// A message that can't be buried stays in the group.
async fn bury(consumer: &dyn Consumer, message: &Message, reason: &str) -> bool {
    match dead::bury(consumer.db(), consumer.name(), &message.payload, reason).await {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(consumer = consumer.name(), error = %error, "bus.consumer.not_buried");
            false
        }
    }
}
