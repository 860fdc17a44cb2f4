//! One service's database: SQLite (one file) or PostgreSQL.
//!
//! On SQLite there is one writer. It takes every write that waits, runs each in a savepoint of its own inside one
//! transaction, and answers all of them after the one commit: one disk flush serves many writes (group commit).
//! A write runs to its end even when its caller goes away. On PostgreSQL each write is a transaction of its own.
//! docs/decisions/0020 says what happens when the storage fails.

use std::{future::Future, path::Path, pin::Pin, sync::Arc, time::Instant};

use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, Statement,
    TransactionOptions, TransactionTrait, Value,
};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use crate::{metrics, telemetry::Origin};

mod health;
mod hosts;
mod job;
mod postgres;
mod proof;
mod reach;
mod sqlite;
mod table;
mod writer;

use health::Health;
use job::{Job, Task};
pub use postgres::{PostgresLimits, exclusive};
pub(crate) use reach::without_url;
pub use reach::{Unreached, reach_postgres, sqlite_fault};
use sqlite::WriteConnection;
pub use table::{rows_placeholder, table};

/// The handle a write works on.
pub type Tx = DatabaseTransaction;
/// What a write returns.
pub type Work<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

const QUEUE: usize = 8192;
/// How often a write is tried that the database breaks off in favour of another.
const TRIES: u32 = 8;
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";

/// A service's database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    read: DatabaseConnection,
    writer: Writer,
    health: Arc<Health>,
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
        let write = WriteConnection::create(path).await?;
        let read = sqlite::open_readers(path).await?;
        let health = Arc::new(Health::new(&path.file_stem().unwrap_or_default().to_string_lossy()));
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(writer::run(path.to_owned(), write, receiver, Arc::clone(&health)));
        Ok(Self { read, writer: Writer::Queue(sender), health })
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

    /// Why nothing can be written now, if so: its storage failed a write, and none was committed since.
    pub fn problem(&self) -> Option<String> {
        self.health.problem()
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
        E: From<DbErr> + Undoing + Send + 'static,
    {
        let started = Instant::now();
        let (answer, answered) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Task { work, origin: Origin::current(), asked: started, answer });
        match &self.writer {
            Writer::Queue(queue) => queue.send(job).await.map_err(|_| stopped())?,
            Writer::Pool(pool) => {
                tokio::spawn(postgres::run_alone(pool.clone(), job, Arc::clone(&self.health)));
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

/// `DbErr` can't be cloned; each waiting caller gets the text.
fn copy_of(error: &DbErr) -> DbErr {
    DbErr::Custom(text_of(error))
}

/// What an error says, however often it was copied.
fn text_of(error: &DbErr) -> String {
    match error {
        DbErr::Custom(text) => text.clone(),
        other => other.to_string(),
    }
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
    health::code_of(error).is_some_and(|code| code == SERIALIZATION_FAILURE || code == DEADLOCK_DETECTED)
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
