//! Each service's own database: a schema in PostgreSQL, or a SQLite file of the data directory.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use berth_kernel::{
    canary::{self, Canary, Sealed},
    db::{Db, PostgresLimits, Unreached, reach_postgres, sqlite_fault},
    metrics,
    seal::Sealer,
    secret::Secret,
};
use berth_migrations::{BookingMigrator, InventoryMigrator, PaymentMigrator, SandboxMigrator, UserMigrator};
use fs2::FileExt;
use sea_orm_migration::MigratorTrait;

use crate::{
    config::{Config, Refusal},
    exit::Away,
    files,
    keys::{self, Missing},
    role::Service,
};

/// Schema and file of the sandbox provider, which stands beside payment.
pub const SANDBOX: &str = "sandbox";
/// Between two looks for a PostgreSQL that does not answer yet.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Columns with sealed texts, by service: what a key must open before it seals more.
const SEALED: [(Service, &[Sealed]); 2] = [
    (
        Service::User,
        &[
            ("account", "id_number_sealed"),
            ("passenger", "id_number_sealed"),
            ("bank_account", "number_sealed"),
            ("second_factor", "secret_sealed"),
        ],
    ),
    (Service::Booking, &[("booking_part", "passenger_sealed")]),
];

/// Opens a service's database, brings its tables up to date, and proves that this key is the one it was sealed with.
pub async fn open(config: &Config, service: Service, sealer: &Sealer) -> anyhow::Result<Db> {
    let db = connect(config, service.name(), config.database(service), Make::Missing).await?;
    bring_up_to_date(&db, service).await?;
    prove_key(config, &db, service, sealer).await?;
    Ok(db)
}

/// Opens the database of the sandbox provider.
pub async fn open_sandbox(config: &Config) -> anyhow::Result<Db> {
    let db = connect(config, SANDBOX, config.database(Service::Payment), Make::Missing).await?;
    migrate_to_newest::<SandboxMigrator>(&db, SANDBOX).await?;
    Ok(db)
}

/// A key that does not open what is there would seal new data so that nobody else reads it.
async fn prove_key(config: &Config, db: &Db, service: Service, sealer: &Sealer) -> anyhow::Result<()> {
    let columns = SEALED.iter().find(|(known, _)| *known == service).map_or(&[] as &[Sealed], |(_, columns)| columns);
    let found = canary::settle(db, sealer, columns).await.with_context(|| format!("the canary of {}", service.name()))?;
    if found == Canary::OtherKey { Err(other_key(config, service).into()) } else { Ok(()) }
}

/// The refusal of a key that is not the database's.
pub fn other_key(config: &Config, service: Service) -> Refusal {
    let file = config.key_file("data.key");
    let problem = format!("{} is not the key that the database of {} was sealed with", file.display(), service.name());
    Refusal::new("keys_dir", problem, "BERTH_KEYS_DIR=<the folder with the installation's keys, from their backup>")
}

/// Whether a service's database is there. A schema in PostgreSQL always is: it is made by being opened.
pub fn exists(config: &Config, service: Service) -> bool {
    config.database(service).is_some() || config.sqlite_file(service.name()).exists()
}

/// Opens a service's database as it is. Opening a file that is not there would make an empty one: an error.
pub async fn connect_to(config: &Config, service: Service) -> anyhow::Result<Db> {
    let file = config.sqlite_file(service.name());
    anyhow::ensure!(exists(config, service), "there is no database {}: `berth migrate` makes it", file.display());
    connect(config, service.name(), config.database(service), Make::Nothing).await
}

/// [`connect_to`] for every service, with the services' names.
pub async fn connect_to_all(config: &Config) -> anyhow::Result<Vec<(&'static str, Db)>> {
    let mut opened = Vec::with_capacity(Service::ALL.len());
    for service in Service::ALL {
        opened.push((service.name(), connect_to(config, service).await?));
    }
    Ok(opened)
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

/// `berth migrate`: brings the tables of every service to this program's version, and says what that took.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn migrate(config: &Config) -> anyhow::Result<()> {
    files::prepare(config)?;
    let _lock = lock(config, &Service::ALL)?;
    // The key is asked for where there is one: tables can be made before it.
    let sealer = config.key_file("data.key").exists().then(|| keys::sealer(config, Missing::Refused)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for service in config.roles()?.opened() {
            let started = Instant::now();
            let db = connect(config, service.name(), config.database(service), Make::Missing).await?;
            let made = bring_up_to_date(&db, service).await?;
            if let Some(sealer) = &sealer {
                prove_key(config, &db, service, sealer).await?;
            }
            let took = started.elapsed().as_millis();
            match made.as_slice() {
                [] => println!("{:<10} up to date", service.name()),
                [only] => println!("{:<10} 1 migration in {took} ms: {only}", service.name()),
                [first, .., last] => {
                    println!("{:<10} {} migrations in {took} ms: {first} to {last}", service.name(), made.len());
                }
            }
        }
        Ok(())
    })
}

/// `berth keys adopt`: the key that is there seals from now on, although it does not open what another one has sealed.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn adopt_key(config: &Config) -> anyhow::Result<()> {
    let sealer = keys::sealer(config, Missing::Refused)?;
    let _lock = lock(config, &Service::ALL)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for service in config.roles()?.opened() {
            let db = connect_to(config, service).await?;
            bring_up_to_date(&db, service).await?;
            let before = canary::look(&db, &sealer).await?;
            canary::replace(&db, &sealer).await?;
            tracing::warn!(database = service.name(), before = ?before, "keys.adopted");
            println!("{:<10} data.key counts from now on", service.name());
        }
        Ok(())
    })
}

/// Whether what is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    Missing,
    Nothing,
}

async fn connect(config: &Config, name: &str, url: Option<&Secret>, make: Make) -> anyhow::Result<Db> {
    let db = match url {
        Some(url) => connect_postgres(config, name, url, make).await?,
        None => connect_sqlite(&config.sqlite_file(name)).await?,
    };
    watch(name.to_owned(), db.clone());
    Ok(db)
}

async fn connect_postgres(config: &Config, name: &str, url: &Secret, make: Make) -> anyhow::Result<Db> {
    reach(config, name, url).await?;
    let limits = PostgresLimits {
        max_connections: config.database_max_connections,
        statement_timeout: Duration::from_millis(config.database_statement_timeout_ms),
        lock_timeout: Duration::from_millis(config.database_lock_timeout_ms),
    };
    let opened = match make {
        Make::Missing => Db::open_postgres_within(url.reveal(), name, limits).await,
        Make::Nothing => Db::open_postgres_as_it_is(url.reveal(), name, limits).await,
    };
    opened.with_context(|| format!("the PostgreSQL of {name}"))
}

/// Waits for a PostgreSQL that does not answer yet; one that refuses us is not asked twice.
pub async fn reach(config: &Config, name: &str, url: &Secret) -> anyhow::Result<()> {
    let (started, patience) = (Instant::now(), Duration::from_secs(config.database_wait_secs.into()));
    let mut told = false;
    loop {
        let problem = match reach_postgres(url).await {
            Ok(()) => return Ok(()),
            Err(Unreached::Refused(problem)) => return Err(unfit(name, &problem).into()),
            Err(Unreached::Away(problem)) => problem,
        };
        if started.elapsed() >= patience {
            return Err(Away { what: format!("the database of {name}"), problem }.into());
        }
        if !told {
            tracing::warn!(database = name, problem, wait_secs = config.database_wait_secs, "database.awaited");
            told = true;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// The refusal of a PostgreSQL that does not take us as we come.
pub fn unfit(name: &str, problem: &str) -> Refusal {
    let example = "BERTH_DATABASE_URL=postgres://user:password@host/database?sslmode=require";
    Refusal::new(&format!("database_url of {name}"), problem, example)
}

async fn connect_sqlite(file: &Path) -> anyhow::Result<Db> {
    Db::open_sqlite(file).await.map_err(|error| {
        let Some(problem) = sqlite_fault(&error) else {
            return anyhow::Error::from(error).context(format!("the database {}", file.display()));
        };
        let example = "the rights of the file; or an empty folder, and then `berth restore --from <a backup>`";
        Refusal::new("data_dir", format!("{} {problem}", file.display()), example).into()
    })
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

/// What the tables of a service have had, beside what this program knows.
#[derive(Debug)]
pub struct Tables {
    /// Migrations that are still to be made.
    pub pending: Vec<String>,
    /// Migrations that only a newer program knows.
    pub unknown: Vec<String>,
}

/// Looks at the tables of a service.
pub async fn tables(db: &Db, service: Service) -> anyhow::Result<Tables> {
    match service {
        Service::User => tables_of::<UserMigrator>(db).await,
        Service::Inventory => tables_of::<InventoryMigrator>(db).await,
        Service::Booking => tables_of::<BookingMigrator>(db).await,
        Service::Payment => tables_of::<PaymentMigrator>(db).await,
    }
}

async fn tables_of<M: MigratorTrait>(db: &Db) -> anyhow::Result<Tables> {
    Ok(Tables { pending: db.pending_migrations::<M>().await?, unknown: db.unknown_migrations::<M>().await? })
}

/// Answers the migrations that were made.
async fn bring_up_to_date(db: &Db, service: Service) -> anyhow::Result<Vec<String>> {
    let name = service.name();
    match service {
        Service::User => migrate_to_newest::<UserMigrator>(db, name).await,
        Service::Inventory => migrate_to_newest::<InventoryMigrator>(db, name).await,
        Service::Booking => migrate_to_newest::<BookingMigrator>(db, name).await,
        Service::Payment => migrate_to_newest::<PaymentMigrator>(db, name).await,
    }
}

async fn migrate_to_newest<M: MigratorTrait>(db: &Db, name: &str) -> anyhow::Result<Vec<String>> {
    let found = tables_of::<M>(db).await.with_context(|| format!("the database of {name}"))?;
    if let Some(newest) = found.unknown.last() {
        return Err(too_new(name, newest).into());
    }
    db.migrate::<M>().await.with_context(|| format!("the migration of {name}"))?;
    Ok(found.pending)
}

/// The refusal of tables that this program does not know.
pub fn too_new(name: &str, newest: &str) -> Refusal {
    let problem = format!("the tables of {name} were made by a newer berth ({newest})");
    Refusal::new("database", problem, "run that version, or a newer one")
}
