//! Bringing a backup back: into an empty installation, or into a scratch place to see whether it is good.

use std::{fs, path::Path};

use anyhow::{Context, ensure};
use berth_kernel::{
    backup::{Counts, counts_of_postgres, counts_of_sqlite, drop_empty_schema, scratch_database},
    clock::Clock,
    db::Db,
    secret::Secret,
};

use super::{
    Place, RestoreArguments, copy_private, dump,
    manifest::{Copied, Kind, Manifest},
    places,
};
use crate::{
    audit::{self, Databases},
    config::{Config, Refusal},
    databases::reach,
    files,
    role::Service,
    signals::Signals,
};

/// Restores, or verifies.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn restore(config: &Config, arguments: &RestoreArguments) -> anyhow::Result<()> {
    let manifest = Manifest::read(&arguments.from)?;
    println!("written {} by berth {}; every file is as it was written", manifest.created_at, manifest.berth);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.verify {
        return runtime.block_on(verify(config, arguments, &manifest));
    }
    files::prepare(config)?;
    let pairs = pairs(config, &manifest)?;
    runtime.block_on(refuse_full(config, &pairs))?;
    runtime.block_on(bring_back(&arguments.from, &pairs))?;
    for name in &manifest.keys {
        let to = config.key_file(name);
        ensure!(!to.exists(), Refusal::new("keys", format!("{} is there already", to.display()), "BERTH_KEYS_DIR=./keys-2"));
        fs::create_dir_all(config.key_file(""))?;
        copy_private(&arguments.from.join("keys").join(name), &to)?;
    }
    println!("restored {} databases and {} keys", manifest.databases.len(), manifest.keys.len());
    if manifest.keys.is_empty() {
        println!("The keys are not in this backup: bring them back before you start Berth. It refuses to start with others.");
    }
    Ok(())
}

/// Each copied database with where it belongs.
fn pairs<'m>(config: &Config, manifest: &'m Manifest) -> anyhow::Result<Vec<(&'m Copied, Place)>> {
    let places = places(config);
    let pair = |database: &'m Copied| {
        let place = places.iter().find(|(name, _)| *name == database.name).map(|(_, place)| place.clone());
        let place = place.with_context(|| format!("there is no service {}", database.name))?;
        let fits = matches!((database.kind, &place), (Kind::Sqlite, Place::Sqlite(_)) | (Kind::Postgres, Place::Postgres { .. }));
        let example = "BERTH_DATABASE_URL=postgres://... for a backup of PostgreSQL, none for one of SQLite";
        ensure!(fits, Refusal::new("database_url", format!("the backup of {} is of the other kind", database.name), example));
        Ok((database, place))
    };
    manifest.databases.iter().map(pair).collect()
}

async fn refuse_full(config: &Config, pairs: &[(&Copied, Place)]) -> anyhow::Result<()> {
    for (database, place) in pairs {
        match place {
            Place::Sqlite(file) => {
                let taken = format!("{} is there already: nothing is overwritten", file.display());
                ensure!(!file.exists(), Refusal::new("data_dir", taken, "--data-dir ./restored"));
            }
            Place::Postgres { url, schema } => {
                reach(config, &database.name, url).await?;
                let full = !counts_of_postgres(url.reveal(), schema).await?.is_empty();
                let taken = format!("the schema {schema} has tables already: nothing is overwritten");
                ensure!(!full, Refusal::new("database_url", taken, "BERTH_DATABASE_URL=<an empty database>"));
            }
        }
    }
    Ok(())
}

async fn bring_back(from: &Path, pairs: &[(&Copied, Place)]) -> anyhow::Result<()> {
    for (database, place) in pairs {
        let source = from.join(&database.file);
        let counts = match place {
            Place::Sqlite(file) => {
                fs::copy(&source, file).with_context(|| file.display().to_string())?;
                counts_of_sqlite(file).await?
            }
            Place::Postgres { url, schema } => {
                // The dump makes the schema itself.
                drop_empty_schema(url.reveal(), schema).await?;
                dump::load(url.reveal(), &source)?;
                counts_of_postgres(url.reveal(), schema).await?
            }
        };
        ensure!(counts == database.tables, "{}: {}", database.name, difference(&counts, &database.tables));
    }
    Ok(())
}

fn difference(found: &Counts, wanted: &Counts) -> String {
    let other = wanted.iter().find(|table| !found.contains(table));
    other.map_or_else(|| "it has more tables than were written".to_owned(), |(table, rows)| format!("{table} had {rows} rows"))
}

/// Restores into a scratch place, and audits what is there as of the time of the backup. The place goes, however this ends.
async fn verify(config: &Config, arguments: &RestoreArguments, manifest: &Manifest) -> anyhow::Result<()> {
    let mut signals = Signals::take()?;
    let parent = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    // The umask makes it readable for us alone: it gets a copy of all personal data.
    let folder = tempfile::Builder::new().prefix("berth-verify-").tempdir_in(&parent);
    let folder = folder.map_err(|error| {
        Refusal::new("--scratch", format!("{} can't be written: {error}", parent.display()), "--scratch /var/lib/berth")
    })?;
    let server = manifest.databases.iter().any(|database| database.kind == Kind::Postgres);
    let url = config.database(Service::Booking).filter(|_| server);
    ensure!(
        url.is_some() || !server,
        Refusal::new("database_url", "this backup needs a PostgreSQL to be tried on", "BERTH_DATABASE_URL=postgres://...")
    );
    let name = format!("berth_verify_{}", Clock::system().new_key().simple());
    let scratch = url.map(|url| Secret::from(elsewhere(url.reveal(), &name)));
    if let Some(url) = url {
        reach(config, Service::Booking.name(), url).await?;
        scratch_database(url.reveal(), &name, true)
            .await
            .context("a scratch database: the role must be allowed to create one")?;
    }
    let verified = tokio::select! {
        verified = verify_in(&arguments.from, manifest, folder.path(), scratch.as_ref()) => verified,
        signal = signals.stop() => Err(anyhow::anyhow!("stopped by {signal} before the backup was proved")),
    };
    if let Some(url) = url {
        scratch_database(url.reveal(), &name, false).await.context("dropping the scratch database")?;
    }
    folder.close()?;
    verified
}

async fn verify_in(from: &Path, manifest: &Manifest, folder: &Path, scratch: Option<&Secret>) -> anyhow::Result<()> {
    let place = |database: &Copied| match scratch.filter(|_| database.kind == Kind::Postgres) {
        Some(url) => Place::Postgres { url: url.clone(), schema: database.name.clone() },
        None => Place::Sqlite(folder.join(&database.file)),
    };
    let pairs: Vec<_> = manifest.databases.iter().map(|database| (database, place(database))).collect();
    bring_back(from, &pairs).await?;
    let databases = Databases {
        user: open(&pairs, Service::User).await?,
        inventory: open(&pairs, Service::Inventory).await?,
        booking: open(&pairs, Service::Booking).await?,
        payment: open(&pairs, Service::Payment).await?,
    };
    // What was unfinished then was unfinished for as long as then.
    let report = audit::audit(&databases, || manifest.created_at).await?;
    audit::tell(&report, false)
}

async fn open(pairs: &[(&Copied, Place)], service: Service) -> anyhow::Result<Db> {
    let found = pairs.iter().find(|(database, _)| database.name == service.name());
    let (_, place) = found.with_context(|| format!("the backup has no database of {}", service.name()))?;
    let db = match place {
        Place::Sqlite(file) => Db::open_sqlite(file).await?,
        Place::Postgres { url, schema } => Db::open_postgres(url.reveal(), schema, 1).await?,
    };
    db.integrity().await.with_context(|| format!("the integrity of {}", service.name()))?;
    Ok(db)
}

/// The URL of another database on the same server.
fn elsewhere(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, String::new()), |(address, query)| (address, format!("?{query}")));
    let from = address.find("://").map_or(0, |at| at + 3);
    let server = address[from..].find('/').map_or(address, |at| &address[..from + at]);
    format!("{server}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scratch_database_is_on_the_same_server() {
        assert_eq!(
            elsewhere("postgres://me:pw@db:5432/berth?sslmode=require", "x"),
            "postgres://me:pw@db:5432/x?sslmode=require"
        );
        assert_eq!(elsewhere("postgres://db", "x"), "postgres://db/x");
    }
}
