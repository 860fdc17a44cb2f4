//! The databases of this process: whether they let it in, whether their tables and its keys fit, and what time it is there.

use berth_kernel::{
    agreed_time,
    canary::{self, Canary},
    db::{Db, Unreached, reach_postgres},
};
use chrono::TimeDelta;

use super::Findings;
use crate::{
    config::Config,
    databases::{connect_to, exists, other_key, tables, too_new, unfit},
    keys::{self, Missing},
    role::{Roles, Service},
};

/// A machine that is off by more than this has no NTP.
pub const OFF_A_LITTLE: TimeDelta = TimeDelta::seconds(1);
/// Tokens and credentials suffer from more than this.
pub const OFF_TOO_MUCH: TimeDelta = TimeDelta::seconds(60);

/// Looks into each database that the roles open.
pub async fn look(config: &Config, roles: &Roles, findings: &mut Findings) {
    for service in roles.opened() {
        let about = format!("database {}", service.name());
        if !exists(config, service) {
            let file = config.sqlite_file(service.name());
            findings.warn(&about, format!("{} is not there: it is made at the start", file.display()));
            continue;
        }
        if let Some(url) = config.database(service) {
            match reach_postgres(url).await {
                Ok(()) => {}
                Err(Unreached::Refused(problem)) => {
                    findings.fail(&about, unfit(service.name(), &problem));
                    continue;
                }
                Err(Unreached::Away(problem)) => {
                    findings.fail(&about, problem);
                    continue;
                }
            }
        }
        match connect_to(config, service).await {
            Ok(db) => {
                let looked = inside(config, service, &db, &about, findings).await;
                looked.unwrap_or_else(|error| findings.fail(&about, format!("{error:#}")));
                // Nothing stays open, and SQLite takes its files beside the database away.
                let _closed = db.close().await;
            }
            Err(error) => findings.fail(&about, format!("{error:#}")),
        }
    }
}

async fn inside(config: &Config, service: Service, db: &Db, about: &str, findings: &mut Findings) -> anyhow::Result<()> {
    let found = tables(db, service).await?;
    if let Some(newest) = found.unknown.last() {
        findings.fail(about, too_new(service.name(), newest));
    }
    match found.pending.len() {
        0 if found.unknown.is_empty() => findings.ok(about, "the tables are those of this program"),
        0 => {}
        pending => findings.warn(about, format!("{pending} migrations are still to be made: `berth migrate`, or the next start")),
    }
    if let Ok(sealer) = keys::sealer(config, Missing::Refused) {
        match canary::look(db, &sealer).await? {
            Canary::Opens => findings.ok(about, "data.key is the key it was sealed with"),
            Canary::OtherKey => findings.fail(about, other_key(config, service)),
            Canary::Absent => findings.warn(about, "it has no canary for data.key yet: the next start sets one"),
        }
    }
    db.integrity().await?;
    if let Some(off) = agreed_time::off(db, &config.clock()).await? {
        clock(&format!("PostgreSQL of {}", service.name()), off, findings);
    }
    Ok(())
}

/// Compares clocks: `off` is how far this machine is behind.
pub fn clock(whose: &str, off: TimeDelta, findings: &mut Findings) {
    let told = format!("{} ms behind that of {whose}", off.num_milliseconds());
    if off.abs() > OFF_TOO_MUCH {
        findings.fail("clock", format!("{told}: set it right, and keep it so by NTP"));
    } else if off.abs() > OFF_A_LITTLE {
        findings.warn("clock", format!("{told}: is there NTP?"));
    } else {
        findings.ok("clock", told);
    }
}
