//! PostgreSQL and Redis as others run them: with TLS, with certificates that are checked, and Redis behind sentinels.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and tells of its run"
)]

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use berth_tests::{
    certificates::Authority,
    eventually,
    person::{Person, Segment},
    postgres::Postgres,
    process::{Berth, Process, Setup, program},
    sentinels::{MASTER, RedisProcess, free_address},
    timetable,
};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(10);
/// A second until the sentinels miss the master, four at most until they have agreed, and our own looks.
const MOVED_WITHIN: Duration = Duration::from_secs(20);

async fn status(berth: &Berth, wanted: &str) -> anyhow::Result<()> {
    let client = berth.client()?;
    let asked = || async {
        let (_, text) = client.get("/readyz").await?;
        ensure!(text.contains(&format!("\"{wanted}\"")), "{text}");
        Ok(Some(()))
    };
    eventually(&format!("/readyz says {wanted}"), MOVED_WITHIN, asked).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_over_tls_is_used_when_its_certificate_is_good() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (ours, other) = (Authority::new(folder.path(), "ours")?, Authority::new(folder.path(), "other")?);
    let here = RedisProcess::with_tls(folder.path(), &ours.sign("here", &["IP:127.0.0.1"])?).await?;
    let elsewhere = RedisProcess::with_tls(folder.path(), &ours.sign("elsewhere", &["DNS:cache.example"])?).await?;
    let cases = [(&here, &ours, "ready"), (&here, &other, "degraded"), (&elsewhere, &ours, "degraded")];
    for (server, authority, expected) in cases {
        let url = format!("rediss://{}?sslrootcert={}", server.address, authority.certificate().display());
        let mut berth = Setup::default().env("BERTH_REDIS_URL", &url).start().await?;
        if expected == "degraded" {
            // It would be ready by then.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        status(&berth, expected).await?;
        berth.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn berth_goes_on_at_the_master_that_the_sentinels_name() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let mut master = RedisProcess::server(folder.path(), None).await?;
    let _replica = RedisProcess::server(folder.path(), Some(master.address)).await?;
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(RedisProcess::sentinel(folder.path(), master.address).await?);
    }
    let hosts: Vec<String> = sentinels.iter().map(|sentinel| sentinel.address.to_string()).collect();
    let url = format!("redis-sentinel://{}/{MASTER}", hosts.join(","));
    let mut berth = Setup::default().env("BERTH_REDIS_URL", &url).start().await?;
    status(&berth, "ready").await?;
    // The sentinels learn of each other and of the replica.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let client = berth.client()?;
    let person = Person::sign_up(&client, "loyal").await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    travels_and_is_told(&person, &segment, 1).await?;
    master.kill()?;
    sentinels[0].kill()?;
    status(&berth, "degraded").await?;
    // Meanwhile nothing is refused.
    let hold = person.hold_best(&segment, 1).await?;
    person.release(&hold.id).await?.done()?;
    status(&berth, "ready").await?;
    travels_and_is_told(&person, &segment, 2).await?;
    ensure!(berth.log().contains("bus.redis.moved"), "the move is not in the log");
    berth.assert_alive()
}

/// Who buys a ticket is told so: that goes through Redis.
async fn travels_and_is_told(person: &Person, segment: &Segment, times: usize) -> anyhow::Result<()> {
    let seat = timetable::free_seats(&person.client, segment, 1).await?.remove(0);
    person.buy(segment, &[&seat]).await?;
    let told = || async {
        let kinds = person.notifications().await?;
        let confirmed = kinds.iter().filter(|kind| *kind == "BOOKING_CONFIRMED").count();
        Ok((confirmed == times).then_some(()))
    };
    eventually("a notification", SOON, told).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_over_tls_is_used_when_its_certificate_is_good() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let (ours, other) = (Authority::new(folder.path(), "ours")?, Authority::new(folder.path(), "other")?);
    let files = ours.sign("database", &["DNS:localhost"])?;
    let port = free_address()?.port();
    let Some(_server) = Postgres::start_with_tls(port, &files.certificate, &files.key).await? else {
        println!("skipped: the programs of PostgreSQL are not installed here");
        return Ok(());
    };
    let url = |host: &str, mode: &str, authority: &Authority| {
        format!("postgres://postgres@{host}:{port}/postgres?sslmode={mode}&sslrootcert={}", authority.certificate().display())
    };
    ensure!(migrates(folder.path(), &url("localhost", "verify-full", &ours))?.is_none(), "the right certificate is refused");
    let refused = [
        (url("localhost", "verify-full", &other), "UnknownIssuer"),
        (url("127.0.0.1", "verify-full", &ours), "not valid for name"),
        (url("localhost", "verify-ca", &other), "UnknownIssuer"),
    ];
    for (url, why) in refused {
        let told = migrates(folder.path(), &url)?.with_context(|| format!("accepted: {why}"))?;
        ensure!(told.contains(why) && !told.contains("panicked"), "{told}");
    }
    ensure!(migrates(folder.path(), &url("127.0.0.1", "verify-ca", &ours))?.is_none(), "verify-ca looks at no name");
    Ok(())
}

/// `berth migrate` on this database: what it says when it fails.
fn migrates(folder: &Path, url: &str) -> anyhow::Result<Option<String>> {
    let settings = vec![("BERTH_DATABASE_URL".to_owned(), url.to_owned())];
    let done = Process::new("migrate", &program()?, folder).variables(settings).run(&["migrate"])?;
    let told = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Ok((!done.status.success()).then_some(told))
}
