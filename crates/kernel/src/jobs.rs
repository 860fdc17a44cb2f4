//! Background work: tasks that go on until the process stops, and finish what they have in hand before it ends.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFuture},
    task::TaskTracker,
};

use crate::{bus::Wake, metrics};

/// The background work of a process; a clone is the same work.
#[derive(Debug, Clone, Default)]
pub struct Background {
    stop: CancellationToken,
    tasks: TaskTracker,
    held: Arc<AtomicBool>,
}

impl Background {
    /// Starts a task. It looks at [`Background::stopped`] or [`Background::is_stopped`] between one piece of work and the next.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Runs `work` every `interval` and whenever `wake` is notified, unless work is held. The batch in hand is finished before the loop
    /// ends.
    pub fn every<F, Fut, E>(&self, name: &'static str, interval: Duration, wake: Wake, work: F)
    where
        F: Fn() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: std::fmt::Display + Send,
    {
        metrics::job_begins(name);
        let own = self.clone();
        self.spawn(async move {
            while !own.is_stopped() {
                if !own.held.load(SeqCst) {
                    run(name, work()).await;
                }
                tokio::select! {
                    () = own.stopped() => {}
                    () = wake.wanted() => {}
                    () = tokio::time::sleep(interval) => {}
                }
            }
        });
    }

    /// Holds all that runs by intervals, or lets it go on: what a process can't finish now is left to others, with its tries.
    pub fn hold(&self, held: bool) {
        self.held.store(held, SeqCst);
    }

    /// Tells every task to end; does not wait.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether tasks shall end.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Resolves when tasks shall end.
    pub fn stopped(&self) -> WaitForCancellationFuture<'_> {
        self.stop.cancelled()
    }

    /// Tells every task to end and waits until all have; answers whether they did in this time. What is cut off then is done
    /// again by the next process.
    pub async fn end(&self, within: Duration) -> bool {
        self.stop();
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }
}

async fn run<E: std::fmt::Display>(name: &'static str, work: impl Future<Output = Result<(), E>>) {
    let started = Instant::now();
    let done = work.await;
    metrics::job_ran(name, done.is_ok(), started.elapsed());
    if let Err(error) = done {
        tracing::error!(job = name, error = %error, "job.failed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn the_batch_in_hand_is_finished_and_no_other_begun() {
        let (background, begun, done) = (Background::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counting, counted) = (Arc::clone(&begun), Arc::clone(&done));
        background.every("test", Duration::ZERO, Wake::alone(), move || {
            let (begun, done) = (Arc::clone(&counting), Arc::clone(&counted));
            async move {
                begun.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_secs(2)).await;
                done.fetch_add(1, SeqCst);
                Ok::<(), std::fmt::Error>(())
            }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(background.end(Duration::from_secs(5)).await);
        assert_eq!((begun.load(SeqCst), done.load(SeqCst)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_held_is_not_begun() {
        let (background, runs) = (Background::default(), Arc::new(AtomicUsize::new(0)));
        background.hold(true);
        let counting = Arc::clone(&runs);
        background.every("test", Duration::from_secs(1), Wake::alone(), move || {
            counting.fetch_add(1, SeqCst);
            std::future::ready(Ok::<(), std::fmt::Error>(()))
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(runs.load(SeqCst), 0);
        background.hold(false);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(runs.load(SeqCst) >= 4);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_waited_for_without_end() {
        let background = Background::default();
        background.spawn(tokio::time::sleep(LONG));
        assert!(!background.end(Duration::from_secs(5)).await);
    }
}
