//! Limits on attempts, by key: so many at once, and one more every so often. Each process counts in its memory; in a fleet all
//! of them count together in Redis besides. What a process refuses by itself costs Redis nothing, and with Redis slow or gone
//! its own count is what is left: nobody waits for Redis longer than [`PATIENCE`], and nobody sees an error of it.
//!
//! Keys (addresses, accounts) are hashed with the installation's key before they are kept anywhere.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use governor::{
    Quota, RateLimiter, clock::Clock as Ticks, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::DefaultKeyedStateStore,
};
use parking_lot::Mutex;

use crate::{
    bus::{Bus, RedisBus},
    clock::Clock,
    seal::Sealer,
};

/// How long an attempt waits for Redis at most.
pub const PATIENCE: Duration = Duration::from_millis(50);
/// Redis is left alone for this time after it was too slow.
const REST: Duration = Duration::from_secs(1);
/// A limit forgets keys that have their full allowance again, once in so many attempts.
const FORGET_EVERY: u32 = 4096;

type Counter = RateLimiter<String, DefaultKeyedStateStore<String>, ServiceTime, NoOpMiddleware<Nanos>>;

/// Where limits are counted.
pub struct Limits {
    clock: Clock,
    sealer: Sealer,
    shared: Shared,
}

/// Who counts together.
enum Shared {
    /// This process alone.
    Local,
    /// All processes on one Redis.
    Redis { bus: Arc<RedisBus>, rests_until: Mutex<Option<Instant>> },
}

/// One limit: how many attempts a key has at once, and how soon it gets another.
pub struct Limit {
    name: &'static str,
    burst: u32,
    every: Duration,
    here: Counter,
    counted: AtomicU32,
}

/// The service's clock as the counters read it.
#[derive(Clone)]
struct ServiceTime(Clock);

impl Ticks for ServiceTime {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        nanos(&self.0)
    }
}

fn nanos(clock: &Clock) -> Nanos {
    let ms = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
    Duration::from_millis(ms).into()
}

impl Limits {
    /// Limits by this clock: shared when the bus is.
    pub fn new(bus: &Bus, clock: Clock, sealer: Sealer) -> Self {
        let shared = match bus {
            Bus::Local(_) => Shared::Local,
            Bus::Redis(bus) => Shared::Redis { bus: Arc::clone(bus), rests_until: Mutex::default() },
        };
        Self { clock, sealer, shared }
    }

    /// A limit of `burst` attempts at once and one more `every` so often. Names are unique in the installation.
    pub fn limit(&self, name: &'static str, burst: u32, every: Duration) -> Limit {
        let at_once = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(every).unwrap_or(Quota::per_minute(at_once)).allow_burst(at_once);
        let here = RateLimiter::new(quota, DefaultKeyedStateStore::default(), ServiceTime(self.clock.clone()));
        Limit { name, burst: at_once.get(), every, here, counted: AtomicU32::new(0) }
    }

    /// Counts an attempt for a key of each limit. When one of them is used up: how long to wait.
    pub async fn count(&self, attempts: &[(&Limit, &str)]) -> Result<(), TimeDelta> {
        let once: Vec<_> = attempts.iter().map(|(limit, key)| (*limit, *key, 1)).collect();
        self.count_all(&once).await
    }

    /// Counts several attempts for a key of a limit: all of them, or none. More than the limit has at once never succeed.
    pub async fn count_times(&self, limit: &Limit, key: &str, times: u32) -> Result<(), TimeDelta> {
        self.count_all(&[(limit, key, times)]).await
    }

    async fn count_all(&self, attempts: &[(&Limit, &str, u32)]) -> Result<(), TimeDelta> {
        let hashed: Vec<(&Limit, String, u32)> =
            attempts.iter().map(|(limit, key, times)| (*limit, self.sealer.hash(limit.name, key), *times)).collect();
        let wait = hashed.iter().filter_map(|(limit, key, times)| limit.count_here(&self.clock, key, *times)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        match self.count_together(&hashed).await {
            Some(wait_ms) if wait_ms > 0 => Err(TimeDelta::milliseconds(wait_ms)),
            _ => Ok(()),
        }
    }

    /// The wait that the count of all processes asks for; `None` when there is no such count, or not now.
    async fn count_together(&self, attempts: &[(&Limit, String, u32)]) -> Option<i64> {
        let Shared::Redis { bus, rests_until } = &self.shared else { return None };
        if rests_until.lock().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let attempts: Vec<_> =
            attempts.iter().map(|(limit, key, times)| (limit.name, key.as_str(), limit.burst, limit.every, *times)).collect();
        let wait = bus.count(&attempts, self.clock.now(), PATIENCE).await;
        *rests_until.lock() = if wait.is_some() { None } else { Some(Instant::now() + REST) };
        wait
    }
}

impl Limit {
    /// Attempts that a key has at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// Counts in this process; answers the wait when the limit is used up.
    fn count_here(&self, clock: &Clock, key: &str, times: u32) -> Option<TimeDelta> {
        if self.counted.fetch_add(1, Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.here.retain_recent();
        }
        let counted = self.here.check_key_n(&key.to_owned(), NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN));
        let Ok(counted) = counted else { return Some(TimeDelta::MAX) };
        let refused = counted.err()?;
        Some(TimeDelta::from_std(refused.wait_time_from(nanos(clock))).unwrap_or(TimeDelta::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_waits_and_others_do_not() {
        let clock = Clock::system();
        let limits = Limits::new(&Bus::local(), clock.clone(), Sealer::new([7; 32]));
        let (narrow, wide) = (limits.limit("narrow", 2, Duration::from_mins(1)), limits.limit("wide", 4, Duration::from_secs(1)));
        for _ in 0..2 {
            assert_eq!(limits.count(&[(&wide, "1.2.3.4"), (&narrow, "siti")]).await, Ok(()));
        }
        let wait = limits.count(&[(&wide, "1.2.3.4"), (&narrow, "siti")]).await.expect_err("used up");
        assert!((TimeDelta::seconds(59)..=TimeDelta::seconds(60)).contains(&wait), "{wait}");
        assert_eq!(limits.count(&[(&wide, "1.2.3.4"), (&narrow, "budi")]).await, Ok(()));
        assert!(
            limits.count(&[(&wide, "1.2.3.4"), (&narrow, "budi")]).await.is_err(),
            "the attempt that was refused counted too"
        );
        clock.advance(wait);
        assert_eq!(limits.count(&[(&wide, "1.2.3.4"), (&narrow, "siti")]).await, Ok(()));
    }

    #[test]
    fn who_has_the_full_allowance_again_is_forgotten() {
        let clock = Clock::system();
        let limits = Limits::new(&Bus::local(), clock.clone(), Sealer::new([7; 32]));
        let limit = limits.limit("some", 1, Duration::from_secs(1));
        for number in 0..FORGET_EVERY - 1 {
            assert_eq!(limit.count_here(&clock, &number.to_string(), 1), None);
        }
        clock.advance(TimeDelta::seconds(10));
        assert_eq!(limit.count_here(&clock, "last", 1), None);
        assert_eq!(limit.here.len(), 1);
    }
}
