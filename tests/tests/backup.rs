//! `berth backup` beside a busy Berth, `berth restore --verify`, and a Berth that lives on from what was restored: on SQLite, and on
//! PostgreSQL when `BERTH_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::ensure;
use berth_tests::{
    person::{Person, Segment},
    pictures,
    process::{Berth, Setup, program},
    timetable,
};
use image::ImageFormat;
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;

/// A command of berth with only these settings.
fn berth(arguments: &[&str], data_dir: &Path, database_url: Option<&str>) -> anyhow::Result<Output> {
    let mut command = Command::new(program()?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BERTH_")) {
        command.env_remove(name);
    }
    if let Some(url) = database_url {
        command.env("BERTH_DATABASE_URL", url);
    }
    Ok(command.args(arguments).arg("--data-dir").arg(data_dir).output()?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn buy(person: &Person, segment: &Segment) -> anyhow::Result<()> {
    let booking = person.book(&person.hold_best(segment, 1).await?).await?;
    person.provider(&person.pay(&booking).await?, "settle").await?;
    person.await_booking(&booking, &["CONFIRMED"], Duration::from_secs(30)).await.map(|_| ())
}

/// Backs up while somebody buys, again and again; every backup must verify. Answers where a picture is, and its bytes.
async fn backed_up(running: &Berth, to: &Path, database_url: Option<&str>) -> anyhow::Result<(String, Vec<u8>)> {
    let client = running.client()?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let person = Person::sign_up(&client, "ani").await?;
    buy(&person, &segment).await?;
    let picture = pictures::set(&person, pictures::picture(ImageFormat::Png)?, "image/png").await?;
    let bytes = pictures::file(&client, &picture).await?;
    let (folder, data_dir, url) = (to.to_owned(), running.data_dir(), database_url.map(str::to_owned));
    let backups = tokio::task::spawn_blocking(move || {
        (0..3)
            .map(|at| {
                let to = folder.join(at.to_string());
                let keys: &[&str] = if at == 0 { &["--with-keys"] } else { &[] };
                berth(&[&["backup", "--to", to.to_str().unwrap()], keys].concat(), &data_dir, url.as_deref())
            })
            .collect::<anyhow::Result<Vec<_>>>()
    });
    while !backups.is_finished() {
        buy(&person, &segment).await?;
    }
    for output in backups.await?? {
        ensure!(output.status.success(), "{}", said(&output));
    }
    for at in 0..3 {
        let from = to.join(at.to_string());
        let verified = berth(&["restore", "--from", from.to_str().unwrap(), "--verify"], &running.data_dir(), database_url)?;
        ensure!(verified.status.success(), "{}", said(&verified));
    }
    Ok((picture, bytes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_goes_there_and_back() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let mut running = Berth::start().await?;
    let (picture, bytes) = backed_up(&running, folder.path(), None).await?;
    running.stop().await?;
    let first = folder.path().join("0");
    let first = first.to_str().unwrap();
    ensure!(fs::metadata(folder.path().join("0/keys/data.key"))?.permissions().mode() & 0o777 == 0o600, "keys are private");
    ensure!(!folder.path().join("1/keys").exists(), "keys only when asked for");

    let refused = berth(&["restore", "--from", first], &running.data_dir(), None)?;
    ensure!(refused.status.code() == Some(78) && said(&refused).contains("nothing is overwritten"), "{}", said(&refused));
    let again = berth(&["backup", "--to", first], &running.data_dir(), None)?;
    ensure!(again.status.code() == Some(78), "{}", said(&again));

    let fresh = TempDir::new()?;
    let data_dir = berth_tests::process::data_dir(&fresh);
    let restored = berth(&["restore", "--from", first], &data_dir, None)?;
    ensure!(restored.status.success(), "{}", said(&restored));
    let revived = Setup::default().on(fresh).start().await?;
    let client = revived.client()?;
    ensure!(pictures::file(&client, &picture).await? == bytes, "the picture did not come along");
    let segment = timetable::demo_train(&client, 2).await?.whole();
    buy(&Person::sign_up(&client, "budi").await?, &segment).await?;
    let audited = berth(&["audit"], &revived.data_dir(), None)?;
    ensure!(audited.status.success(), "{}", said(&audited));

    let file = folder.path().join("1/booking.sqlite");
    let mut bytes = fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes)?;
    let second = folder.path().join("1");
    let torn = berth(&["restore", "--from", second.to_str().unwrap(), "--verify"], &running.data_dir(), None)?;
    ensure!(!torn.status.success() && said(&torn).contains("booking.sqlite is not the file that was written"), "{}", said(&torn));
    Ok(())
}

/// A database of its own on the server; its URL.
async fn database(server: &str, name: &str) -> anyhow::Result<String> {
    Database::connect(server).await?.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
    let (address, _) = server.rsplit_once('/').unwrap();
    Ok(format!("{address}/{name}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_goes_there_and_back() -> anyhow::Result<()> {
    let Ok(server) = std::env::var("BERTH_TEST_POSTGRES_URL") else { return Ok(()) };
    let unique = format!("backup_{}", std::process::id());
    let (here, there) = (database(&server, &unique).await?, database(&server, &format!("{unique}_there")).await?);
    let folder = TempDir::new()?;
    let mut running = Setup::default().env("BERTH_DATABASE_URL", &here).start().await?;
    let (picture, bytes) = backed_up(&running, folder.path(), Some(&here)).await?;
    let first = folder.path().join("0");
    let first = first.to_str().unwrap();
    let refused = berth(&["restore", "--from", first], &running.data_dir(), Some(&here))?;
    ensure!(refused.status.code() == Some(78) && said(&refused).contains("nothing is overwritten"), "{}", said(&refused));
    running.stop().await?;

    let fresh = TempDir::new()?;
    let restored = berth(&["restore", "--from", first], &berth_tests::process::data_dir(&fresh), Some(&there))?;
    ensure!(restored.status.success(), "{}", said(&restored));
    let revived = Setup::default().on(fresh).env("BERTH_DATABASE_URL", &there).start().await?;
    let client = revived.client()?;
    ensure!(pictures::file(&client, &picture).await? == bytes, "the picture did not come along");
    let segment = timetable::demo_train(&client, 2).await?.whole();
    buy(&Person::sign_up(&client, "budi").await?, &segment).await?;
    let audited = berth(&["audit"], &revived.data_dir(), Some(&there))?;
    ensure!(audited.status.success(), "{}", said(&audited));
    let kind = berth(&["restore", "--from", first], &revived.data_dir(), None)?;
    ensure!(kind.status.code() == Some(78), "a dump is no file: {}", said(&kind));
    Ok(())
}
