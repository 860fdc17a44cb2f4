//! The one writer of SQLite: takes what waits, writes it in one transaction, answers after the commit.
//!
//! A connection is never used again after a begin, a commit, a rollback or a savepoint failed on it, nor after SQLite ended its
//! transaction by itself. A new one takes its place once it has committed a small write; until then whoever writes is refused.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use sea_orm::{DbErr, TransactionTrait};
use tokio::{sync::mpsc, time};

use super::{
    Tx, copy_of,
    health::Health,
    job::{Finished, Job},
    proof,
    sqlite::WriteConnection,
    text_of,
};

const MAX_BATCH: usize = 256;
/// How long writes wait for a new connection before they are refused.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Longer than a busy database is waited for.
const TRY_WITHIN: Duration = Duration::from_secs(8);
/// Pauses between two tries: this, doubled up to a second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Writes that wait for the writer.
pub(super) type Queue = mpsc::Receiver<Box<dyn Job>>;

/// Works until nobody can write any more.
pub(super) async fn run(file: PathBuf, first: WriteConnection, mut queue: Queue, health: Arc<Health>) {
    let mut connection = first;
    while let Some(error) = write_until_broken(&connection, &mut queue).await {
        connection.close().await;
        let Some(next) = Box::pin(replace(&file, &error, &mut queue, &health)).await else { return };
        connection = next;
    }
}

/// `None`: nobody can write any more.
async fn write_until_broken(connection: &WriteConnection, queue: &mut Queue) -> Option<DbErr> {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let wrote = AssertUnwindSafe(write(connection, std::mem::take(&mut batch))).catch_unwind().await;
        let wrote = wrote.unwrap_or_else(|_| Err(DbErr::Custom("the writer panicked".to_owned())));
        if let Some(error) = wrote.err().filter(|_| !proof::is_off()) {
            return Some(error);
        }
    }
    None
}

/// A connection in place of one that broke.
async fn replace(file: &Path, error: &DbErr, queue: &mut Queue, health: &Health) -> Option<WriteConnection> {
    let mut refusal = match within(AT_ONCE, WriteConnection::reopen(file.to_owned())).await {
        Ok(connection) => {
            tracing::warn!(database = health.name(), error = %error, "database.reconnected");
            return Some(connection);
        }
        Err(why) => DbErr::Custom(format!("{}; {}", text_of(error), text_of(&why))),
    };
    health.breaks(&refusal);
    let mut pause = FIRST_PAUSE;
    loop {
        refuse_during(queue, &refusal, time::sleep(pause)).await?;
        let next = within(TRY_WITHIN, WriteConnection::reopen(file.to_owned()));
        match Box::pin(refuse_during(queue, &refusal, next)).await? {
            Ok(connection) => {
                health.heals();
                return Some(connection);
            }
            Err(why) => refusal = why,
        }
        health.breaks(&refusal);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    time::timeout(limit, work).await.unwrap_or_else(|_| Err(DbErr::Custom("no answer in time".to_owned())))
}

/// Refuses every write that comes while `wait` lasts. `None`: nobody can write any more.
async fn refuse_during<T>(queue: &mut Queue, error: &DbErr, wait: impl Future<Output = T>) -> Option<T> {
    let mut wait = pin!(wait);
    let mut refused = Vec::new();
    loop {
        tokio::select! {
            done = &mut wait => return Some(done),
            count = queue.recv_many(&mut refused, MAX_BATCH) => {
                if count == 0 {
                    return None;
                }
                fail_all(refused.drain(..), error);
            }
        }
    }
}

/// An error: the connection must not be used again. Every write was answered.
async fn write(connection: &WriteConnection, mut jobs: Vec<Box<dyn Job>>) -> Result<(), DbErr> {
    match jobs.pop() {
        Some(only) if jobs.is_empty() => run_alone(connection, only).await,
        Some(last) => {
            jobs.push(last);
            run_batch(connection, jobs).await
        }
        None => Ok(()),
    }
}

async fn run_alone(connection: &WriteConnection, job: Box<dyn Job>) -> Result<(), DbErr> {
    let tx = match connection.begin().await {
        Ok(tx) => tx,
        Err(error) => {
            job.fail(copy_of(&error));
            return Err(error);
        }
    };
    let Finished { keep, fault, answer } = job.run(&tx).await;
    let ended = if keep { connection.commit(tx).await } else { connection.rollback(tx).await };
    // What refused itself is told its own refusal: alone in its transaction, it saw only what is on disk.
    answer(if keep { ended.as_ref().copied().map_err(copy_of) } else { Ok(()) });
    ended.and(fault.map_or(Ok(()), Err))
}

async fn run_batch(connection: &WriteConnection, jobs: Vec<Box<dyn Job>>) -> Result<(), DbErr> {
    let tx = match connection.begin().await {
        Ok(tx) => tx,
        Err(error) => {
            fail_all(jobs, &error);
            return Err(error);
        }
    };
    let mut finished = Vec::with_capacity(jobs.len());
    let mut broken = None;
    for job in jobs {
        match &broken {
            None => broken = run_in_savepoint(&tx, job, &mut finished).await.err(),
            Some(error) => job.fail(copy_of(error)),
        }
    }
    let ended = match broken {
        None => connection.commit(tx).await,
        Some(error) => {
            let _already_failing = tx.rollback().await;
            Err(error)
        }
    };
    let fault = finished.iter_mut().find_map(|done: &mut Finished| done.fault.take());
    for done in finished {
        // Also to those that refused themselves: they may have seen what a neighbour wrote and is not kept.
        (done.answer)(ended.as_ref().copied().map_err(copy_of));
    }
    ended.and(fault.map_or(Ok(()), Err))
}

/// Runs one write so that it can be undone alone. An error here means that the whole transaction is unusable.
async fn run_in_savepoint(tx: &Tx, job: Box<dyn Job>, finished: &mut Vec<Finished>) -> Result<(), DbErr> {
    let savepoint = match tx.begin().await {
        Ok(savepoint) => savepoint,
        Err(error) => {
            job.fail(copy_of(&error));
            return Err(error);
        }
    };
    let done = job.run(&savepoint).await;
    let keep = done.keep;
    finished.push(done);
    if keep { savepoint.commit().await } else { savepoint.rollback().await }
}

fn fail_all(jobs: impl IntoIterator<Item = Box<dyn Job>>, error: &DbErr) {
    for job in jobs {
        job.fail(copy_of(error));
    }
}
