//! SQLite: the readers, and the one connection that writes.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
    sqlx::{Connection, Sqlite, pool::PoolOptions},
};

use super::{
    Tx,
    proof::{self, End, Proof},
};

const READERS: u32 = 4;
/// SQLite before this version can corrupt a WAL database when it is reset.
const SQLITE_AT_LEAST: [u32; 3] = [3, 51, 3];
/// A checkpoint comes every so many pages of 4 KiB, so a log of 16 MB stays.
const CHECKPOINT_PAGES: &str = "4000";
/// What grew beyond this (an import, a long reader) is cut when the log begins anew.
const WAL_BYTES: &str = "33554432";
/// How long a broken connection may take to close.
const CLOSES_WITHIN: Duration = Duration::from_secs(1);
/// A database heals only with room for so much, so that it does not break again at once.
const ROOM_BYTES: usize = 256 * 1024;

/// The connections for reads. The file is created when absent.
pub(super) async fn open_readers(file: &Path) -> Result<DatabaseConnection, DbErr> {
    let mut options = options(file, "rwc", READERS);
    options.map_sqlx_sqlite_pool_opts(close_if_unended);
    Database::connect(options).await
}

/// A connection whose transaction did not end is closed and not used again: SQLite ended it by itself, and the driver counts on.
fn close_if_unended(pool: PoolOptions<Sqlite>) -> PoolOptions<Sqlite> {
    pool.after_release(|connection, _| {
        Box::pin(async move {
            if connection.is_in_transaction() {
                // The rollback of a transaction that was dropped stands in the queue before this.
                connection.ping().await?;
            }
            Ok(proof::is_off() || !connection.is_in_transaction())
        })
    })
}

fn options(file: &Path, mode: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode={mode}", file.display()));
    options.max_connections(connections).min_connections(1).sqlx_logging(false).test_before_acquire(false);
    options.acquire_timeout(Duration::from_secs(10)).map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            .pragma("cache_size", "-65536")
            .pragma("mmap_size", "268435456")
            // A container has no other place to write than its data directory.
            .pragma("temp_store", "MEMORY")
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("journal_size_limit", WAL_BYTES)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            .statement_cache_capacity(512)
    });
    options
}

/// The one connection that writes, with the proof of what became of its transaction. After an error of any of its functions it
/// must not be used again.
pub(super) struct WriteConnection {
    pool: DatabaseConnection,
    proof: Proof,
}

impl WriteConnection {
    /// Opens the file, creating it when absent.
    pub async fn create(file: &Path) -> Result<Self, DbErr> {
        let connection = Self::connect(file, "rwc").await?;
        refuse_old_sqlite(&connection.pool).await?;
        Ok(connection)
    }

    /// Opens the file again, and has seen a small write committed.
    pub async fn reopen(file: PathBuf) -> Result<Self, DbErr> {
        let beside = file.with_extension("room");
        let made = tokio::task::spawn_blocking(move || make_room(&beside)).await;
        made.map_err(io::Error::other).flatten().map_err(|error| DbErr::Custom(format!("no room for a write: {error}")))?;
        // A file that is gone is not made anew: it would be empty.
        let connection = Self::connect(&file, "rw").await?;
        let tx = connection.begin().await?;
        // Nobody reads it. It writes the first page, whatever stood there.
        tx.execute_unprepared("PRAGMA user_version = 1").await?;
        connection.commit(tx).await?;
        Ok(connection)
    }

    async fn connect(file: &Path, mode: &str) -> Result<Self, DbErr> {
        let proof = Proof::default();
        let watched = proof.clone();
        let mut options = options(file, mode, 1);
        options.map_sqlx_sqlite_pool_opts(move |pool| {
            let watched = watched.clone();
            pool.after_connect(move |connection, _| {
                let watched = watched.clone();
                Box::pin(async move { watched.watch(connection).await })
            })
        });
        Ok(Self { pool: Database::connect(options).await?, proof })
    }

    /// Begins a transaction that nobody else can write beside.
    pub async fn begin(&self) -> Result<Tx, DbErr> {
        self.proof.begin();
        let options =
            TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
        self.pool.begin_with_options(options).await
    }

    /// `Ok`: all of the transaction is on disk.
    pub async fn commit(&self, tx: Tx) -> Result<(), DbErr> {
        if !self.proof.wants(End::Commit) {
            return Err(lost());
        }
        tx.commit().await?;
        if self.proof.shows(End::Commit) { Ok(()) } else { Err(lost()) }
    }

    /// `Ok`: nothing of the transaction is left, and the connection can go on.
    pub async fn rollback(&self, tx: Tx) -> Result<(), DbErr> {
        if !self.proof.wants(End::Rollback) {
            return Err(lost());
        }
        tx.rollback().await?;
        if self.proof.shows(End::Rollback) { Ok(()) } else { Err(lost()) }
    }

    /// Closes it for good. What was in a transaction is rolled back.
    pub async fn close(self) {
        let _closes_later = tokio::time::timeout(CLOSES_WITHIN, self.pool.close()).await;
    }
}

fn lost() -> DbErr {
    DbErr::Custom("SQLite ended the transaction by itself: nothing of it is kept".to_owned())
}

/// Writes a file and removes it.
fn make_room(file: &Path) -> io::Result<()> {
    let written = fs::File::create(file).and_then(|mut made| made.write_all(&vec![1; ROOM_BYTES]).and_then(|()| made.sync_all()));
    let removed = fs::remove_file(file);
    written.and(removed)
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
