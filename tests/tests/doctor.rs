//! `berth doctor` beside a running Berth, and what it finds; and that nobody but the owner reads what Berth keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::ensure;
use berth_tests::{
    in_both_arms,
    person::Person,
    process::{Berth, Process, program, run_with, said},
    timetable,
    world::Arm,
};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;

in_both_arms!(a_healthy_one_is_left_alone, what_is_wrong_is_named);

/// Every file and folder below one, with its mode.
fn everything(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // A file beside a database may go at any moment.
        let Ok(metadata) = entry.path().symlink_metadata() else { continue };
        found.push((entry.path(), metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            found.extend(everything(&entry.path()));
        }
    }
    found
}

/// Files that come and go with the connections to a database do not count.
fn names(folder: &Path) -> BTreeSet<PathBuf> {
    let lasting = |path: &PathBuf| !["-wal", "-shm"].iter().any(|end| path.to_string_lossy().ends_with(end));
    everything(folder).into_iter().map(|(path, _)| path).filter(lasting).collect()
}

fn failures(output: &Output) -> Vec<String> {
    said(output).lines().filter(|line| line.starts_with("FAIL")).map(str::to_owned).collect()
}

async fn a_healthy_one_is_left_alone(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let folder = berth.folder().to_owned();
    for process in berth.processes() {
        let before = names(&folder);
        let arguments: Vec<String> = role_of(process).map(|role| format!("BERTH_ROLES={role}")).into_iter().collect();
        let output = doctor(process, &arguments)?;
        ensure!(output.status.success(), "{}: {}", process.name(), said(&output));
        ensure!(said(&output).contains("that of a Berth that is ready"), "{}", said(&output));
        ensure!(names(&folder) == before, "doctor makes files: {:?}", names(&folder).difference(&before));
    }
    Ok(())
}

/// The role of a fleet's process.
fn role_of(process: &Process) -> Option<String> {
    process.name().rsplit_once('-').map(|(role, _)| role.to_owned())
}

/// The doctor of a process as it was started: with its role and its address.
fn doctor(process: &mut Process, settings: &[String]) -> anyhow::Result<Output> {
    let address = process.address()?.to_string();
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap();
        process.set(name, Some(value));
    }
    let output = process.run(&["doctor", "--listen", &address]);
    for setting in settings {
        process.set(setting.split_once('=').unwrap().0, None);
    }
    output
}

async fn what_is_wrong_is_named(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let worker = |berth: &mut Berth, settings: &[&str]| -> anyhow::Result<Output> {
        let mut all: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        all.extend((arm == Arm::Fleet).then(|| "BERTH_ROLES=worker".to_owned()));
        doctor(berth.process("worker", 0)?, &all)
    };
    let cases: [(&[&str], &str); 4] = [
        (&["BERTH_REDIS_URL=redis://me:tulip4711@127.0.0.1:2"], "FAIL  Redis: redis://(hidden)@127.0.0.1:2 does not answer"),
        (&["BERTH_SMTP_URL=smtp://me:tulip4711@127.0.0.1:2"], "FAIL  mail server: smtp://(hidden)@127.0.0.1:2 can't be used"),
        (
            &["BERTH_PROVIDER_URL=http://127.0.0.1:2", "BERTH_PROVIDER_SERVER_KEY=Mid-server-5fT2kQ9xWb71"],
            "FAIL  payment provider: http://127.0.0.1:2 does not answer",
        ),
        (&["BERTH_PROFILE=production", "BERTH_DEMO=true"], "FAIL  settings: demo: "),
    ];
    for (settings, expected) in cases {
        // A fleet has a Redis already.
        let output = worker(&mut berth, settings)?;
        let found = failures(&output);
        ensure!(output.status.code() == Some(1), "{settings:?}: {}", said(&output));
        ensure!(found.iter().any(|line| line.starts_with(expected)), "{settings:?}: {}", said(&output));
        ensure!(!said(&output).contains("tulip4711"), "{}", said(&output));
    }
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20990101_000001_future', 1)";
    berth.store("booking").await?.execute_unprepared(newer).await?;
    let found = failures(&worker(&mut berth, &[])?);
    ensure!(matches!(found.as_slice(), [only] if only.contains("made by a newer berth (m20990101_000001_future)")), "{found:?}");
    Ok(())
}

/// A peer that is not there, and one that knows other keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_asked() -> anyhow::Result<()> {
    let mut berth = Arm::Fleet.start().await?;
    let keys = TempDir::new()?;
    let foreign = keys.path().display().to_string();
    let made = run_with(&["keys", "init", "--data-dir", &foreign], &[("BERTH_KEYS_DIR", &foreign)])?;
    ensure!(made.status.success(), "{}", said(&made));
    let process = berth.process("booking", 0)?;
    let output = doctor(process, &["BERTH_ROLES=booking".to_owned()])?;
    ensure!(output.status.success() && said(&output).contains("knows the key of booking"), "{}", said(&output));
    let settings = [
        "BERTH_ROLES=booking".to_owned(),
        format!("BERTH_KEYS_DIR={foreign}"),
        "BERTH_SUBGRAPH_USER=http://127.0.0.1:2".to_owned(),
    ];
    let found = failures(&doctor(process, &settings)?);
    ensure!(found.iter().any(|line| line.contains("peer user http://127.0.0.1:2: does not answer")), "{found:?}");
    ensure!(
        found.iter().any(|line| line.contains("peer inventory") && line.contains("does not take the credential")),
        "{found:?}"
    );
    ensure!(found.iter().any(|line| line.contains("database booking: keys_dir:")), "{found:?}");
    Ok(())
}

/// Databases, what is beside them, caught mail, keys and backups: nobody else on the machine reads addresses and names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_reads_what_it_keeps() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let data_dir = folder.path().join("data");
    // A directory of an older program.
    fs::create_dir_all(data_dir.join("keys"))?;
    fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o755))?;
    for old in ["mail.jsonl", "sms.jsonl", "berth.toml"] {
        fs::write(data_dir.join(old), "")?;
        fs::set_permissions(data_dir.join(old), fs::Permissions::from_mode(0o644))?;
    }
    let path = data_dir.display().to_string();
    let told = said(&run_with(&["doctor", "--listen", "127.0.0.1:0", "--data-dir", &path], &[])?);
    ensure!(told.lines().filter(|line| line.starts_with("warn  file modes: ")).count() >= 4, "{told}");
    let mut process = Process::new("private", &program()?, folder.path());
    process.start().await?;
    ensure!(process.log().contains("data_dir.narrowed"), "{}", process.log());
    let client = berth_tests::client::Client::new(&process.url())?;
    let person = Person::sign_up(&client, "private").await?;
    let seats = person.hold_best(&timetable::demo_train(&client, 2).await?.whole(), 1).await?;
    person.book(&seats).await?;
    let backup = folder.path().join("backup");
    let saved = process.run(&["backup", "--with-keys", "--to", &backup.display().to_string()])?;
    ensure!(saved.status.success(), "{}", said(&saved));
    let found = [everything(&data_dir), everything(&backup)].concat();
    ensure!(found.len() > 20, "{found:?}");
    let wide: Vec<_> =
        found.iter().filter(|(_, mode)| mode & 0o077 != 0).map(|(path, mode)| format!("{path:?} {mode:o}")).collect();
    ensure!(wide.is_empty(), "{wide:?}");
    for folder in [&data_dir, &backup] {
        ensure!(fs::metadata(folder)?.permissions().mode().trailing_zeros() >= 6, "{}", folder.display());
    }
    process.stop().await
}

/// A scratch copy of all personal data is private while it is there, and gone however it ends.
#[test]
fn a_verified_backup_leaves_nothing_behind() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (here, copy, scratch) = (path("here"), path("backup"), path("scratch"));
    fs::create_dir_all(&scratch)?;
    for command in [vec!["keys", "init"], vec!["migrate"], vec!["backup", "--to", &copy]] {
        let done = run_with(&[&command[..], &["--data-dir", &here]].concat(), &[])?;
        ensure!(done.status.success(), "{command:?}: {}", said(&done));
    }
    let verify = ["restore", "--verify", "--from", &copy, "--scratch", &scratch, "--data-dir", &here];
    let good = run_with(&verify, &[])?;
    ensure!(good.status.success(), "{}", said(&good));
    // Of a backup of PostgreSQL it is told what is missing, after the scratch folder was made.
    let manifest = fs::read_to_string(folder.path().join("backup/manifest.json"))?;
    fs::write(folder.path().join("backup/manifest.json"), manifest.replacen("\"sqlite\"", "\"postgres\"", 1))?;
    let bad = run_with(&verify, &[])?;
    ensure!(bad.status.code() == Some(78), "{}", said(&bad));
    ensure!(fs::read_dir(&scratch)?.count() == 0, "something stays in the scratch folder");
    let nowhere = path("nowhere");
    let refused = run_with(&["restore", "--verify", "--from", &copy, "--scratch", &nowhere, "--data-dir", &here], &[])?;
    ensure!(refused.status.code() == Some(78) && said(&refused).contains("--scratch"), "{}", said(&refused));
    Ok(())
}
