//! Copies of databases while they are in use. All databases of a copy are of one instant: what spans two services is in both or
//! in neither.

use std::path::{Path, PathBuf};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

use crate::db::without_url;

/// How many rows each table of a database has, in the order of their names.
pub type Counts = Vec<(String, i64)>;

/// Copies SQLite files, each from its first path to its second, which must not exist. Writers wait while it copies; readers don't.
pub async fn copy_sqlite(files: &[(PathBuf, PathBuf)]) -> Result<(), DbErr> {
    let mut held = Vec::with_capacity(files.len());
    let mut sources = Vec::with_capacity(files.len());
    for (from, _) in files {
        let options =
            TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
        held.push(connect(&url_of(from)).await?.begin_with_options(options).await?);
        sources.push(connect(&url_of(from)).await?);
    }
    for (source, (_, to)) in sources.iter().zip(files) {
        let statement =
            Statement::from_sql_and_values(DatabaseBackend::Sqlite, "VACUUM INTO $1", [to.display().to_string().into()]);
        source.execute_raw(statement).await?;
    }
    for hold in held {
        hold.rollback().await?;
    }
    Ok(())
}

fn url_of(file: &Path) -> String {
    format!("sqlite://{}?mode=rw", file.display())
}

/// A connection of its own: no pool, so that what it holds ends with it.
async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.map_err(|error| without_url(url, error))
}

/// One instant of a PostgreSQL database, kept for `pg_dump --snapshot` until it is dropped.
pub struct Snapshot {
    transaction: DatabaseTransaction,
    name: String,
}

impl Snapshot {
    /// The present instant of the database.
    pub async fn take(url: &str) -> Result<Self, DbErr> {
        let transaction = connect(url).await?.begin_with_config(Some(IsolationLevel::RepeatableRead), None).await?;
        let row = transaction.query_one_raw(text("SELECT pg_export_snapshot() AS name")).await?;
        let name = row.ok_or_else(|| DbErr::Custom("no snapshot".to_owned()))?.try_get("", "name")?;
        Ok(Self { transaction, name })
    }

    /// Its name, for `pg_dump`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many rows the tables of a schema have in it.
    pub async fn counts(&self, schema: &str) -> Result<Counts, DbErr> {
        count_postgres(&self.transaction, schema).await
    }
}

fn text(text: &str) -> Statement {
    Statement::from_string(DatabaseBackend::Postgres, text)
}

async fn count_postgres(connection: &impl ConnectionTrait, schema: &str) -> Result<Counts, DbErr> {
    let tables = "SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 ORDER BY tablename";
    let tables = Statement::from_sql_and_values(DatabaseBackend::Postgres, tables, [schema.into()]);
    count(connection, tables, &format!("\"{schema}\".")).await
}

async fn count(connection: &impl ConnectionTrait, tables: Statement, prefix: &str) -> Result<Counts, DbErr> {
    let mut counts = Vec::new();
    for row in connection.query_all_raw(tables).await? {
        let name: String = row.try_get("", "name")?;
        let text = format!("SELECT COUNT(*) AS rows FROM {prefix}\"{name}\"");
        let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), text)).await?;
        counts.push((name, row.map_or(Ok(0), |row| row.try_get("", "rows"))?));
    }
    Ok(counts)
}

/// How many rows the tables of a SQLite file have.
pub async fn counts_of_sqlite(file: &Path) -> Result<Counts, DbErr> {
    let connection = connect(&url_of(file)).await?;
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let counts = count(&connection, Statement::from_string(DatabaseBackend::Sqlite, tables), "").await;
    connection.close().await?;
    counts
}

/// How many rows the tables of a PostgreSQL schema have; none when there is no such schema.
pub async fn counts_of_postgres(url: &str, schema: &str) -> Result<Counts, DbErr> {
    count_postgres(&connect(url).await?, schema).await
}

/// Drops a PostgreSQL schema in which nothing is; an error when something is.
pub async fn drop_empty_schema(url: &str, schema: &str) -> Result<(), DbErr> {
    let statement = format!("DROP SCHEMA IF EXISTS \"{schema}\" RESTRICT");
    connect(url).await?.execute_unprepared(&statement).await.map(|_| ())
}

/// Creates or drops a whole PostgreSQL database beside the one of the URL. `name` is ours: letters, digits, `_`.
pub async fn scratch_database(url: &str, name: &str, create: bool) -> Result<(), DbErr> {
    let statement = if create { format!("CREATE DATABASE \"{name}\"") } else { format!("DROP DATABASE \"{name}\" WITH (FORCE)") };
    connect(url).await?.execute_unprepared(&statement).await.map(|_| ())
}
