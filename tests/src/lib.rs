//! Black-box tests of Berth: everything here talks to a real `berth` process through its public addresses.
//!
//! * [`world`]: a whole Berth in one of two arms, one process or a fleet; [`process`]: one `berth`, killed, paused, restarted
//! * [`servers`], [`postgres`], [`proxy`]: PostgreSQL and Redis of a fleet, a PostgreSQL that can be stopped, a TCP proxy that misbehaves
//! * [`certificates`], [`sentinels`]: TLS for both, and a Redis that moves
//! * [`faults`]: trouble by chance from a seed; [`aftermath`]: what must be true when it is over
//! * [`client`], [`live`]: GraphQL over HTTP, and over WebSocket, SSE and multipart
//! * [`person`]: what a person does, from the sign-up to the ticket; [`timetable`]: finds a train and its seats
//! * [`history`]: who held what when, and the checkers that judge it; [`fight`]: many clients, few seats
//! * [`privacy`]: the map of personal data, and a search through all databases
//! * [`arrears`]: money that arrives late; [`notices`]: webhooks
//! * [`timing`]: whether two kinds of answers can be told apart by how long they take
//! * [`watch`]: what a subscriber of live seats may rely on
//! * [`access`]: who may do what, from the matrix in `access/`
//! * [`load`]: the load generator behind `berth-load`
//! * [`metrics`]: what a process tells at `/metrics`, and which alerts would fire
//!
//! A new suite is a file under `tests/`, a new invariant a module of `chaos/`; what two suites need, or what must also be seen
//! to fail on a sabotaged build, is a function here.
#![allow(clippy::print_stdout, reason = "a run tells what it did")]

pub mod access;
pub mod aftermath;
pub mod arrears;
pub mod certificates;
pub mod client;
pub mod disk;
pub mod documents;
pub mod faults;
pub mod fight;
pub mod history;
pub mod live;
pub mod load;
pub mod mailserver;
pub mod metrics;
pub mod notices;
pub mod person;
pub mod pictures;
pub mod postgres;
pub mod privacy;
pub mod process;
pub mod proxy;
pub mod sentinels;
pub mod servers;
pub mod timetable;
pub mod timing;
pub mod watch;
pub mod world;

use std::{future::Future, time::Duration};

use tokio::time::Instant;

/// The pause between two questions: the longer there was no answer, the longer it is. Who asks all the time slows down what he waits for.
fn pause(asked_for: Duration) -> Duration {
    (asked_for / 8).clamp(Duration::from_millis(50), Duration::from_millis(300))
}

/// Asks again and again until there is an answer, or the time is over.
pub async fn eventually<T, F, Fut>(what: &str, within: Duration, mut ask: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let started = Instant::now();
    let mut last = None;
    loop {
        match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
        if started.elapsed() > within {
            return Err(last
                .unwrap_or_else(|| anyhow::anyhow!("no answer yet"))
                .context(format!("{what}: not within {within:?}")));
        }
        tokio::time::sleep(pause(started.elapsed())).await;
    }
}

/// Today, as the machine that runs the tests sees it.
pub fn today() -> chrono::NaiveDate {
    now().date_naive()
}

/// Seconds since 1970, as the machine that runs the tests sees it.
pub fn now_secs() -> i64 {
    now().timestamp()
}

fn now() -> chrono::DateTime<chrono::Utc> {
    #[expect(clippy::disallowed_methods, reason = "the tests run outside of Berth: they have no other clock")]
    let now = chrono::Utc::now();
    now
}
