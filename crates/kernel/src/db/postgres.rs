//! PostgreSQL: a pool with limits, and a migration that many processes may begin at once.

use std::{cell::Cell, sync::Arc, time::Duration};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use super::{
    Db, Tx, Writer, copy_of,
    health::{Health, is_storage_fault},
    hosts::{Guard, Hosts},
    job::{Finished, Job},
    proof, sql, without_url,
};

/// A connection that rested longer than this is tried before it is used: the server may have gone meanwhile.
const TRUSTED_FOR: Duration = Duration::from_millis(500);
/// How long a request waits for a connection.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(3);
/// Every process of an installation queues here before it touches the tables: "berth" in ASCII.
const MIGRATION_LOCK: i64 = 0x62_6572_7468;
/// How often a database that takes no writes is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// A small write that needs room in the data files and in the log, and leaves nothing behind.
const SMALL_WRITE: &str = "CREATE TEMPORARY TABLE berth_room ON COMMIT DROP AS \
                           SELECT repeat('x', 1000) AS filler FROM generate_series(1, 256)";

tokio::task_local! {
    /// Whether a statement of the write that this task runs has failed.
    static STATEMENT_FAILED: Cell<bool>;
}

/// What a process may ask of one PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub struct PostgresLimits {
    /// Connections of the pool.
    pub max_connections: u32,
    /// The server gives a statement up after this time.
    pub statement_timeout: Duration,
    /// The server gives waiting for a lock up after this time.
    pub lock_timeout: Duration,
}

impl PostgresLimits {
    /// A number of connections, with timeouts of 5 and 2 seconds.
    pub const fn connections(max_connections: u32) -> Self {
        Self { max_connections, statement_timeout: Duration::from_secs(5), lock_timeout: Duration::from_secs(2) }
    }

    fn options(self) -> [(&'static str, String); 5] {
        let millis = |time: Duration| time.as_millis().to_string();
        [
            ("statement_timeout", millis(self.statement_timeout)),
            ("lock_timeout", millis(self.lock_timeout)),
            // A process that hangs in a transaction must not hold its locks for ever.
            ("idle_in_transaction_session_timeout", millis(self.statement_timeout * 2)),
            // A statement that was planned while its table was empty is kept, and would go on reading all of it.
            ("enable_seqscan", "off".to_owned()),
            // Compiling a statement takes longer than any of ours runs.
            ("jit", "off".to_owned()),
        ]
    }
}

impl Db {
    /// Opens a PostgreSQL database by URL with so many connections; `schema` is the service's own schema, created when absent.
    pub async fn open_postgres(url: &str, schema: &str, max_connections: u32) -> Result<Self, DbErr> {
        Self::open_postgres_within(url, schema, PostgresLimits::connections(max_connections)).await
    }

    /// Opens a PostgreSQL database with these limits.
    pub async fn open_postgres_within(url: &str, schema: &str, limits: PostgresLimits) -> Result<Self, DbErr> {
        let db = Self::open_postgres_as_it_is(url, schema, limits).await?;
        create_schema(&db.read, schema).await?;
        Ok(db)
    }

    /// Opens a PostgreSQL database with these limits, and makes nothing in it.
    pub async fn open_postgres_as_it_is(url: &str, schema: &str, limits: PostgresLimits) -> Result<Self, DbErr> {
        let hosts = Hosts::read(url)?.with(|options| options.application_name("berth").options(limits.options()));
        let (first, guard) = (hosts.choose().await?, hosts.guard());
        let mut options = ConnectOptions::new("postgres://");
        options.max_connections(limits.max_connections).min_connections(1).sqlx_logging(false);
        options.acquire_timeout(ACQUIRE_WITHIN).connect_timeout(ACQUIRE_WITHIN).test_before_acquire_if_idle_for(TRUSTED_FOR);
        options.set_schema_search_path(schema.to_owned());
        options.map_sqlx_postgres_opts(move |_| first.clone());
        if let Some(guard) = guard.clone() {
            let schema = schema.to_owned();
            options.map_sqlx_postgres_pool_opts(move |pool| Guard::admit_to(pool, &schema));
            options.map_sqlx_postgres_before_acquire(move |_, connection| {
                let is_current = !guard.is_stale(&connection);
                Box::pin(async move { Ok(is_current) })
            });
        }
        let mut pool = Database::connect(options).await.map_err(|error| without_url(url, error))?;
        if let Some(guard) = guard {
            tokio::spawn(hosts.follow(pool.get_postgres_connection_pool().clone(), guard));
        }
        // A failure outside of a write is nobody's matter here.
        pool.set_metric_callback(|statement| _ = STATEMENT_FAILED.try_with(|failed| failed.set(failed.get() | statement.failed)));
        Ok(Self { read: pool.clone(), writer: Writer::Pool(pool), health: Arc::new(Health::new(schema)) })
    }

    /// Brings the tables to the newest version. Any number of processes may do so at once: they take turns.
    pub async fn migrate<M: MigratorTrait>(&self) -> Result<(), DbErr> {
        if self.backend() != DatabaseBackend::Postgres {
            return M::up(&self.read, None).await;
        }
        let turn = self.read.begin().await?;
        queue_for_migration(&turn).await?;
        // On other connections of the pool: a migration has transactions of its own.
        M::up(&self.read, None).await?;
        turn.commit().await
    }

    /// Whether there is a table of this name.
    pub async fn has_table(&self, name: &str) -> Result<bool, DbErr> {
        let tables = match self.backend() {
            DatabaseBackend::Postgres => {
                "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1"
            }
            _ => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1",
        };
        Ok(self.read.query_one_raw(sql(&self.read, tables, [name.into()])).await?.is_some())
    }

    /// Migrations that the database has had, oldest first.
    pub async fn applied_migrations(&self) -> Result<Vec<String>, DbErr> {
        if !self.has_table("seaql_migrations").await? {
            return Ok(Vec::new());
        }
        let rows = self.read.query_all_raw(sql(&self.read, "SELECT version FROM seaql_migrations ORDER BY version", [])).await?;
        rows.iter().map(|row| row.try_get("", "version")).collect()
    }

    /// Migrations that the database has and this program does not know: it was made by a newer one.
    pub async fn unknown_migrations<M: MigratorTrait>(&self) -> Result<Vec<String>, DbErr> {
        let known = names::<M>();
        Ok(self.applied_migrations().await?.into_iter().filter(|version| !known.contains(version)).collect())
    }

    /// Migrations that this program knows and the database has not had yet.
    pub async fn pending_migrations<M: MigratorTrait>(&self) -> Result<Vec<String>, DbErr> {
        let applied = self.applied_migrations().await?;
        Ok(names::<M>().into_iter().filter(|name| !applied.contains(name)).collect())
    }

    /// Ends all connections, so that nothing of this database stays open.
    pub async fn close(self) -> Result<(), DbErr> {
        self.read.close().await
    }
}

fn names<M: MigratorTrait>() -> Vec<String> {
    M::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// One write in a transaction of its own. The pool rolls back what is left of it before it lends the connection again.
pub(super) async fn run_alone(pool: DatabaseConnection, job: Box<dyn Job>, health: Arc<Health>) {
    let tx = match pool.begin().await {
        Ok(tx) => tx,
        Err(error) => return job.fail(error),
    };
    let work = async { (job.run(&tx).await, STATEMENT_FAILED.with(Cell::get)) };
    let (Finished { keep, fault, answer }, doubtful) = STATEMENT_FAILED.scope(Cell::new(false), work).await;
    let ended = if keep { commit(tx, doubtful).await } else { tx.rollback().await };
    let fault = fault.or_else(|| ended.as_ref().err().filter(|error| is_storage_fault(error)).map(copy_of));
    answer(if keep { ended } else { Ok(()) });
    if fault.is_some_and(|fault| health.breaks(&fault)) {
        try_until_healed(pool, health).await;
    }
}

/// PostgreSQL answers a COMMIT with a rollback, and calls that a success, when a statement of the transaction failed. If one did,
/// another statement tells whether a savepoint has healed that.
async fn commit(tx: Tx, doubtful: bool) -> Result<(), DbErr> {
    if doubtful && !proof::is_off() {
        tx.execute_unprepared("SELECT 1").await?;
    }
    tx.commit().await
}

async fn try_until_healed(pool: DatabaseConnection, health: Arc<Health>) {
    loop {
        tokio::time::sleep(TRY_EVERY).await;
        match try_to_write(&pool).await {
            Ok(()) => return health.heals(),
            Err(error) => {
                health.breaks(&error);
            }
        }
    }
}

async fn try_to_write(pool: &DatabaseConnection) -> Result<(), DbErr> {
    let tx = pool.begin().await?;
    tx.execute_unprepared(SMALL_WRITE).await?;
    tx.commit().await
}

async fn create_schema(pool: &DatabaseConnection, schema: &str) -> Result<(), DbErr> {
    let turn = pool.begin().await?;
    queue_for_migration(&turn).await?;
    turn.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")).await?;
    turn.commit().await
}

async fn queue_for_migration(turn: &impl ConnectionTrait) -> Result<(), DbErr> {
    wait_patiently(turn).await?;
    turn.execute_raw(sql(turn, "SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK.into()])).await.map(|_| ())
}

/// Lets one transaction of all processes at a time do what this name stands for; the others wait until it ends. SQLite has
/// one writer anyway.
pub async fn exclusive(tx: &Tx, name: &str) -> Result<(), DbErr> {
    if tx.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    wait_patiently(tx).await?;
    tx.execute_raw(sql(tx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [name.into()])).await.map(|_| ())
}

/// The transaction waits as long as it takes: whoever is before it may need longer than a statement may.
async fn wait_patiently(turn: &impl ConnectionTrait) -> Result<(), DbErr> {
    let patience =
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
    turn.execute_unprepared(patience).await.map(|_| ())
}
