//! Trimming: a stream loses what every group has done and what is older than the time it is kept, never anything else.

use std::sync::Arc;

use redis::{
    AsyncCommands, RedisResult,
    streams::{StreamInfoConsumersReply, StreamInfoGroup, StreamInfoGroupsReply, StreamPendingReply},
};

use super::{RedisBus, STREAMS};

/// A process that was silent for so long and owes nothing is forgotten by its group.
const GONE_AFTER_MS: usize = 3_600_000;

pub async fn run(bus: Arc<RedisBus>) {
    loop {
        bus.rest(bus.settings.trim_every).await;
        if bus.background.is_stopped() {
            return;
        }
        if bus.answers()
            && let Err(error) = bus.trim().await
        {
            tracing::debug!(error = %error, "bus.trim.failed");
        }
    }
}

/// An id of a stream: milliseconds and a number within them.
type Id = (u64, u64);

fn id_of(text: &str) -> Option<Id> {
    let (ms, number) = text.split_once('-')?;
    Some((ms.parse().ok()?, number.parse().ok()?))
}

impl RedisBus {
    /// Trims every stream.
    async fn trim(&self) -> RedisResult<()> {
        let mut connection = self.connection()?;
        let (secs, _): (u64, u64) = redis::cmd("TIME").query_async(&mut connection).await?;
        let kept_ms = u64::try_from(self.settings.keep_done.as_millis()).unwrap_or(u64::MAX);
        let old: Id = ((secs * 1000).saturating_sub(kept_ms), 0);
        for stream in STREAMS.map(|kind| self.stream(kind)) {
            if !connection.exists(&stream).await? {
                continue;
            }
            let groups: StreamInfoGroupsReply = connection.xinfo_groups(&stream).await?;
            let mut keep_from = old;
            for group in &groups.groups {
                keep_from = keep_from.min(self.first_undone(&stream, group).await?);
                self.forget_gone(&stream, group).await?;
            }
            let id = format!("{}-{}", keep_from.0, keep_from.1);
            let _count: usize = redis::cmd("XTRIM").arg(&stream).arg("MINID").arg(id).query_async(&mut connection).await?;
        }
        Ok(())
    }

    /// The first message that the group still needs: one that was given out and not finished, or the one after the last given out.
    async fn first_undone(&self, stream: &str, group: &StreamInfoGroup) -> RedisResult<Id> {
        let next = id_of(&group.last_delivered_id).map_or((0, 0), |(ms, number)| (ms, number.saturating_add(1)));
        if group.pending == 0 {
            return Ok(next);
        }
        let mut connection = self.connection()?;
        Ok(match connection.xpending(stream, &group.name).await? {
            StreamPendingReply::Data(pending) => id_of(&pending.start_id).unwrap_or_default().min(next),
            _ => next,
        })
    }

    async fn forget_gone(&self, stream: &str, group: &StreamInfoGroup) -> RedisResult<()> {
        let mut connection = self.connection()?;
        let known: StreamInfoConsumersReply = connection.xinfo_consumers(stream, &group.name).await?;
        for gone in known.consumers.iter().filter(|known| known.pending == 0 && known.idle > GONE_AFTER_MS) {
            let _pending: usize = connection.xgroup_delconsumer(stream, &group.name, &gone.name).await?;
        }
        Ok(())
    }
}
