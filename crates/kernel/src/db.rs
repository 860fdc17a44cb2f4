//! One service's database: SQLite (one file) or PostgreSQL.
//!
//! On SQLite there is one writer. It takes every write that waits, runs each in a savepoint of its own inside one
//! transaction, and answers all of them after the one commit: one disk flush serves many writes (group commit).
//! A write runs to its end even when its caller goes away. On PostgreSQL each write is a transaction of its own.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    path::Path,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use crate::{metrics, telemetry::Origin};

mod postgres;
mod reach;
mod table;

pub use postgres::{PostgresLimits, exclusive};
pub(crate) use reach::without_url;
pub use reach::{Unreached, reach_postgres, sqlite_fault};
pub use table::{rows_placeholder, table};

/// The handle a write works on.
pub type Tx = DatabaseTransaction;
/// What a write returns.
pub type Work<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

const READERS: u32 = 4;
const MAX_BATCH: usize = 256;
const QUEUE: usize = 8192;
/// How often a write is tried that the database breaks off in favour of another.
const TRIES: u32 = 8;
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";
/// SQLite before this version can corrupt a WAL database when it is reset.
const SQLITE_AT_LEAST: [u32; 3] = [3, 51, 3];

/// A service's database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    read: DatabaseConnection,
    writer: Writer,
}

#[derive(Clone)]
enum Writer {
    /// Queue of the one writer.
    Queue(mpsc::Sender<Box<dyn Job>>),
    /// PostgreSQL writes concurrently.
    Pool(DatabaseConnection),
}

impl Db {
    /// Opens a SQLite file, creating it when absent. Must be called inside a Tokio runtime: the writer lives there.
    pub async fn open_sqlite(path: &Path) -> Result<Self, DbErr> {
        let write = Database::connect(sqlite_options(path, 1)).await?;
        refuse_old_sqlite(&write).await?;
        let read = Database::connect(sqlite_options(path, READERS)).await?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run_writer(write, receiver));
        Ok(Self { read, writer: Writer::Queue(sender) })
    }

    /// The connection for reads outside a transaction. On SQLite a read sees what was committed before it began.
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// A reader that sees one instant for as long as it lives: for what several statements read and must fit together.
    pub async fn snapshot(&self) -> Result<Tx, DbErr> {
        let isolation_level = (self.backend() == DatabaseBackend::Postgres).then_some(IsolationLevel::RepeatableRead);
        self.read.begin_with_options(TransactionOptions { isolation_level, ..Default::default() }).await
    }

    /// Whether all writes queue for one writer (SQLite), so that a service gains by writing several things at once.
    pub fn has_one_writer(&self) -> bool {
        matches!(self.writer, Writer::Queue(_))
    }

    /// Which SQL dialect is spoken.
    pub fn backend(&self) -> DatabaseBackend {
        self.read.get_database_backend()
    }

    /// Connections of the pool that work, and those that rest. On SQLite of the readers.
    pub fn connections(&self) -> (u32, u32) {
        let (all, idle) = if self.backend() == DatabaseBackend::Postgres {
            let pool = self.read.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        } else {
            let pool = self.read.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        };
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(all);
        (all - idle, idle)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.read.query_one_raw(Statement::from_string(self.backend(), "SELECT 1")).await.map(|_| ())
    }

    /// Lets the database check itself; an error tells what is broken.
    pub async fn integrity(&self) -> Result<(), DbErr> {
        if self.backend() != DatabaseBackend::Sqlite {
            return Ok(());
        }
        let statement = Statement::from_string(DatabaseBackend::Sqlite, "PRAGMA quick_check");
        let row = self.read.query_one_raw(statement).await?;
        let verdict: String = row.map_or_else(|| Ok("no answer".to_owned()), |row| row.try_get_by_index(0))?;
        if verdict == "ok" { Ok(()) } else { Err(DbErr::Custom(verdict)) }
    }

    /// Runs `work` in a transaction: `Ok` commits, `Err` rolls all of it back. When this returns `Ok`, the change is on disk.
    ///
    /// ```ignore
    /// db.write(move |tx| Box::pin(async move { store::hold::insert(tx, &hold).await })).await
    /// ```
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c Tx) -> Work<'c, T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DbErr> + Send + 'static,
    {
        let started = Instant::now();
        let (answer, answered) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Task { work, origin: Origin::current(), answer });
        match &self.writer {
            Writer::Queue(queue) => queue.send(job).await.map_err(|_| stopped())?,
            Writer::Pool(pool) => {
                let pool = pool.clone();
                tokio::spawn(async move { run_alone(&pool, TransactionOptions::default(), job).await });
            }
        }
        let span = tracing::info_span!("database.write");
        let done = answered.instrument(span).await.map_err(|_| stopped())?;
        metrics::wrote(started.elapsed());
        done
    }

    /// [`Db::write`] for work that can be done again: what the database breaks off in favour of another transaction (a
    /// deadlock, a serialization failure) is repeated.
    pub async fn write_again<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'c> Fn(&'c Tx) -> Work<'c, T, E> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<DbErr> + Undoing + Send + 'static,
    {
        let mut tries = 1;
        loop {
            match self.write(work.clone()).await {
                Err(error) if tries < TRIES && error.database().is_some_and(is_broken_off) => {
                    tracing::debug!(tries, "db.write.repeated");
                    tries += 1;
                }
                done => return done,
            }
        }
    }
}

fn stopped() -> DbErr {
    DbErr::Custom("the writer stopped before it answered".to_owned())
}

fn sqlite_options(path: &Path, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    options.max_connections(connections).min_connections(1).sqlx_logging(false).test_before_acquire(false);
    options.acquire_timeout(Duration::from_secs(10)).map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            .pragma("cache_size", "-65536")
            .pragma("mmap_size", "268435456")
            .pragma("wal_autocheckpoint", "4000")
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(512)
    });
    options
}

async fn refuse_old_sqlite(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let statement = Statement::from_string(DatabaseBackend::Sqlite, "SELECT sqlite_version() AS version");
    let row = connection.query_one_raw(statement).await?;
    let version: String = row.map_or_else(|| Ok(String::new()), |row| row.try_get("", "version"))?;
    let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if parts.as_slice() >= SQLITE_AT_LEAST.as_slice() {
        return Ok(());
    }
    Err(DbErr::Custom(format!("SQLite {version} is too old: 3.51.3 or newer is needed")))
}

/// A write that waits, with the way to answer it.
trait Job: Send {
    fn run<'c>(self: Box<Self>, tx: &'c Tx) -> Pin<Box<dyn Future<Output = Finished> + Send + 'c>>;
    fn fail(self: Box<Self>, error: DbErr);
}

/// A write that ran: whether it wants to be kept, and what to tell its caller once the commit's outcome is known.
struct Finished {
    keep: bool,
    answer: Box<dyn FnOnce(Result<(), DbErr>) + Send>,
}

struct Task<T, E, F> {
    work: F,
    /// The writer is another task: what caused the write goes along.
    origin: Origin,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Task<T, E, F>
where
    F: for<'c> FnOnce(&'c Tx) -> Work<'c, T, E> + Send + 'static,
    T: Send + 'static,
    E: From<DbErr> + Send + 'static,
{
    fn run<'c>(self: Box<Self>, tx: &'c Tx) -> Pin<Box<dyn Future<Output = Finished> + Send + 'c>> {
        Box::pin(async move {
            let Self { work, origin, answer } = *self;
            let panicked = || Err(E::from(DbErr::Custom("a write panicked".to_owned())));
            let result = AssertUnwindSafe(origin.keep(work(tx))).catch_unwind().await.unwrap_or_else(|_| panicked());
            let keep = result.is_ok();
            let deliver = move |commit: Result<(), DbErr>| {
                // The caller may have gone; the change stands either way.
                let _gone = answer.send(commit.map_err(E::from).and(result));
            };
            Finished { keep, answer: Box::new(deliver) }
        })
    }

    fn fail(self: Box<Self>, error: DbErr) {
        let _gone = self.answer.send(Err(error.into()));
    }
}

async fn run_writer(connection: DatabaseConnection, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while queue.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let mut jobs = std::mem::take(&mut batch);
        match jobs.pop() {
            Some(only) if jobs.is_empty() => run_alone(&connection, immediate(), only).await,
            Some(last) => {
                jobs.push(last);
                run_batch(&connection, jobs).await;
            }
            None => {}
        }
    }
}

fn immediate() -> TransactionOptions {
    TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() }
}

async fn run_alone(connection: &DatabaseConnection, options: TransactionOptions, job: Box<dyn Job>) {
    let tx = match connection.begin_with_options(options).await {
        Ok(tx) => tx,
        Err(error) => return job.fail(error),
    };
    let Finished { keep, answer } = job.run(&tx).await;
    let end = if keep { tx.commit().await } else { tx.rollback().await };
    answer(if keep { end } else { Ok(()) });
}

async fn run_batch(connection: &DatabaseConnection, jobs: Vec<Box<dyn Job>>) {
    let tx = match connection.begin_with_options(immediate()).await {
        Ok(tx) => tx,
        Err(error) => return fail_all(jobs, &error),
    };
    let mut finished = Vec::with_capacity(jobs.len());
    let mut broken = None;
    for job in jobs {
        match &broken {
            None => match run_in_savepoint(&tx, job).await {
                Ok(done) => finished.push(done),
                Err((done, error)) => {
                    finished.extend(done);
                    broken = Some(error);
                }
            },
            Some(error) => job.fail(copy_of(error)),
        }
    }
    let end = match broken {
        None => tx.commit().await,
        Some(error) => {
            let _already_failing = tx.rollback().await;
            Err(error)
        }
    };
    let end = end.map_err(Arc::new);
    for Finished { keep, answer } in finished {
        answer(if keep { end.clone().map_err(|error| copy_of(&error)) } else { Ok(()) });
    }
}

/// Runs one write so that it can be undone alone. An error here means that the whole transaction is unusable.
async fn run_in_savepoint(tx: &Tx, job: Box<dyn Job>) -> Result<Finished, (Option<Finished>, DbErr)> {
    let savepoint = match tx.begin().await {
        Ok(savepoint) => savepoint,
        Err(error) => {
            job.fail(copy_of(&error));
            return Err((None, error));
        }
    };
    let finished = job.run(&savepoint).await;
    let end = if finished.keep { savepoint.commit().await } else { savepoint.rollback().await };
    match end {
        Ok(()) => Ok(finished),
        Err(error) => Err((Some(finished), error)),
    }
}

fn fail_all(jobs: Vec<Box<dyn Job>>, error: &DbErr) {
    for job in jobs {
        job.fail(copy_of(error));
    }
}

/// `DbErr` can't be cloned; each waiting caller gets the text.
fn copy_of(error: &DbErr) -> DbErr {
    DbErr::Custom(error.to_string())
}

/// A statement with `$1`-style placeholders, which both dialects read.
pub fn sql(connection: &impl ConnectionTrait, text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), text, values)
}

/// An SQL expression for the present instant by the database's own clock, in milliseconds since 1970: several processes with
/// clocks of their own agree on it.
pub fn now_ms(connection: &impl ConnectionTrait) -> &'static str {
    match connection.get_database_backend() {
        DatabaseBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        _ => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    }
}

/// Lets the transactions that name the same keys pass one after the other. The keys are locked in one order, so no two
/// transactions that ask once wait for each other in a circle. SQLite has one writer anyway.
pub async fn queue_on(tx: &Tx, keys: impl IntoIterator<Item = uuid::Uuid>) -> Result<(), DbErr> {
    if tx.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    let fold = |(high, low): (u64, u64)| i64::from_ne_bytes((high ^ low).to_ne_bytes());
    let keys: std::collections::BTreeSet<i64> = keys.into_iter().map(|key| fold(key.as_u64_pair())).collect();
    let array = format!("{{{}}}", keys.iter().map(i64::to_string).collect::<Vec<_>>().join(","));
    let text = "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST($1 AS bigint[])) AS key";
    tx.execute_raw(sql(tx, text, [array.into()])).await.map(|_| ())
}

/// The end of a SELECT that locks its rows and passes over those that others have locked. SQLite has one writer anyway.
pub fn skip_locked(connection: &impl ConnectionTrait) -> &'static str {
    if connection.get_database_backend() == DatabaseBackend::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" }
}

/// The end of a SELECT whose rows nobody else changes before the transaction ends; it waits for who changes them now. SQLite
/// has one writer anyway.
pub fn locked(tx: &Tx) -> &'static str {
    if tx.get_database_backend() == DatabaseBackend::Postgres { " FOR UPDATE" } else { "" }
}

/// An error that undoes a write, and may come from the database.
pub trait Undoing {
    /// The database's error, if it is one.
    fn database(&self) -> Option<&DbErr>;
}

impl Undoing for DbErr {
    fn database(&self) -> Option<&DbErr> {
        Some(self)
    }
}

/// Whether the database broke a transaction off in favour of another: done again as it was, it can succeed.
fn is_broken_off(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    let code = error.as_database_error().and_then(sea_orm::sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == SERIALIZATION_FAILURE || code == DEADLOCK_DETECTED)
}

/// Lets the transaction commit before it is on disk, for notes whose loss only repeats work. SQLite shares its flushes anyway.
pub async fn relax_commit(tx: &Tx) -> Result<(), DbErr> {
    if tx.get_database_backend() == DatabaseBackend::Postgres {
        tx.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
    }
    Ok(())
}

/// The service whose database this is: the schema's or the file's name.
pub async fn service_name(db: &Db) -> Result<String, DbErr> {
    let text = match db.backend() {
        DatabaseBackend::Postgres => "SELECT CAST(current_schema() AS TEXT) AS name",
        _ => "SELECT file AS name FROM pragma_database_list WHERE name = 'main'",
    };
    let row = db.read.query_one_raw(sql(&db.read, text, [])).await?;
    let name: String = row.map_or_else(|| Ok(String::new()), |row| row.try_get("", "name"))?;
    Ok(Path::new(&name).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()))
}
