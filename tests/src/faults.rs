//! Faults for a running Berth, by chance from a seed: kills, pauses, cut connections.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    ops::Range,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::process::{Arm, Berth};

/// Where chance begins: `BERTH_CHAOS_SEED`, or anywhere. Printed, so that the same choices can be made again.
pub fn seed() -> u64 {
    let given = std::env::var("BERTH_CHAOS_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("BERTH_CHAOS_SEED={seed}");
    seed
}

/// How long a run lasts: `BERTH_CHAOS_SECS`, or this.
pub fn secs(default_secs: u64) -> u64 {
    std::env::var("BERTH_CHAOS_SECS").ok().and_then(|text| text.parse().ok()).unwrap_or(default_secs)
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of one process, and its restart.
    Kill,
    /// SIGSTOP of one process, and later SIGCONT.
    Pause,
    /// Every connection to PostgreSQL is reset.
    CutPostgres,
    /// Every connection to Redis is reset.
    CutRedis,
    /// Redis forgets everything.
    FlushRedis,
}

/// Faults of both arms.
pub const PROCESSES: &[Fault] = &[Fault::Kill, Fault::Pause];
/// Faults of a fleet with proxies.
pub const EVERYTHING: &[Fault] =
    &[Fault::Kill, Fault::Kill, Fault::Pause, Fault::CutPostgres, Fault::CutRedis, Fault::FlushRedis];

/// Makes trouble: what, where and how often.
pub struct Trouble {
    dice: StdRng,
    faults: &'static [Fault],
    pause_ms: Range<u64>,
    log: Vec<String>,
}

impl Trouble {
    /// From a seed; in one process only what a process can suffer.
    pub fn new(seed: u64, arm: Arm, faults: &'static [Fault]) -> Self {
        let faults = if arm == Arm::Fleet { faults } else { PROCESSES };
        Self { dice: StdRng::seed_from_u64(seed), faults, pause_ms: 700..2_000, log: vec![] }
    }

    /// Makes trouble until the time is over; afterwards every process runs again.
    pub async fn make(mut self, berth: &mut Berth, lasts: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + lasts;
        loop {
            tokio::time::sleep(Duration::from_millis(self.dice.random_range(self.pause_ms.clone()))).await;
            if Instant::now() > until {
                println!("faults: {}", self.log.join(", "));
                return Ok(());
            }
            self.once(berth).await?;
        }
    }

    async fn once(&mut self, berth: &mut Berth) -> anyhow::Result<()> {
        let fault = self.faults[self.dice.random_range(0..self.faults.len())];
        let victim = self.dice.random_range(0..berth.processes().len());
        let pause = Duration::from_millis(self.dice.random_range(200..2_500));
        let process = &mut berth.processes()[victim];
        match fault {
            Fault::Kill => {
                self.log.push(format!("kill {}", process.name()));
                process.restart().await?;
            }
            Fault::Pause => {
                self.log.push(format!("pause {} for {pause:?}", process.name()));
                process.pause()?;
                tokio::time::sleep(pause).await;
                process.resume()?;
            }
            Fault::CutPostgres => {
                self.log.push("cut PostgreSQL".to_owned());
                berth.database()?.terminate_connections().await?;
            }
            Fault::CutRedis => {
                self.log.push("cut Redis".to_owned());
                berth.proxies()?.redis.cut();
            }
            Fault::FlushRedis => {
                self.log.push("flush Redis".to_owned());
                berth.flush_redis().await?;
            }
        }
        Ok(())
    }
}
