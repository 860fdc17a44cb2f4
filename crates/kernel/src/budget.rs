//! Budgets of work: so many milliseconds of it a second for each client, and some seconds' worth at once.
//!
//! A budget is a [`Limit`] whose attempts are portions of work. A process takes a portion, by the count that all processes share,
//! and spends it without asking again; so Redis is asked once for many requests. What was let in on an estimate is settled by
//! the time that it took: who used more than was there owes it, and waits until the debt is paid.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::{
    bus::Bus,
    clock::Clock,
    limits::{Limit, Limits},
    metrics,
    seal::Sealer,
};

/// Work that is taken from the shared count at a time.
const PORTION: Duration = Duration::from_millis(50);
/// Seconds' worth of work that a client may ask for at once.
const AT_ONCE_SECS: u32 = 5;
/// A signed-in account has this many times the budget of those at one address who are not; all of an address together this many.
const ACCOUNT: f64 = 2.0;
const ADDRESS: f64 = 2.5;
/// A purse that was not used for so long is forgotten, looked for once in so many requests.
const FORGET_AFTER: TimeDelta = TimeDelta::seconds(30);
const FORGET_EVERY: u32 = 4_096;

/// Who holds a budget.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// The address or network.
    pub network: &'a str,
    /// The account, when somebody is signed in.
    pub account: Option<&'a str>,
}

/// The budgets of all clients.
pub struct Budgets {
    limits: Limits,
    clock: Clock,
    anonymous: Limit,
    account: Limit,
    address: Limit,
    purses: Mutex<HashMap<(Kind, String), Purse>>,
    taken: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Anonymous,
    Account,
    Address,
}

/// What a process has of a budget.
struct Purse {
    /// Microseconds; below zero is a debt.
    left_us: i64,
    /// Portions that are being asked for.
    coming: u32,
    refused_until: Option<DateTime<Utc>>,
    used: DateTime<Utc>,
}

impl Budgets {
    /// Budgets by which the clients at one address who are not signed in get so much work a second. Shared when the bus is.
    pub fn new(bus: &Bus, clock: Clock, sealer: Sealer, work_a_second: Duration) -> Self {
        let limits = Limits::new(bus, clock.clone(), sealer);
        let limit = |name, times: f64| {
            let every = Duration::from_secs_f64(PORTION.as_secs_f64() / (work_a_second.as_secs_f64() * times));
            let at_once = Duration::from_secs(AT_ONCE_SECS.into()).as_millis() / every.as_millis().max(1);
            limits.limit(name, u32::try_from(at_once).unwrap_or(u32::MAX).max(1), every)
        };
        let (anonymous, account, address) =
            (limit("work-anonymous", 1.0), limit("work-account", ACCOUNT), limit("work-address", ADDRESS));
        Self { limits, clock, anonymous, account, address, purses: Mutex::default(), taken: AtomicU32::new(0) }
    }

    /// Takes work of an estimated time, or says how long to wait for it. Who must wait is refused by a look at memory.
    pub async fn take(&self, holder: Holder<'_>, estimate: Duration) -> Result<(), Duration> {
        if self.taken.fetch_add(1, Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.forget();
        }
        let [first, second] = purses_of(holder);
        self.take_from(&first, estimate).await?;
        let taken = self.take_from(&second, estimate).await;
        if taken.is_err() {
            self.change(&first, micros(estimate));
        }
        taken
    }

    /// Corrects an estimate that was taken by the time that was used.
    pub fn settle(&self, holder: Holder<'_>, estimate: Duration, used: Duration) {
        metrics::worked(if holder.account.is_some() { "account" } else { "anonymous" }, used);
        for key in purses_of(holder) {
            self.change(&key, micros(estimate) - micros(used));
        }
    }

    async fn take_from(&self, key: &(Kind, String), estimate: Duration) -> Result<(), Duration> {
        let limit = self.limit(key.0);
        let portions = self.reserve(key, estimate, limit.burst())?;
        if portions == 0 {
            return Ok(());
        }
        let mut asked = Asked { budgets: self, key, portions, granted: false, kept: None };
        match self.limits.count_times(limit, &key.1, portions).await {
            Ok(()) => {
                asked.granted = true;
                Ok(())
            }
            Err(wait) => {
                asked.kept = Some((estimate, wait));
                Err(wait.to_std().unwrap_or_default())
            }
        }
    }

    /// Takes from the purse, and tells how many portions must be asked for.
    fn reserve(&self, key: &(Kind, String), estimate: Duration, most: u32) -> Result<u32, Duration> {
        let now = self.clock.now();
        let mut purses = self.purses.lock();
        let purse = purses.entry(key.clone()).or_insert(Purse { left_us: 0, coming: 0, refused_until: None, used: now });
        purse.used = now;
        if let Some(until) = purse.refused_until {
            if let Some(wait) = (until - now).to_std().ok().filter(|wait| !wait.is_zero()) {
                return Err(wait);
            }
            purse.refused_until = None;
        }
        purse.left_us = purse.left_us.saturating_sub(micros(estimate));
        let missing_us = -purse.left_us.saturating_add(i64::from(purse.coming) * micros(PORTION));
        if missing_us <= 0 {
            return Ok(0);
        }
        let portions = u64::try_from(missing_us).unwrap_or(0).div_ceil(micros(PORTION).unsigned_abs());
        let portions = u32::try_from(portions).unwrap_or(u32::MAX).min(most);
        purse.coming += portions;
        Ok(portions)
    }

    fn change(&self, key: &(Kind, String), by_us: i64) {
        if let Some(purse) = self.purses.lock().get_mut(key) {
            purse.left_us = purse.left_us.saturating_add(by_us);
        }
    }

    fn limit(&self, kind: Kind) -> &Limit {
        match kind {
            Kind::Anonymous => &self.anonymous,
            Kind::Account => &self.account,
            Kind::Address => &self.address,
        }
    }

    fn forget(&self) {
        let since = self.clock.now() - FORGET_AFTER;
        self.purses.lock().retain(|_, purse| purse.used > since || purse.coming > 0);
    }
}

/// Portions that are being asked for. They are not coming any more when this is dropped, even when nobody waits for the answer.
struct Asked<'a> {
    budgets: &'a Budgets,
    key: &'a (Kind, String),
    portions: u32,
    granted: bool,
    /// What goes back into the purse because it was refused, and for how long nothing is to be had.
    kept: Option<(Duration, TimeDelta)>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let now = self.budgets.clock.now();
        let mut purses = self.budgets.purses.lock();
        let Some(purse) = purses.get_mut(self.key) else { return };
        purse.coming = purse.coming.saturating_sub(self.portions);
        if self.granted {
            purse.left_us = purse.left_us.saturating_add(i64::from(self.portions) * micros(PORTION));
        }
        if let Some((estimate, wait)) = self.kept {
            purse.left_us = purse.left_us.saturating_add(micros(estimate));
            purse.refused_until = now.checked_add_signed(wait);
        }
    }
}

/// What a holder pays from: its own purse, and that of its address.
fn purses_of(holder: Holder<'_>) -> [(Kind, String); 2] {
    let own = match holder.account {
        Some(account) => (Kind::Account, account.to_owned()),
        None => (Kind::Anonymous, holder.network.to_owned()),
    };
    [own, (Kind::Address, holder.network.to_owned())]
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Holder<'_> = Holder { network: "203.0.113.1", account: None };
    const BEN: Holder<'_> = Holder { network: "203.0.113.2", account: None };
    const SIGNED_IN: Holder<'_> = Holder { network: "203.0.113.1", account: Some("user_1") };
    const LITTLE: Duration = Duration::from_millis(1);

    fn budgets() -> (Budgets, Clock) {
        let clock = Clock::system();
        (Budgets::new(&Bus::local(), clock.clone(), Sealer::new([7; 32]), Duration::from_millis(200)), clock)
    }

    async fn work(budgets: &Budgets, holder: Holder<'_>, estimate: Duration, used: Duration) -> Result<(), Duration> {
        budgets.take(holder, estimate).await?;
        budgets.settle(holder, estimate, used);
        Ok(())
    }

    /// Milliseconds of work that a holder gets at once.
    async fn at_once(budgets: &Budgets, holder: Holder<'_>) -> u32 {
        let mut got = 0;
        while work(budgets, holder, LITTLE, Duration::from_millis(10)).await.is_ok() {
            got += 10;
        }
        got
    }

    #[tokio::test]
    async fn a_client_gets_its_share_and_others_do_not_notice() {
        let (budgets, clock) = budgets();
        let got = at_once(&budgets, ANN).await;
        assert!((1_000..1_100).contains(&got), "{got} ms");
        let wait = budgets.take(ANN, LITTLE).await.expect_err("must wait");
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
        assert_eq!(work(&budgets, BEN, LITTLE, LITTLE).await, Ok(()));
        clock.advance(TimeDelta::seconds(1));
        let got = at_once(&budgets, ANN).await;
        assert!((150..=250).contains(&got), "{got} ms a second");
    }

    #[tokio::test]
    async fn who_is_signed_in_gets_more_than_who_is_not() {
        let (budgets, _) = budgets();
        let got = at_once(&budgets, SIGNED_IN).await;
        assert!((2_000..2_100).contains(&got), "{got} ms");
        let other = Holder { account: Some("user_2"), ..SIGNED_IN };
        let got = at_once(&budgets, other).await;
        assert!((400..600).contains(&got), "{got} ms are left of what an address gets");
    }

    #[tokio::test]
    async fn a_debt_is_paid_before_anything_else() {
        let (budgets, clock) = budgets();
        assert_eq!(work(&budgets, ANN, LITTLE, Duration::from_millis(1_400)).await, Ok(()));
        let wait = work(&budgets, ANN, LITTLE, LITTLE).await.expect_err("a debt");
        assert!(wait >= Duration::from_millis(20), "{wait:?}");
        clock.advance(TimeDelta::seconds(3));
        assert_eq!(work(&budgets, ANN, LITTLE, LITTLE).await, Ok(()));
    }

    #[tokio::test]
    async fn many_at_once_ask_for_one_portion_together() {
        let (budgets, _) = budgets();
        let asked = futures_util::future::join_all((0..50).map(|_| budgets.take(ANN, LITTLE))).await;
        assert!(asked.iter().all(Result::is_ok));
        for _ in 0..50 {
            budgets.settle(ANN, LITTLE, LITTLE);
        }
        let got = at_once(&budgets, ANN).await;
        assert!(got >= 900, "{got} ms are left");
    }

    #[tokio::test]
    async fn who_leaves_while_asking_owes_nothing_for_ever() {
        let (budgets, _) = budgets();
        drop(Box::pin(budgets.take(ANN, LITTLE)));
        assert_eq!(work(&budgets, ANN, LITTLE, LITTLE).await, Ok(()));
        assert!(budgets.purses.lock().values().all(|purse| purse.coming == 0));
    }
}
