//! I13: the database breaks off, or stops for 20 s: clients get typed refusals that say so, and 10 s after it is back everything
//! works again. A full disk: `i13_full_disk`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use berth_tests::{
    client::kind_of,
    eventually,
    fight::Rules,
    in_the_fleet,
    person::{Person, Segment, fresh_key},
    postgres::Postgres,
    process::{Arm, Berth},
    proxy::Mode,
    timetable,
};

use crate::{fight_in_trouble, rules};

in_the_fleet!(
    connections_are_killed,
    nobody_listens_for_20_seconds,
    the_server_stands_still_for_20_seconds,
    the_server_is_stopped_for_20_seconds,
);

const OUT: Duration = Duration::from_secs(20);
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);

async fn connections_are_killed(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let rules = Rules { abandoned: 5, released: 35, paid: 30, ..rules(8) };
    let fought = fight_in_trouble(&mut berth, rules, &[berth_tests::faults::Fault::CutPostgres]).await?;
    fought.aftermath().judge().await?;
    berth.audit()?;
    berth.assert_alive()
}

/// What takes the database away.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// A proxy in front of it.
    Line(Mode),
    /// The server's own end: it is stopped in the middle of everything, and recovers when it is started.
    Stop,
    /// SIGSTOP to every process of the server.
    Freeze,
}

impl Loss {
    /// `false`: the server can't be stopped here.
    async fn begin(self, berth: &mut Berth) -> anyhow::Result<bool> {
        match self {
            Self::Line(mode) => berth.proxies()?.postgres.set(mode),
            Self::Stop => berth.postgres().map(Postgres::stop).transpose().map(drop)?,
            Self::Freeze => berth.postgres().map(|server| server.pause()).transpose().map(drop)?,
        }
        Ok(matches!(self, Self::Line(_)) || berth.postgres().is_some())
    }

    async fn end(self, berth: &mut Berth) -> anyhow::Result<()> {
        match self {
            Self::Line(_) => berth.proxies()?.postgres.set(Mode::Pass),
            Self::Stop => berth.postgres().context("no server")?.start().await?,
            Self::Freeze => berth.postgres().context("no server")?.resume()?,
        }
        Ok(())
    }
}

async fn nobody_listens_for_20_seconds(arm: Arm) -> anyhow::Result<()> {
    lost(arm.setup().proxied().start().await?, Loss::Line(Mode::Refuse)).await
}

async fn the_server_stands_still_for_20_seconds(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.setup().proxied().own_postgres().start().await?;
    // Where no server can be started: connections are taken, nothing is answered.
    let loss = if berth.postgres().is_some() { Loss::Freeze } else { Loss::Line(Mode::Stall) };
    lost(berth, loss).await
}

async fn the_server_is_stopped_for_20_seconds(arm: Arm) -> anyhow::Result<()> {
    lost(arm.setup().own_postgres().start().await?, Loss::Stop).await
}

async fn lost(mut berth: Berth, loss: Loss) -> anyhow::Result<()> {
    let client = berth.client()?;
    let person = Person::sign_up(&client, "patient").await?;
    let segment = timetable::demo_train(&client, 2).await?.whole();
    let hold = person.hold_best(&segment, 1).await?;
    if !loss.begin(&mut berth).await? {
        println!("skipped: the programs of PostgreSQL are not installed here, so no server can be stopped");
        return Ok(());
    }
    let ends = asked_for(&person, &segment, OUT).await;
    loss.end(&mut berth).await?;
    println!("{loss:?}: {ends:?}");
    ensure!(ends.keys().all(|end| end == "SERVICE_UNAVAILABLE"), "a fault without its type: {ends:?}");
    ensure!(!ends.is_empty(), "nothing was refused");
    recovers(&person, &segment).await?;
    ensure!(person.hold_status(&hold.id).await?.as_deref() == Some("ACTIVE"), "a hold is lost");
    buys(&person, &segment).await?;
    berth.audit()?;
    berth.assert_alive()
}

/// Asks for seats and for the seat map as long as the database is away; answers how these ended.
async fn asked_for(person: &Person, segment: &Segment, lasts: Duration) -> BTreeMap<String, usize> {
    let (until, mut ends) = (Instant::now() + lasts, BTreeMap::new());
    while Instant::now() < until {
        let key = fresh_key();
        let placed = async { person.place_best(segment, 1, &key).await.map(|_| ()) };
        let read = async { timetable::seat_map(&person.client, segment).await.map(|_| ()) };
        let (placed, read) = tokio::join!(placed, read);
        for error in [placed, read].into_iter().filter_map(Result::err) {
            *ends.entry(kind_of(&error)).or_insert(0) += 1;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ends
}

async fn recovers(person: &Person, segment: &Segment) -> anyhow::Result<()> {
    let began = Instant::now();
    let placed = || async {
        let hold = person.hold_best(segment, 1).await?;
        person.release(&hold.id).await?.done().map(Some)
    };
    eventually("a hold after the database is back", RECOVERS_WITHIN, placed).await?;
    println!("recovered after {:?}", began.elapsed());
    Ok(())
}

async fn buys(person: &Person, segment: &Segment) -> anyhow::Result<()> {
    let seat = timetable::free_seats(&person.client, segment, 1).await?.remove(0);
    person.buy(segment, &[&seat]).await.map(|_| ())
}
