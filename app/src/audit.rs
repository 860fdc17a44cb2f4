//! `berth audit`: reads the databases of all four services and proves that what was sold, ticketed, captured and given back adds
//! up. It changes nothing and may run beside live services: what is only half done when it looks has changed when it looks again,
//! so only what it finds at every look counts.

mod checks;

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use berth_kernel::{clock::Clock, db::Db};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::{config::Config, databases, role::Service};

/// How long unfinished work is nobody's concern.
pub const GRACE: TimeDelta = TimeDelta::minutes(2);
/// How often a suspicion is looked at again, and after what pause.
const LOOKS: usize = 4;
const PAUSE: Duration = Duration::from_millis(400);
/// Violations of one check that a person is shown.
const SHOWN: usize = 20;

/// The databases of the four services.
#[derive(Clone)]
pub struct Databases {
    /// Of user.
    pub user: Db,
    /// Of inventory.
    pub inventory: Db,
    /// Of booking.
    pub booking: Db,
    /// Of payment.
    pub payment: Db,
}

/// One promise, and where it is broken.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The promise.
    pub name: &'static str,
    /// How many things were looked at.
    pub looked_at: usize,
    /// What breaks it, by id.
    pub violations: BTreeSet<String>,
}

impl Check {
    fn new(name: &'static str, looked_at: usize, violations: impl IntoIterator<Item = String>) -> Self {
        Self { name, looked_at, violations: violations.into_iter().collect() }
    }
}

/// Every check.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// In the order in which they are told.
    pub checks: Vec<Check>,
}

impl Report {
    /// How many violations there are.
    pub fn violations(&self) -> usize {
        self.checks.iter().map(|check| check.violations.len()).sum()
    }

    /// Leaves the violations that the other report has as well.
    fn keep_common(mut self, other: &Self) -> Self {
        for (check, again) in self.checks.iter_mut().zip(&other.checks) {
            check.looked_at = again.looked_at;
            check.violations.retain(|violation| again.violations.contains(violation));
        }
        self
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let verdict = if check.violations.is_empty() { "ok  " } else { "FAIL" };
            // Writing to a String can't fail.
            let _written = writeln!(text, "{verdict} {:>9}  {}", check.looked_at, check.name);
            for violation in check.violations.iter().take(SHOWN) {
                let _written = writeln!(text, "                  {violation}");
            }
            if check.violations.len() > SHOWN {
                let _written = writeln!(text, "                  and {} more", check.violations.len() - SHOWN);
            }
        }
        text
    }
}

/// Audits the databases; `now` tells the time of each look.
pub(crate) async fn audit(databases: &Databases, now: impl Fn() -> DateTime<Utc>) -> anyhow::Result<Report> {
    let mut report = checks::look(databases, now()).await?;
    for _ in 1..LOOKS {
        if report.violations() == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        report = report.keep_common(&checks::look(databases, now()).await?);
    }
    Ok(report)
}

/// Prints a report; an error tells that it has violations.
#[expect(clippy::print_stdout, reason = "the report is the command's purpose")]
pub fn tell(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(report)?);
    } else {
        print!("{}", report.table());
    }
    match report.violations() {
        0 => Ok(()),
        1 => anyhow::bail!("1 violation"),
        count => anyhow::bail!("{count} violations"),
    }
}

/// `berth audit`.
pub(crate) fn run(config: &Config, json: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock = Clock::system();
    let report = runtime.block_on(async {
        let databases = open(config).await?;
        audit(&databases, || clock.now()).await
    })?;
    tell(&report, json)
}

/// Opens the databases as they are.
async fn open(config: &Config) -> anyhow::Result<Databases> {
    Ok(Databases {
        user: databases::connect_to(config, Service::User).await?,
        inventory: databases::connect_to(config, Service::Inventory).await?,
        booking: databases::connect_to(config, Service::Booking).await?,
        payment: databases::connect_to(config, Service::Payment).await?,
    })
}
