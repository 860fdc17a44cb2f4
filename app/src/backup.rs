//! `berth backup` and `berth restore`: copies of all databases of one instant, with a manifest that proves them, and back again.
//! SQLite is copied by `VACUUM INTO`, PostgreSQL by `pg_dump` of each service's schema; both while Berth runs.

mod dump;
mod manifest;
mod restore;

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use berth_kernel::{
    backup::{Counts, copy_sqlite, counts_of_sqlite},
    clock::Clock,
    secret::Secret,
};

use crate::{
    config::{Config, Refusal},
    databases::{SANDBOX, reach},
    role::Service,
};

use manifest::{Copied, Manifest};
pub use restore::restore;

/// What `berth backup` takes.
#[derive(clap::Args)]
pub struct BackupArguments {
    /// A folder that does not exist yet, or is empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Copies the keys as well: who has this backup can then sign in as anybody, and read sealed data
    #[arg(long)]
    with_keys: bool,
}

/// What `berth restore` takes.
#[derive(clap::Args)]
pub struct RestoreArguments {
    /// The folder that `berth backup` wrote
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Restores into a scratch place, checks and audits it there, and leaves everything as it is
    #[arg(long)]
    verify: bool,
    /// Where `--verify` puts its copy of SQLite files while it looks at them; the system's temporary directory when absent
    #[arg(long, value_name = "DIR", requires = "verify")]
    scratch: Option<PathBuf>,
}

/// Where a database of an installation is.
#[derive(Debug, Clone)]
enum Place {
    /// A file.
    Sqlite(PathBuf),
    /// A schema of the database at a URL.
    Postgres { url: Secret, schema: String },
}

/// The databases of an installation, by name; the sandbox provider's stands beside payment's.
fn places(config: &Config) -> Vec<(&'static str, Place)> {
    let named = Service::ALL.map(|service| (service.name(), config.database(service)));
    let sandbox = (SANDBOX, config.database(Service::Payment));
    let place = |(name, url): (&'static str, Option<&Secret>)| match url {
        Some(url) => (name, Place::Postgres { url: url.clone(), schema: name.to_owned() }),
        None => (name, Place::Sqlite(config.sqlite_file(name))),
    };
    named.into_iter().chain([sandbox]).map(place).collect()
}

/// Copies everything into a new folder.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn backup(config: &Config, arguments: &BackupArguments) -> anyhow::Result<()> {
    let to = &arguments.to;
    refuse_full(to, "--to ./backup-1")?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).with_context(|| to.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let databases = runtime.block_on(copy_databases(config, to))?;
    let keys = if arguments.with_keys { copy_keys(config, &to.join("keys"))? } else { Vec::new() };
    let manifest = Manifest { berth: env!("CARGO_PKG_VERSION").to_owned(), created_at: Clock::system().now(), databases, keys };
    manifest.write(to)?;
    for database in &manifest.databases {
        println!("{:<10} {:>12} bytes  {:>9} rows  {}", database.name, database.bytes, database.rows(), database.file);
    }
    if manifest.keys.is_empty() {
        println!(
            "The keys are not in it: without them nobody can read sealed data or verify tickets. Keep them elsewhere, or use --with-keys."
        );
    }
    Ok(())
}

async fn copy_databases(config: &Config, to: &Path) -> anyhow::Result<Vec<Copied>> {
    let mut files = Vec::new();
    let mut schemas = Vec::new();
    for (name, place) in places(config) {
        match place {
            Place::Sqlite(file) if file.exists() => files.push((name, file, to.join(format!("{name}.sqlite")))),
            // The sandbox is absent where there is a real provider.
            Place::Sqlite(_) if name == SANDBOX => {}
            Place::Sqlite(file) => anyhow::bail!("there is no database {}", file.display()),
            Place::Postgres { url, schema } => {
                reach(config, name, &url).await?;
                schemas.push((name, url, schema));
            }
        }
    }
    let paths: Vec<_> = files.iter().map(|(_, from, to)| (from.clone(), to.clone())).collect();
    copy_sqlite(&paths).await.context("copying SQLite files")?;
    let mut copied = Vec::new();
    for (name, _, file) in &files {
        let counts = counts_of_sqlite(file).await.with_context(|| file.display().to_string())?;
        copied.push(Copied::of(name, manifest::Kind::Sqlite, file, counts)?);
    }
    copied.extend(dump::dump_all(&schemas, to).await?);
    Ok(copied)
}

/// Copies the keys, readable for the owner alone.
fn copy_keys(config: &Config, to: &Path) -> anyhow::Result<Vec<String>> {
    let from = config.key_file("");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            copy_private(&entry.path(), &to.join(&name))?;
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn copy_private(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(from).with_context(|| from.display().to_string())?;
    berth_kernel::auth::write_private(to, &bytes).with_context(|| to.display().to_string())
}

fn refuse_full(folder: &Path, example: &str) -> anyhow::Result<()> {
    let empty = !folder.exists() || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    ensure!(empty, Refusal::new("to", format!("{} is not an empty folder", folder.display()), example));
    Ok(())
}

fn total(counts: &Counts) -> i64 {
    counts.iter().map(|(_, rows)| rows).sum()
}
