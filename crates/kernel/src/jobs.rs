//! Background work: a loop that runs at an interval, or at once when woken, until cancelled.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Runs `work` every `interval` and whenever `wake` is notified. The batch in hand is finished before the loop ends.
pub fn every<F, Fut, E>(
    name: &'static str,
    interval: Duration,
    wake: Arc<Notify>,
    cancel: CancellationToken,
    work: F,
) -> JoinHandle<()>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
    E: std::fmt::Display + Send,
{
    tokio::spawn(async move {
        while !cancel.is_cancelled() {
            if let Err(error) = work().await {
                tracing::error!(job = name, error = %error, "job.failed");
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = wake.notified() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    })
}
