//! Limits on attempts per address. They count executed fields, so aliases and batches gain nothing. Kept in the memory of
//! this process: codes and letters have limits of their own in the database.

use std::{num::NonZeroU32, time::Duration};

use berth_kernel::clock::Clock;
use chrono::TimeDelta;
use governor::{
    Quota, RateLimiter, clock::Clock as Ticks, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::DefaultKeyedStateStore,
};

use crate::error::Refusal;

type Limit = RateLimiter<String, DefaultKeyedStateStore<String>, ServiceTime, NoOpMiddleware<Nanos>>;

/// The limits of this service.
pub struct Throttle {
    clock: Clock,
    sign_ups: Limit,
    sign_ins: Limit,
    resets: Limit,
}

/// The service's clock as the limits read it.
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

impl Throttle {
    /// Limits that go by this clock: 5 sign-ups (and resends) of an address at once and one more a minute; 20 sign-ins of an
    /// address at once and one more every 3 seconds; 3 links for a new password and one more a minute.
    pub fn new(clock: &Clock) -> Self {
        let limit = |burst: u32, every_secs: u64| {
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::with_period(Duration::from_secs(every_secs)).unwrap_or(Quota::per_minute(burst));
            RateLimiter::new(quota.allow_burst(burst), DefaultKeyedStateStore::default(), ServiceTime(clock.clone()))
        };
        Self { clock: clock.clone(), sign_ups: limit(5, 60), sign_ins: limit(20, 3), resets: limit(3, 60) }
    }

    /// Counts a sign-up of an address.
    pub fn sign_up(&self, email: &str) -> Result<(), Refusal> {
        self.count(&self.sign_ups, email)
    }

    /// Counts a sign-in of an address, known or not.
    pub fn sign_in(&self, email: &str) -> Result<(), Refusal> {
        self.count(&self.sign_ins, email)
    }

    /// Counts a link for a new password, whether the address is known or not.
    pub fn reset(&self, email: &str) -> Result<(), Refusal> {
        self.count(&self.resets, email)
    }

    fn count(&self, limit: &Limit, email: &str) -> Result<(), Refusal> {
        limit.check_key(&email.to_owned()).map_err(|not_until| {
            let wait = not_until.wait_time_from(nanos(&self.clock));
            Refusal::RateLimited { retry_after: TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX) }
        })
    }

    /// Forgets addresses that have their full allowance again.
    pub fn forget_idle(&self) {
        self.sign_ups.retain_recent();
        self.sign_ins.retain_recent();
        self.resets.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_and_others_do_not() {
        let clock = Clock::system();
        let throttle = Throttle::new(&clock);
        for _ in 0..5 {
            assert_eq!(throttle.sign_up("a@example.com"), Ok(()));
        }
        assert!(matches!(throttle.sign_up("a@example.com"), Err(Refusal::RateLimited { .. })));
        assert_eq!(throttle.sign_up("b@example.com"), Ok(()));
        clock.advance(TimeDelta::seconds(61));
        assert_eq!(throttle.sign_up("a@example.com"), Ok(()));
        clock.advance(TimeDelta::hours(1));
        throttle.forget_idle();
        assert!(throttle.sign_ups.is_empty());
    }
}
