//! Each service's own database: a schema in PostgreSQL, or a SQLite file of the data directory.

use std::{fs::File, time::Duration};

use anyhow::Context;
use berth_kernel::{
    db::{Db, PostgresLimits},
    metrics,
};
use berth_migrations::{BookingMigrator, InventoryMigrator, PaymentMigrator, SandboxMigrator, UserMigrator};
use fs2::FileExt;
use sea_orm_migration::MigratorTrait;

use crate::{
    config::{Config, Refusal},
    role::Service,
};

/// Schema and file of the sandbox provider, which stands beside payment.
pub const SANDBOX: &str = "sandbox";

/// Opens a service's database and brings its tables up to date.
pub async fn open(config: &Config, service: Service) -> anyhow::Result<Db> {
    let db = connect(config, service.name(), config.database(service)).await?;
    match service {
        Service::User => bring_up_to_date::<UserMigrator>(db, service.name()).await,
        Service::Inventory => bring_up_to_date::<InventoryMigrator>(db, service.name()).await,
        Service::Booking => bring_up_to_date::<BookingMigrator>(db, service.name()).await,
        Service::Payment => bring_up_to_date::<PaymentMigrator>(db, service.name()).await,
    }
}

/// Opens the database of the sandbox provider.
pub async fn open_sandbox(config: &Config) -> anyhow::Result<Db> {
    let db = connect(config, SANDBOX, config.database(Service::Payment)).await?;
    bring_up_to_date::<SandboxMigrator>(db, SANDBOX).await
}

/// Whether a service's database is there. A schema in PostgreSQL always is: it is made by being opened.
pub fn exists(config: &Config, service: Service) -> bool {
    config.database(service).is_some() || config.sqlite_file(service.name()).exists()
}

/// Opens a service's database as it is. Opening a file that is not there would make an empty one: an error.
pub async fn connect_to(config: &Config, service: Service) -> anyhow::Result<Db> {
    let file = config.sqlite_file(service.name());
    anyhow::ensure!(exists(config, service), "there is no database {}: `berth migrate` makes it", file.display());
    connect(config, service.name(), config.database(service)).await
}

/// Two processes on one SQLite directory would each think they are the only writer. Nothing to lock on PostgreSQL.
pub fn lock(config: &Config, services: &[Service]) -> anyhow::Result<Option<File>> {
    if services.iter().all(|service| config.database(*service).is_some()) {
        return Ok(None);
    }
    let file = File::create(config.file("berth.lock"))?;
    let taken =
        || Refusal::new("data_dir", format!("{} is served by another process", config.data_dir.display()), "--data-dir ./data-2");
    FileExt::try_lock_exclusive(&file).map_err(|_| taken())?;
    Ok(Some(file))
}

/// `berth migrate`: brings the tables of every service to this program's version.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn migrate(config: &Config) -> anyhow::Result<()> {
    config.prepare_data_dir()?;
    let _lock = lock(config, &Service::ALL)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for service in config.roles()?.opened() {
            open(config, service).await?;
            println!("{:<10} up to date", service.name());
        }
        Ok(())
    })
}

async fn connect(config: &Config, name: &str, url: Option<&str>) -> anyhow::Result<Db> {
    let limits = PostgresLimits {
        max_connections: config.database_max_connections,
        statement_timeout: Duration::from_millis(config.database_statement_timeout_ms),
        lock_timeout: Duration::from_millis(config.database_lock_timeout_ms),
    };
    let db = if let Some(url) = url {
        Db::open_postgres_within(url, name, limits).await.with_context(|| format!("the PostgreSQL of {name}"))?
    } else {
        let file = config.sqlite_file(name);
        Db::open_sqlite(&file).await.with_context(|| format!("the database {}", file.display()))?
    };
    watch(name.to_owned(), db.clone());
    Ok(db)
}

/// Measures how much is free on the disk of the data directory.
pub fn watch_disk(config: &Config) {
    let folder = config.data_dir.clone();
    metrics::before_reading(move || {
        if let Ok(bytes) = fs2::available_space(&folder) {
            metrics::disk_free(bytes);
        }
    });
}

fn watch(name: String, db: Db) {
    metrics::before_reading(move || {
        let (in_use, idle) = db.connections();
        metrics::pool(&name, in_use, idle);
    });
}

async fn bring_up_to_date<M: MigratorTrait>(db: Db, name: &str) -> anyhow::Result<Db> {
    let unknown = db.unknown_migrations::<M>().await.with_context(|| format!("the database of {name}"))?;
    if let Some(newest) = unknown.last() {
        let problem = format!("the tables of {name} were made by a newer berth ({newest})");
        return Err(Refusal::new("database", problem, "run that version, or a newer one").into());
    }
    db.migrate::<M>().await.with_context(|| format!("the migration of {name}"))?;
    Ok(db)
}
