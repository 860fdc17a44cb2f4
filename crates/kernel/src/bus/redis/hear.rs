//! What the other processes say: events for live views, wakes, and that something was not said.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use redis::{Msg, RedisResult, Value};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{RedisBus, unavailable, within};
use crate::bus::News;

/// A connection that does not answer within the call's timeout after so long is lost.
const BEAT: Duration = Duration::from_secs(1);
const RECONNECT: Duration = Duration::from_millis(500);
/// How often live views read afresh while nothing can be heard.
const BLIND: Duration = Duration::from_secs(2);

pub async fn run(bus: Arc<RedisBus>) {
    let mut told_at = Instant::now();
    while !bus.background.is_stopped() {
        if let Err(error) = listen(&bus).await {
            tracing::debug!(error = %error, "bus.hearing.lost");
        }
        let was_heard = bus.hears.swap(false, std::sync::atomic::Ordering::SeqCst);
        if was_heard || told_at.elapsed() >= BLIND {
            told_at = Instant::now();
            bus.tell_here(News::Missed);
        }
        bus.rest(RECONNECT).await;
    }
}

async fn listen(bus: &RedisBus) -> RedisResult<()> {
    let time = bus.settings.call_timeout;
    let moves = bus.moves();
    let mut pubsub = within(time, bus.client()?.get_async_pubsub()).await?;
    within(time, pubsub.subscribe(&["live", "missed", "wake"].map(|name| bus.key(name)))).await?;
    bus.hears.store(true, std::sync::atomic::Ordering::SeqCst);
    // What was said until now went unheard.
    bus.tell_here(News::Missed);
    let (mut sink, mut messages) = pubsub.split();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = bus.background.stopped() => return Ok(()),
            message = messages.next() => take(bus, &message.ok_or_else(unavailable)?),
            _ = beat.tick() => {
                if bus.moves() != moves {
                    return Ok(());
                }
                within(time, sink.ping::<Value>()).await.map(|_| ())?;
            }
        }
    }
}

fn take(bus: &RedisBus, message: &Msg) {
    let Ok(text) = std::str::from_utf8(message.get_payload_bytes()) else { return };
    let mut lines = text.lines();
    if lines.next().is_none_or(|sender| sender == bus.me) {
        return;
    }
    match message.get_channel_name().rsplit(':').next() {
        Some("wake") => lines.for_each(|name| bus.wakes.here(name)),
        Some("missed") => bus.tell_here(News::Missed),
        // Reading events that nobody looks at would be work for nothing.
        Some("live") if bus.live.receiver_count() > 0 => {
            // A newer process may speak of what this one does not know.
            lines.filter_map(|line| serde_json::from_str(line).ok()).for_each(|envelope| bus.heard(envelope));
        }
        _ => {}
    }
}
