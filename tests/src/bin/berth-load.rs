//! `berth-load`: measures a running Berth, or one that it starts. It prints what it saw and asserts no time.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use berth_tests::{
    client::Client,
    load::{
        cast, live,
        measure::Seen,
        probe::{self, Limit},
        scenes,
        siege::{self, Siege},
    },
    process::{Berth, Setup},
};
use clap::Parser;
use tempfile::TempDir;

/// Measures holds, searches, federated queries and the way from a commit to many subscribers.
#[derive(Parser)]
struct Arguments {
    /// Address of a running Berth in its development profile.
    #[arg(long, default_value = "http://127.0.0.1:4000")]
    url: String,
    /// Starts this program in a temporary directory instead, and measures that.
    #[arg(long)]
    spawn: Option<PathBuf>,
    /// For how many seconds each thing is measured.
    #[arg(long, default_value_t = 10)]
    secs: u64,
    /// Connections that ask at the same time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// People who sign up; each holds four pairs of seats at a time.
    #[arg(long, default_value_t = 300)]
    people: usize,
    /// Subscribers of one trip.
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Lays siege instead: 8 connections send the worst documents, 50 honest clients search and hold. Behind `--url` there must be a
    /// Berth with `BERTH_TRUSTED_PROXIES=1`.
    #[arg(long)]
    siege: bool,
    /// Half-open connections of the siege.
    #[arg(long, default_value_t = 0)]
    half_open: usize,
}

/// Honest clients of a siege, and connections of its attacker.
const HONEST: usize = 50;
const ATTACKERS: usize = 8;
/// What the siege may do to the honest ones and to the process.
const P99: Duration = Duration::from_millis(100);
const MEMORY_MIB: u64 = 400;

fn main() -> anyhow::Result<()> {
    // One thread: the generator takes as little as it can of the machine that it measures.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(Arguments::parse()))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let spawned = match &arguments.spawn {
        Some(program) => {
            let proxies = if arguments.siege { "1" } else { "0" };
            let setup = Setup::default().program(program).env("BERTH_LOG", "error").env("BERTH_TRUSTED_PROXIES", proxies);
            Some(setup.start().await?)
        }
        None => None,
    };
    let url = spawned.as_ref().map_or_else(|| arguments.url.clone(), Berth::url);
    let address: SocketAddr =
        url.trim_start_matches("http://").trim_end_matches('/').parse().context("--url must be http://ADDRESS:PORT")?;
    let client = Client::new(url.trim_end_matches('/'))?;
    let lasts = Duration::from_secs(arguments.secs);
    if arguments.siege {
        let process_id = spawned.as_ref().and_then(Berth::process_id);
        return besiege(address, &client, process_id, Siege { attackers: ATTACKERS, half_open: arguments.half_open, lasts })
            .await;
    }

    let people = cast::people(&client, arguments.people).await?;
    let places = cast::places(&client, people.len() * scenes::HOLDS_PER_PERSON + people.len()).await?;
    let (booked, free) = places.split_at(people.len());
    println!(
        "{} people, {} pairs of seats on {} legs, {} connections, {} s each",
        people.len(),
        free.len(),
        cast::LEGS,
        arguments.clients,
        arguments.secs
    );
    println!("{:<44} {:>8} {:>11} {:>11} {:>11} {:>6}", "", "answers", "rate", "p50", "p99", "other");

    let holds = scenes::holds(address, arguments.clients, &people, free, lasts).await?;
    show(&holds);
    show(&scenes::searches(address, &client, arguments.clients, lasts).await?);
    cast::bookings(&people, booked).await?;
    show(&scenes::federated(address, arguments.clients, &people, lasts).await?);
    let delays = live::delays(address, &client, arguments.subscribers, &people, lasts).await?;
    show(&delays.from_commit);
    show(&delays.from_request);
    println!(
        "  {} subscribers; {} of {} expected arrivals (changes of one window are sent together)",
        arguments.subscribers, delays.from_commit.answers, delays.expected
    );
    ensure!(delays.from_commit.answers > 0, "no subscriber saw a change");

    let folder = spawned.as_ref().map_or_else(TempDir::new, |berth| TempDir::new_in(berth.data_dir()))?;
    compare(&holds, &probe::limit(folder.path(), lasts.min(Duration::from_secs(6))).await?);
    Ok(())
}

async fn besiege(address: SocketAddr, client: &Client, process_id: Option<u32>, siege: Siege) -> anyhow::Result<()> {
    let people = cast::people(client, HONEST).await?;
    let places = cast::places(client, HONEST).await?;
    println!("{siege:?}, {HONEST} honest clients");
    println!("{:<44} {:>8} {:>11} {:>11} {:>11} {:>6}", "", "answers", "rate", "p50", "p99", "other");
    let outcome = siege::lay(address, client, &people, &places, process_id, siege).await?;
    show(&outcome.honest);
    show(&outcome.ready);
    println!(
        "attacker: {} answered, {} told to wait, {} refused; memory at most {} MiB",
        outcome.attacks, outcome.told_to_wait, outcome.refused, outcome.memory_mib
    );
    if let Some(sample) = &outcome.sample {
        println!("  a refusal: {sample}");
    }
    let held = outcome.honest.quantile(0.99) < P99
        && outcome.honest.others == 0
        && outcome.ready.others == 0
        && outcome.memory_mib < MEMORY_MIB;
    println!("{}", if held { "held" } else { "NOT held" });
    ensure!(held, "the honest ones noticed");
    Ok(())
}

fn show(seen: &Seen) {
    println!("{seen}");
    if let Some(sample) = &seen.sample {
        println!("  another answer: {sample}");
    }
}

fn compare(holds: &Seen, limit: &Limit) {
    let share = |limit: f64| holds.per_second() / limit * 100.0;
    println!(
        "the same rows in SQLite alone, a transaction each  {:>8.0}/s; placeHold reaches {:.0} % of it",
        limit.single,
        share(limit.single)
    );
    println!(
        "the same rows in SQLite alone, 64 per transaction  {:>8.0}/s; placeHold reaches {:.0} % of it",
        limit.batched,
        share(limit.batched)
    );
}
