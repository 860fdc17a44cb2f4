//! The time that the processes of a fleet agree on is PostgreSQL's. Each measures how far its own machine is off and corrects its
//! clock, so that a wrong clock ends no hold early and lets none live on. Who has no database takes the time from the services.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use sea_orm::{
    DatabaseBackend, DbErr,
    sqlx::{self, PgConnection},
};

use crate::{clock::Clock, db::Db, jobs::Background, peer::Standing};

const MEASURE_EVERY: Duration = Duration::from_secs(30);
/// Less is the noise of the measurement.
const WORTH_IT: TimeDelta = TimeDelta::milliseconds(50);
/// Of so many questions the one that was answered most quickly counts.
const QUESTIONS: usize = 5;
/// What was under way for longer says too little about when it was answered.
const ROUND_TRIP_AT_MOST: Duration = Duration::from_millis(100);
/// A clock is led to the right time in steps, so that nothing ends by a jump.
const STEP: TimeDelta = TimeDelta::milliseconds(50);
const STEP_EVERY: Duration = Duration::from_secs(1);
/// Nobody drifts so far between two measurements: the machine's clock was set, and the agreed time did not jump with it.
const WAS_SET: TimeDelta = TimeDelta::seconds(10);
const NOW_MS: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// A question for the time, and what its answer says.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    off: TimeDelta,
    round_trip: Duration,
}

/// A question that is under way.
pub(crate) struct Asked {
    at: Instant,
    here: DateTime<Utc>,
}

impl Sample {
    pub(crate) fn begin(machine: &Clock) -> Asked {
        Asked { at: Instant::now(), here: machine.now() }
    }
}

impl Asked {
    /// The answer is taken to be given half-way.
    pub(crate) fn end(&self, there_ms: i64) -> Option<Sample> {
        let round_trip = self.at.elapsed();
        let here = self.here + TimeDelta::from_std(round_trip / 2).ok()?;
        Some(Sample { off: DateTime::from_timestamp_millis(there_ms)? - here, round_trip })
    }
}

/// The clock of a process, and how it is led to the agreed time.
pub struct AgreedTime {
    clock: Clock,
    standing: Standing,
    /// What is to be added to what the machine says, once it was measured.
    wanted: Mutex<Option<TimeDelta>>,
}

impl AgreedTime {
    /// For a clock that goes by the machine's as yet. Begins to lead it; ends with the background work.
    pub fn new(clock: Clock, standing: Standing, background: &Background) -> Arc<Self> {
        let time = Arc::new(Self { clock, standing, wanted: Mutex::default() });
        let (own, led) = (background.clone(), Arc::clone(&time));
        background.spawn(async move {
            while !own.is_stopped() {
                led.step();
                tokio::select! {
                    () = own.stopped() => {}
                    () = tokio::time::sleep(STEP_EVERY) => {}
                }
            }
        });
        time
    }

    /// Learns from answers; `false`: they say nothing. The first ones count at once, and however long they took.
    pub fn hear(&self, samples: impl IntoIterator<Item = Sample>) -> bool {
        let best = samples.into_iter().min_by_key(|sample| sample.round_trip);
        let mut wanted = self.wanted.lock();
        let Some(Sample { off, .. }) = best.filter(|best| wanted.is_none() || best.round_trip <= ROUND_TRIP_AT_MOST) else {
            return false;
        };
        self.standing.measured(off);
        let before = wanted.unwrap_or_default();
        if (off - before).abs() > WORTH_IT {
            tracing::warn!(off_ms = off.num_milliseconds(), "clock.corrected");
            if wanted.is_none() || (off - before).abs() > WAS_SET {
                self.clock.correct(off);
            }
            *wanted = Some(off);
        } else {
            wanted.get_or_insert_default();
        }
        true
    }

    /// One step towards what is wanted.
    fn step(&self) {
        let Some(wanted) = *self.wanted.lock() else { return };
        let present = self.clock.correction();
        if wanted != present {
            self.clock.correct(present + (wanted - present).clamp(-STEP, STEP));
        }
    }
}

/// Measures by the database, now and again and again until the background work stops. `machine` is the machine's clock, which no test
/// moves. On SQLite there is nobody to agree with.
pub async fn follow(db: Db, machine: Clock, time: Arc<AgreedTime>, background: &Background) -> Result<(), DbErr> {
    if db.backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    time.hear(measure(&db, &machine).await?);
    let own = background.clone();
    background.spawn(async move {
        loop {
            tokio::select! {
                () = own.stopped() => return,
                () = tokio::time::sleep(MEASURE_EVERY) => {}
            }
            match measure(&db, &machine).await {
                Ok(samples) => {
                    if !time.hear(samples) {
                        tracing::info!(reason = "every answer took too long", "clock.not_measured");
                    }
                }
                Err(error) => tracing::warn!(error = %error, "clock.not_measured"),
            }
        }
    });
    Ok(())
}

/// Asks several times, on one connection: what it took to get that is no part of the way.
pub async fn measure(db: &Db, machine: &Clock) -> Result<Vec<Sample>, DbErr> {
    let failed = |error: sqlx::Error| DbErr::Custom(error.to_string());
    let mut held = db.read().get_postgres_connection_pool().acquire().await.map_err(failed)?;
    let mut samples = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        samples.extend(ask(&mut held, machine).await.map_err(failed)?);
    }
    Ok(samples)
}

async fn ask(held: &mut PgConnection, machine: &Clock) -> Result<Option<Sample>, sqlx::Error> {
    let asked = Sample::begin(machine);
    let there_ms: i64 = sqlx::query_scalar(NOW_MS).fetch_one(held).await?;
    Ok(asked.end(there_ms))
}

/// How far the machine is behind PostgreSQL; nothing on SQLite.
pub async fn off(db: &Db, machine: &Clock) -> Result<Option<TimeDelta>, DbErr> {
    if db.backend() != DatabaseBackend::Postgres {
        return Ok(None);
    }
    let best = measure(db, machine).await?.into_iter().min_by_key(|sample| sample.round_trip);
    Ok(best.map(|best| best.off))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(off_ms: i64, round_trip_ms: u64) -> Sample {
        Sample { off: TimeDelta::milliseconds(off_ms), round_trip: Duration::from_millis(round_trip_ms) }
    }

    fn world() -> (Clock, Standing, AgreedTime) {
        let (clock, standing) = (Clock::system(), Standing::default());
        let time = AgreedTime { clock: clock.clone(), standing: standing.clone(), wanted: Mutex::default() };
        (clock, standing, time)
    }

    fn ms(clock: &Clock) -> i64 {
        clock.correction().num_milliseconds()
    }

    #[test]
    fn the_quickest_answer_counts_and_the_first_at_once() {
        let (clock, standing, time) = world();
        assert!(time.hear([sample(900, 3_000), sample(-300, 2), sample(40, 90)]));
        assert_eq!((ms(&clock), standing.off()), (-300, Some(TimeDelta::milliseconds(-300))));
    }

    #[test]
    fn what_stalled_moves_nothing() {
        let (clock, _, time) = world();
        assert!(time.hear([sample(0, 1)]));
        assert!(!time.hear([sample(1_396, 2_800), sample(631, 1_300)]), "the answers of a stalled connection");
        time.step();
        assert_eq!(ms(&clock), 0);
    }

    #[test]
    fn a_clock_is_led_in_steps_and_a_clock_that_was_set_is_set_back() {
        let (clock, _, time) = world();
        time.hear([sample(0, 1)]);
        time.hear([sample(120, 1)]);
        assert_eq!(ms(&clock), 0, "no jump");
        for expected in [50, 100, 120, 120] {
            time.step();
            assert_eq!(ms(&clock), expected);
        }
        time.hear([sample(90, 1)]);
        time.step();
        assert_eq!(ms(&clock), 120, "noise");
        time.hear([sample(-600_000, 1)]);
        assert_eq!(ms(&clock), -600_000);
    }
}
