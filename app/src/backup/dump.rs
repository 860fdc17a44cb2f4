//! PostgreSQL's own tools. Passwords go by the environment, never by the command line, which everybody on the machine can read.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use berth_kernel::{backup::Snapshot, secret::Secret, urls};

use super::manifest::{Copied, Kind};

/// Dumps schemas (name, URL, schema), those of one database as of one instant.
pub async fn dump_all(schemas: &[(&'static str, Secret, String)], to: &Path) -> anyhow::Result<Vec<Copied>> {
    let mut snapshots: BTreeMap<&str, Snapshot> = BTreeMap::new();
    for (_, url, _) in schemas {
        if !snapshots.contains_key(url.reveal()) {
            snapshots.insert(url.reveal(), Snapshot::take(url.reveal()).await.context("a snapshot of PostgreSQL")?);
        }
    }
    let mut copied = Vec::new();
    for (name, url, schema) in schemas {
        let Some(snapshot) = snapshots.get(url.reveal()) else { continue };
        let counts = snapshot.counts(schema).await?;
        if counts.is_empty() {
            anyhow::ensure!(*name == "sandbox", "the schema {schema} has no tables: is this the right database?");
            continue;
        }
        let file = to.join(format!("{name}.dump"));
        let arguments = ["--format=custom", "--no-owner", "--no-privileges"].map(OsStr::new);
        let own = [format!("--schema={schema}"), format!("--snapshot={}", snapshot.name()), format!("--file={}", file.display())];
        run("pg_dump", url.reveal(), arguments.into_iter().chain(own.iter().map(OsStr::new)))?;
        copied.push(Copied::of(name, Kind::Postgres, &file, counts)?);
    }
    Ok(copied)
}

/// Brings a dumped schema into a database.
pub fn load(url: &str, file: &Path) -> anyhow::Result<()> {
    let arguments = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"].map(OsStr::new);
    run("pg_restore", url, arguments.into_iter().chain([file.as_os_str()]))
}

fn run<'a>(tool: &str, url: &str, arguments: impl Iterator<Item = &'a OsStr>) -> anyhow::Result<()> {
    let (url, password) = without_password(url);
    let mut command = Command::new(find(tool)?);
    command.arg("--dbname").arg(url).args(arguments).stdin(Stdio::null());
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    let done = command.output().with_context(|| format!("{tool} can't be run"))?;
    if done.status.success() {
        return Ok(());
    }
    bail!("{tool} failed: {}", String::from_utf8_lossy(&done.stderr).trim())
}

/// The tool, on the PATH.
fn find(tool: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file());
    found.with_context(|| {
        format!("{tool} is not on the PATH: install PostgreSQL's client tools, of the server's version or newer")
    })
}

/// `postgres://me:pw@host/db` as `postgres://me@host/db` and `pw`.
fn without_password(url: &str) -> (String, Option<String>) {
    let split = || {
        let (scheme, rest) = url.split_once("://")?;
        let (login, host) = rest.split('/').next()?.rsplit_once('@')?;
        let (user, password) = login.split_once(':')?;
        let tail = &rest[login.len() + 1 + host.len()..];
        Some((format!("{scheme}://{user}@{host}{tail}"), urls::decoded(password)))
    };
    split().map_or_else(|| (url.to_owned(), None), |(url, password)| (url, Some(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_leave_the_command_line() {
        let (url, password) = without_password("postgres://me:p%40s%2Fs%25@db:5432/berth?sslmode=require");
        assert_eq!((url.as_str(), password.as_deref()), ("postgres://me@db:5432/berth?sslmode=require", Some("p@s/s%")));
        assert_eq!(without_password("postgres://me@db/berth"), ("postgres://me@db/berth".to_owned(), None));
        assert_eq!(without_password("postgres:///berth"), ("postgres:///berth".to_owned(), None));
    }

    #[test]
    fn a_missing_tool_is_named() {
        let said = find("pg_no_such_tool").map(|_| ()).unwrap_err().to_string();
        assert!(said.starts_with("pg_no_such_tool is not on the PATH"), "{said}");
    }
}
