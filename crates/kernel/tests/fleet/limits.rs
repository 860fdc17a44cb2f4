//! Limits that several processes count together.

use std::time::{Duration, Instant};

use berth_kernel::{
    budget::{Budgets, Holder},
    bus::Bus,
    clock::Clock,
    jobs::Background,
    limits::{Limit, Limits, PATIENCE},
    seal::Sealer,
};
use chrono::TimeDelta;

use crate::world::{Fleet, Wire, eventually};

/// A process with its own clock and one limit: 10 at once, one more a minute.
fn process(bus: &Bus, clock: &Clock) -> (Limits, Limit) {
    let limits = Limits::new(bus, clock.clone(), Sealer::new([7; 32]));
    let limit = limits.limit("tries", 10, Duration::from_mins(1));
    (limits, limit)
}

async fn passed(process: &(Limits, Limit), key: &str, tries: usize) -> usize {
    let mut passed = 0;
    for _ in 0..tries {
        passed += usize::from(process.0.count(&[(&process.1, key)]).await.is_ok());
    }
    passed
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_an_allowance() {
    let Some(fleet) = Fleet::new() else { return };
    let clock = Clock::system();
    let (one, other) = (process(&fleet.process().await, &clock), process(&fleet.process().await, &clock));
    let (first, second) = tokio::join!(passed(&one, "siti", 30), passed(&other, "siti", 30));
    assert_eq!(first + second, 10);
    assert_eq!(passed(&other, "budi", 1).await, 1);
    clock.advance(TimeDelta::minutes(3));
    let (first, second) = tokio::join!(passed(&one, "siti", 5), passed(&other, "siti", 5));
    assert_eq!(first + second, 3, "one more a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_away_each_process_counts_alone_and_at_once() {
    let Some(fleet) = Fleet::new() else { return };
    let wire = Wire::to(&fleet.url).await;
    let clock = Clock::system();
    let one = process(&fleet.process_with(&wire.url, fleet.settings(), &fleet.background).await, &clock);
    let other = process(&fleet.process_with(&wire.url, fleet.settings(), &fleet.background).await, &clock);
    assert_eq!(passed(&one, "siti", 6).await, 6);
    wire.cut();
    let begun = Instant::now();
    assert_eq!(passed(&one, "siti", 20).await, 4, "what it counted before still counts");
    assert_eq!(passed(&other, "siti", 20).await, 10);
    assert!(begun.elapsed() < PATIENCE * 8, "{:?} for 40 tries", begun.elapsed());
    wire.mend();
    eventually("they count together again", async || {
        let key = crate::world::fresh().to_string();
        passed(&one, &key, 10).await == 10 && passed(&other, &key, 10).await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_says_nothing_delays_one_attempt() {
    let Some(fleet) = Fleet::new() else { return };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let background = Background::default();
    let bus = Bus::redis(&url, fleet.settings(), background.clone()).unwrap();
    let one = process(&bus, &Clock::system());
    let begun = Instant::now();
    assert_eq!(passed(&one, "siti", 30).await, 10);
    assert!(begun.elapsed() < PATIENCE * 4, "{:?} for 30 tries", begun.elapsed());
    background.stop();
}

/// Milliseconds of work that somebody gets at once through these processes, in turn.
async fn worked(processes: &[Budgets]) -> u32 {
    let somebody = Holder { network: "203.0.113.1", account: None };
    let step = Duration::from_millis(10);
    let mut got = 0;
    for process in processes.iter().cycle() {
        if process.take(somebody, step).await.is_err() {
            return got;
        }
        process.settle(somebody, step, step);
        got += 10;
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_a_budget_of_work_and_ask_redis_seldom() {
    let Some(fleet) = Fleet::new() else { return };
    let clock = Clock::system();
    let work = Duration::from_millis(200);
    let budgets = async || Budgets::new(&fleet.process().await, clock.clone(), Sealer::new([7; 32]), work);
    let alone = worked(&[budgets().await]).await;
    clock.advance(TimeDelta::minutes(1));
    let together = worked(&[budgets().await, budgets().await]).await;
    assert!((1_000..1_100).contains(&alone), "{alone} ms alone");
    // Each process may hold a part of a portion that it has not spent.
    assert!((900..=1_100).contains(&together), "{together} ms together");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_budget_is_the_process_s_own() {
    let Some(fleet) = Fleet::new() else { return };
    let wire = Wire::to(&fleet.url).await;
    let bus = fleet.process_with(&wire.url, fleet.settings(), &fleet.background).await;
    wire.cut();
    let begun = Instant::now();
    let got = worked(&[Budgets::new(&bus, Clock::system(), Sealer::new([7; 32]), Duration::from_millis(200))]).await;
    assert!((1_000..1_600).contains(&got), "{got} ms");
    assert!(begun.elapsed() < PATIENCE * 8, "{:?}", begun.elapsed());
}
