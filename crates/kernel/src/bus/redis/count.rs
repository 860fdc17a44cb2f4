//! Counting attempts together with the other processes: see [`crate::limits`].

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use redis::Script;

use super::{RedisBus, within};

/// For each key the time at which its allowance is full again is kept (the generic cell rate algorithm). One step for all keys:
/// either every limit has room and every one is charged, or none is.
const COUNT: &str = r"
local now = tonumber(ARGV[1])
local full, wait = {}, 0
for i, key in ipairs(KEYS) do
  local burst, every, times = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  full[i] = math.max(tonumber(redis.call('GET', key) or now), now) + every * times
  wait = math.max(wait, full[i] - burst * every - now)
end
if wait > 0 then
  return wait
end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', full[i]), 'PX', string.format('%.0f', full[i] - now))
end
return 0";

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(COUNT));

impl RedisBus {
    /// Counts attempts for keys of limits (name, key, attempts at once, time until another, how many). Answers the milliseconds to wait,
    /// 0 when there is room, `None` when Redis says nothing within `patience`.
    pub(crate) async fn count(
        &self,
        attempts: &[(&str, &str, u32, Duration, u32)],
        now: DateTime<Utc>,
        patience: Duration,
    ) -> Option<i64> {
        if !self.answers() {
            return None;
        }
        let mut call = SCRIPT.prepare_invoke();
        call.arg(now.timestamp_millis());
        for (name, key, burst, every, times) in attempts {
            call.key(self.key(&format!("limit:{name}:{key}")));
            call.arg(*burst).arg(u64::try_from(every.as_millis()).unwrap_or(u64::MAX)).arg(*times);
        }
        let mut connection = self.connection().ok()?;
        let counted = within(patience, call.invoke_async::<i64>(&mut connection)).await;
        counted.inspect_err(|error| tracing::debug!(error = %error, "limits.not_shared")).ok()
    }
}
