//! Development only: a clock that several processes share through a file, so that `POST /dev/clock` moves all of them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use berth_kernel::{clock::Clock, jobs::Background};
use chrono::TimeDelta;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// By then every process has looked.
const SEEN_BY_ALL: Duration = Duration::from_millis(100);

/// The process's clock, and how it is moved.
#[derive(Clone)]
pub struct SharedClock {
    clock: Clock,
    file: Option<PathBuf>,
}

impl SharedClock {
    /// Moves the clock to where the file says it is, and follows the file until the background work stops. Inside a Tokio runtime.
    pub fn follow(clock: Clock, file: Option<PathBuf>, background: &Background) -> Self {
        if let Some(file) = file.clone() {
            let mut known = read(&file);
            clock.advance(known);
            let clock = clock.clone();
            let own = background.clone();
            background.spawn(async move {
                while !own.is_stopped() {
                    let moved = read(&file);
                    clock.advance(moved - known);
                    known = moved;
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            });
        }
        Self { clock, file }
    }

    /// The clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Moves the clock of every process that follows the file.
    pub async fn advance(&self, by: TimeDelta) -> std::io::Result<()> {
        let Some(file) = &self.file else {
            self.clock.advance(by);
            return Ok(());
        };
        let whole = file.with_extension("new");
        fs::write(&whole, (read(file) + by).num_milliseconds().to_string())?;
        fs::rename(&whole, file)?;
        tokio::time::sleep(SEEN_BY_ALL).await;
        Ok(())
    }
}

/// How far the clock was moved. No file: not at all.
fn read(file: &Path) -> TimeDelta {
    let text = fs::read_to_string(file).unwrap_or_default();
    TimeDelta::try_milliseconds(text.trim().parse().unwrap_or(0)).unwrap_or_default()
}
