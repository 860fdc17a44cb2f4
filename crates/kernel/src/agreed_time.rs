//! The time that the processes of a fleet agree on is PostgreSQL's. Each measures how far its own machine is off and corrects its
//! clock, so that a wrong clock ends no hold early and lets none live on.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr};

use crate::{
    clock::Clock,
    db::{Db, now_ms, sql},
    jobs::Background,
};

const MEASURE_EVERY: Duration = Duration::from_secs(30);
/// Less is the noise of the measurement.
const WORTH_IT: TimeDelta = TimeDelta::milliseconds(50);

/// Corrects `clock` now, and again and again until the background work stops. `machine` is the machine's clock, which no test moves. On SQLite
/// there is nobody to agree with.
pub async fn follow(db: Db, machine: Clock, clock: Clock, background: &Background) -> Result<(), DbErr> {
    if db.read().get_database_backend() != DatabaseBackend::Postgres {
        return Ok(());
    }
    correct(&db, &machine, &clock).await?;
    let own = background.clone();
    background.spawn(async move {
        loop {
            tokio::select! {
                () = own.stopped() => return,
                () = tokio::time::sleep(MEASURE_EVERY) => {}
            }
            if let Err(error) = correct(&db, &machine, &clock).await {
                tracing::warn!(error = %error, "clock.not_measured");
            }
        }
    });
    Ok(())
}

async fn correct(db: &Db, machine: &Clock, clock: &Clock) -> Result<(), DbErr> {
    let off = measure(db, machine).await?;
    if (off - clock.correction()).abs() > WORTH_IT {
        tracing::warn!(off_ms = off.num_milliseconds(), "clock.corrected");
        clock.correct(off);
    }
    Ok(())
}

/// How far the machine is behind PostgreSQL; nothing on SQLite.
pub async fn off(db: &Db, machine: &Clock) -> Result<Option<TimeDelta>, DbErr> {
    if db.read().get_database_backend() != DatabaseBackend::Postgres {
        return Ok(None);
    }
    // The first question may wait for a connection.
    measure(db, machine).await?;
    measure(db, machine).await.map(Some)
}

/// How far the machine is behind PostgreSQL: asked for, and taken to be answered half-way.
async fn measure(db: &Db, machine: &Clock) -> Result<TimeDelta, DbErr> {
    let asked = machine.now();
    let text = format!("SELECT {} AS now_ms", now_ms(db.read()));
    let row = db.read().query_one_raw(sql(db.read(), &text, [])).await?;
    let between = asked + (machine.now() - asked) / 2;
    let there: i64 = row.map_or(Ok(between.timestamp_millis()), |row| row.try_get("", "now_ms"))?;
    Ok(DateTime::from_timestamp_millis(there).unwrap_or(between) - between)
}
