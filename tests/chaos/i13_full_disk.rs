//! I13: the disk of the database fills under load and is enlarged under load. Nothing acknowledged is lost, who asks meanwhile is
//! refused with a type, the process says that it is not ready and why, and is ready again within 10 s.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use berth_tests::{
    disk::{SmallDisk, in_own_mounts},
    eventually,
    fight::{self, Arena, Rules},
    in_one_process, in_the_fleet,
    person::Person,
    process::{Arm, Berth, Setup},
};
use serde_json::Value;

use crate::{Fought, rules};

in_the_fleet!(nothing_acknowledged_is_lost);
in_one_process!(nothing_acknowledged_is_lost, the_checker_sees_a_broken_connection_that_is_kept);

const UNREADY_WITHIN: Duration = Duration::from_secs(5);
const READY_WITHIN: Duration = Duration::from_secs(10);
const FULL_FOR: Duration = Duration::from_secs(2);
/// The first fills by itself too, sooner or later.
const MEGABYTES: u32 = 220;
const ENLARGED: u32 = 500;

async fn nothing_acknowledged_is_lost(arm: Arm) -> anyhow::Result<()> {
    let name = if arm == Arm::Embedded { "embedded" } else { "fleet" };
    if !in_own_mounts(&format!("i13_full_disk::{name}::nothing_acknowledged_is_lost"))? {
        return Ok(());
    }
    let disk = SmallDisk::mount(MEGABYTES)?;
    let Some(mut berth) = start(arm.setup(), arm, &disk).await? else { return Ok(()) };
    let rules = Rules { outages: true, abandoned: 5, released: 35, paid: 30, ..rules(12) };
    let fought = fight_on(&disk, &mut berth, rules, said_and_healed).await?;
    // LATE: paid, and the tickets did not come at once.
    let typed = |end: &String| matches!(end.as_str(), "SERVICE_UNAVAILABLE" | "LATE");
    ensure!(fought.history.outages().keys().all(typed), "{:?}", fought.history.outages());
    let log = berth.log();
    let (broken, healed) = (log.matches("database.broken").count(), log.matches("database.healed").count());
    println!("{broken} lines of a broken database, {healed} of a healed one, {} lines in all", log.lines().count());
    ensure!((1..=20).contains(&broken) && (1..=20).contains(&healed), "a line a request:\n{log}");
    fought.aftermath().judge().await?;
    berth.audit()?;
    berth.assert_alive()
}

async fn the_checker_sees_a_broken_connection_that_is_kept(arm: Arm) -> anyhow::Result<()> {
    if !in_own_mounts("i13_full_disk::embedded::the_checker_sees_a_broken_connection_that_is_kept")? {
        return Ok(());
    }
    let disk = SmallDisk::mount(MEGABYTES)?;
    let setup = arm.setup().sabotage("keep_broken_connection")?;
    let mut berth = start(setup, arm, &disk).await?.context("not started")?;
    // Nobody pays or asks again: it never gets well.
    let rules = Rules { abandoned: 20, released: 60, paid: 0, ..rules(8) };
    let fought = fight_on(&disk, &mut berth, rules, |_, _| async { Ok(()) }).await?;
    let found = fought.aftermath().holds_that_differ().await?;
    let missing = found.iter().filter(|violation| violation.to_string().contains("MISSING")).count();
    println!("{missing} acknowledged holds are on no disk");
    ensure!(missing > 0, "the connection is kept, and nothing is lost");
    Ok(())
}

/// `None`, said aloud: there is no PostgreSQL whose disk could be filled.
async fn start(setup: Setup, arm: Arm, disk: &SmallDisk) -> anyhow::Result<Option<Berth>> {
    if arm == Arm::Embedded {
        return setup.on(disk.data_folder()?).start().await.map(Some);
    }
    let mut berth = setup.own_postgres_on(disk.path()).start().await?;
    if berth.postgres().is_none() {
        println!("SKIPPED: the programs of PostgreSQL are not installed here, so its disk can't be filled");
        return Ok(None);
    }
    Ok(Some(berth))
}

/// A fight during which the disk fills and is enlarged; then every process dies and starts again, so that what was only in one
/// is gone.
async fn fight_on<F, Fut>(disk: &SmallDisk, berth: &mut Berth, rules: Rules, watch: F) -> anyhow::Result<Fought>
where
    F: Fn(Vec<String>, bool) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let client = berth.client()?;
    let arena = Arena::demo(&client, 80, 4).await?;
    let people = Person::sign_up_many(&client, "full", 24).await?;
    let urls: Vec<String> = berth.processes().iter().map(berth_tests::process::Process::url).collect();
    let trouble = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        disk.fill()?;
        watch(urls.clone(), false).await?;
        tokio::time::sleep(FULL_FOR).await;
        disk.enlarge(ENLARGED)?;
        if let Some(server) = berth.postgres() {
            server.revive().await?;
        }
        watch(urls.clone(), true).await
    };
    let (history, made) = tokio::join!(fight::run(&client, &arena, &people, rules), trouble);
    println!("{}", history.summary());
    made?;
    berth.restart().await?;
    Ok(Fought { client, arena, people, history })
}

/// Some process says that its database takes no writes; later all are ready.
async fn said_and_healed(urls: Vec<String>, ready: bool) -> anyhow::Result<()> {
    let began = Instant::now();
    let within = if ready { READY_WITHIN } else { UNREADY_WITHIN };
    let told = eventually("readiness", within, || async {
        let mut problems = Vec::new();
        for url in &urls {
            let answer = reqwest::get(format!("{url}/readyz")).await?;
            if answer.status() == 503 {
                problems.push(answer.json::<Value>().await?);
            }
        }
        Ok((problems.is_empty() == ready).then_some(problems))
    });
    let problems = told.await?;
    println!("after {:?}: {problems:?}", began.elapsed());
    let named = |problem: &Value| problem["database"].is_string() && problem["problem"].is_string();
    ensure!(problems.iter().all(named), "{problems:?}");
    if urls.len() == 1 {
        let free = free_bytes(&urls[0]).await?;
        ensure!(ready == (free > 10_000_000), "ready {ready}, and {free} bytes are free");
    }
    Ok(())
}

async fn free_bytes(url: &str) -> anyhow::Result<u64> {
    let metrics = reqwest::get(format!("{url}/metrics")).await?.text().await?;
    let line = metrics.lines().find_map(|line| line.strip_prefix("berth_disk_free_bytes "));
    line.context("no berth_disk_free_bytes")?.trim().parse().context("no number")
}
