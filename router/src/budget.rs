//! What a request costs, and whether its client may ask for it now.
//!
//! A document is let in for an estimate of its work. The work is then measured: the time for which this process works on it, here
//! and in the subgraphs of the process. The difference is settled when the work ends, however it ends.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    config::{Budgets, Client},
    door::Door,
    gate::Pass,
    plugin::Caller,
    refusal::Refusal,
    walk::Counts,
};

/// A refusal is sent after this time at the earliest: who does not wait is made to.
const PAUSE: Duration = Duration::from_millis(250);
/// Documents that may cost more wait for their turn.
const HEAVY: Duration = Duration::from_millis(10);
/// What any request costs, and what its document may: for each token, each selection written out, each object of the answer.
const REQUEST: Duration = Duration::from_micros(300);
const TOKEN: Duration = Duration::from_micros(2);
const SELECTION: Duration = Duration::from_micros(4);
const OBJECT: Duration = Duration::from_micros(10);

tokio::task_local! {
    static USED: Arc<AtomicU64>;
}

/// Work that a client was let do.
pub(crate) struct Work {
    budgets: Arc<dyn Budgets>,
    client: Client,
    estimate: Duration,
    /// Microseconds.
    used: Arc<AtomicU64>,
    /// Its turn, when it is heavy; the next one's when this is dropped.
    turn: Option<Pass>,
}

impl Work {
    /// Runs work on the account of this one.
    pub(crate) async fn measure<F: Future>(&self, work: F) -> F::Output {
        USED.scope(self.used.clone(), timed(self.used.clone(), work)).await
    }

    /// The same for work that does not wait.
    pub(crate) fn measure_now<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        add(&self.used, started);
        done
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let used = REQUEST + Duration::from_micros(self.used.load(Relaxed));
        self.budgets.settle(&self.client, self.estimate, used);
    }
}

/// Where the work in hand is counted.
pub(crate) fn current() -> Option<Arc<AtomicU64>> {
    USED.try_with(Clone::clone).ok()
}

/// Adds the time for which a future works, not that for which it waits.
pub(crate) async fn timed<F: Future>(used: Arc<AtomicU64>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|context| {
        let started = Instant::now();
        let polled = work.as_mut().poll(context);
        add(&used, started);
        polled
    })
    .await
}

fn add(used: &AtomicU64, started: Instant) {
    used.fetch_add(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
}

fn estimate(counts: &Counts) -> Duration {
    let times = |each: Duration, count: u64| each * u32::try_from(count).unwrap_or(u32::MAX);
    times(TOKEN, counts.tokens) + times(SELECTION, counts.selections) + times(OBJECT, counts.cost)
}

impl Door {
    /// Begins a request, before anything of it is read, unless its client must wait.
    pub(crate) async fn begin(&self, caller: &Caller) -> Result<Work, Refusal> {
        let client = self.client_of(caller);
        if let Err(wait) = self.budgets.take(&client, REQUEST).await {
            return Err(self.must_wait(wait, "budget").await);
        }
        Ok(Work { budgets: self.budgets.clone(), client, estimate: REQUEST, used: Arc::default(), turn: None })
    }

    /// Lets a document in, when its client may ask for that much now.
    pub(crate) async fn admit(&self, work: &mut Work, counts: &Counts) -> Result<(), Refusal> {
        let estimate = estimate(counts);
        if let Err(wait) = self.budgets.take(&work.client, estimate).await {
            return Err(self.must_wait(wait, "budget").await);
        }
        work.estimate += estimate;
        if estimate >= HEAVY {
            let turn = tokio::time::timeout(self.limits.execution, self.gate.enter(work.client.network)).await;
            let Ok(Ok(turn)) = turn else { return Err(self.must_wait(PAUSE, "queue").await) };
            work.turn = Some(turn);
        }
        Ok(())
    }

    fn client_of(&self, caller: &Caller) -> Client {
        let account = caller.viewer.as_ref().map(|viewer| viewer.account.clone());
        Client { network: self.clients.named(&caller.client), account }
    }

    async fn must_wait(&self, wait: Duration, why: &'static str) -> Refusal {
        self.observer.must_wait(why);
        tokio::time::sleep(wait.min(PAUSE)).await;
        Refusal::rate_limited(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_counts_and_waiting_does_not() {
        let used = Arc::new(AtomicU64::new(0));
        timed(used.clone(), tokio::time::sleep(Duration::from_millis(50))).await;
        assert!(used.load(Relaxed) < 10_000, "{used:?}");
        timed(used.clone(), async { std::thread::sleep(Duration::from_millis(20)) }).await;
        assert!(used.load(Relaxed) >= 20_000, "{used:?}");
    }
}
