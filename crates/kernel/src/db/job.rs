//! Writes that wait for their transaction.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, time::Instant};

use futures_util::FutureExt;
use sea_orm::DbErr;
use tokio::sync::oneshot;

use super::{Tx, Undoing, Work, copy_of, health::is_storage_fault};
use crate::{metrics, telemetry::Origin};

/// A write that waits, with the way to answer it.
pub(super) trait Job: Send {
    fn run<'c>(self: Box<Self>, tx: &'c Tx) -> Pin<Box<dyn Future<Output = Finished> + Send + 'c>>;
    fn fail(self: Box<Self>, error: DbErr);
}

/// A write that ran.
pub(super) struct Finished {
    /// Whether it wants to be kept.
    pub keep: bool,
    /// What the storage did to it: the next write may fail too.
    pub fault: Option<DbErr>,
    /// Tells its caller, once the transaction's outcome is known.
    pub answer: Box<dyn FnOnce(Result<(), DbErr>) + Send>,
}

pub(super) struct Task<T, E, F> {
    pub work: F,
    /// The writer is another task: what caused the write goes along.
    pub origin: Origin,
    pub asked: Instant,
    pub answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Task<T, E, F>
where
    F: for<'c> FnOnce(&'c Tx) -> Work<'c, T, E> + Send + 'static,
    T: Send + 'static,
    E: From<DbErr> + Undoing + Send + 'static,
{
    fn run<'c>(self: Box<Self>, tx: &'c Tx) -> Pin<Box<dyn Future<Output = Finished> + Send + 'c>> {
        Box::pin(async move {
            let Self { work, origin, asked, answer } = *self;
            metrics::write_waited(asked.elapsed());
            let panicked = || Err(E::from(DbErr::Custom("a write panicked".to_owned())));
            let result = AssertUnwindSafe(origin.keep(work(tx))).catch_unwind().await.unwrap_or_else(|_| panicked());
            let keep = result.is_ok();
            let error = result.as_ref().err().and_then(Undoing::database);
            let fault = error.filter(|error| is_storage_fault(error)).map(copy_of);
            let deliver = move |ended: Result<(), DbErr>| {
                // The caller may have gone; the change stands either way.
                let _gone = answer.send(ended.map_err(E::from).and(result));
            };
            Finished { keep, fault, answer: Box::new(deliver) }
        })
    }

    fn fail(self: Box<Self>, error: DbErr) {
        let _gone = self.answer.send(Err(error.into()));
    }
}
