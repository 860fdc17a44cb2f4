//! Background work: a loop that runs at an interval, or at once when woken, until cancelled.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{bus::Wake, metrics};

/// Runs `work` every `interval` and whenever `wake` is notified. The batch in hand is finished before the loop ends.
pub fn every<F, Fut, E>(name: &'static str, interval: Duration, wake: Wake, cancel: CancellationToken, work: F) -> JoinHandle<()>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: std::fmt::Display + Send,
{
    tokio::spawn(async move {
        while !cancel.is_cancelled() {
            run(name, work()).await;
            tokio::select! {
                () = cancel.cancelled() => {}
                () = wake.wanted() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    })
}

async fn run<E: std::fmt::Display>(name: &'static str, work: impl Future<Output = Result<(), E>>) {
    let started = Instant::now();
    let done = work.await;
    metrics::job_ran(name, done.is_ok(), started.elapsed());
    if let Err(error) = done {
        tracing::error!(job = name, error = %error, "job.failed");
    }
}
