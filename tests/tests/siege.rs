//! Few clients ask for much; the others do not notice. `BERTH_SIEGE_SECS` makes it longer, and then the times count too: they mean
//! something only for a release build on a quiet machine (`berth-load --siege` prints them).
#![allow(clippy::print_stdout, reason = "a test tells of its run")]

use std::time::Duration;

use anyhow::ensure;
use berth_tests::{
    in_one_process,
    load::{
        cast,
        siege::{self, Siege},
    },
    process::Arm,
};

in_one_process!(honest_clients_go_on);

const HONEST: usize = 10;

async fn honest_clients_go_on(arm: Arm) -> anyhow::Result<()> {
    let secs: Option<u64> = std::env::var("BERTH_SIEGE_SECS").ok().and_then(|secs| secs.parse().ok());
    let mut berth = arm.setup().env("BERTH_TRUSTED_PROXIES", "1").env("BERTH_LOG", "error").start().await?;
    let client = berth.client()?;
    let people = cast::people(&client, HONEST).await?;
    let places = cast::places(&client, HONEST).await?;
    let siege = Siege { attackers: 8, half_open: 200, lasts: Duration::from_secs(secs.unwrap_or(6)) };
    let outcome = siege::lay(berth.address()?, &client, &people, &places, berth.process_id(), siege).await?;
    println!("{}\n{}", outcome.honest, outcome.ready);
    println!(
        "{} attacks, {} told to wait, {} refused, {} MiB",
        outcome.attacks, outcome.told_to_wait, outcome.refused, outcome.memory_mib
    );
    println!("a refusal: {:?}", outcome.sample);
    ensure!(outcome.attacks > 0, "nothing of the attacker was answered: its documents are no attack");
    ensure!(outcome.told_to_wait > 0, "the attacker was never told to wait");
    ensure!(outcome.honest.answers > 20 && outcome.honest.others == 0, "an honest client got {:?}", outcome.honest.sample);
    ensure!(outcome.ready.answers > 2 && outcome.ready.others == 0, "readiness: {:?}", outcome.ready.sample);
    ensure!(outcome.memory_mib < 400, "{} MiB", outcome.memory_mib);
    ensure!(secs.is_none() || outcome.honest.quantile(0.99) < Duration::from_millis(100), "{}", outcome.honest);
    let (_, metrics) = client.get("/metrics").await?;
    for metric in [
        "berth_requests_delayed_total{reason=\"budget\"}",
        "berth_work_seconds_total{client=\"anonymous\"}",
        "berth_connections{role=\"router\"}",
    ] {
        ensure!(metrics.contains(metric), "{metric} is not counted");
    }
    berth.assert_alive()
}
