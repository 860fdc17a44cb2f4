//! `berth doctor`: looks at everything that a start needs and that a running fleet can lose, and says what to do about what it
//! finds. It makes and changes nothing, so it can run beside a serving Berth.

mod databases;
mod host;
mod outside;
mod peers;

use std::fmt::Display;

use crate::{
    config::Config,
    keys::{self, Keys, Missing},
    role::Roles,
    schema,
};

/// What was found until now. Each finding is a line of its own as soon as it is known.
#[derive(Debug, Default)]
struct Findings {
    fine: usize,
    failed: usize,
    warned: usize,
}

impl Findings {
    fn ok(&mut self, about: &str, what: impl Display) {
        self.fine += 1;
        Self::tell("ok   ", about, &what);
    }

    /// Something that works, and should not stay so.
    fn warn(&mut self, about: &str, what: impl Display) {
        self.warned += 1;
        Self::tell("warn ", about, &what);
    }

    /// Something that does not work.
    fn fail(&mut self, about: &str, what: impl Display) {
        self.failed += 1;
        Self::tell("FAIL ", about, &what);
    }

    #[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
    fn tell(verdict: &str, about: &str, what: &impl Display) {
        for line in what.to_string().lines() {
            println!("{verdict} {about}: {line}");
        }
    }
}

/// Prints a line per finding; fails when one of them is a failure. Warnings are none.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let roles = config.roles()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut findings = Findings::default();
    settings(config, &mut findings);
    host::look(config, &roles, &mut findings);
    keys(config, &roles, &mut findings);
    match schema::check_supergraph() {
        Ok(()) => findings.ok("schema", "this program's parts fit together"),
        Err(problem) => findings.fail("schema", format!("{problem:#}")),
    }
    runtime.block_on(async {
        databases::look(config, &roles, &mut findings).await;
        outside::look(config, &roles, &mut findings).await;
        peers::look(config, &roles, &mut findings).await;
    });
    anyhow::ensure!(findings.failed == 0, "{} failed, {} warnings, {} fine", findings.failed, findings.warned, findings.fine);
    Ok(())
}

/// What `berth serve` would refuse.
fn settings(config: &Config, findings: &mut Findings) {
    let problems = config.problems_of_serving();
    match problems.list() {
        [] => findings.ok("settings", format!("{} profile", config.profile.name())),
        problems => problems.iter().for_each(|problem| findings.fail("settings", problem)),
    }
}

/// Development makes what is missing; production does not.
fn keys(config: &Config, roles: &Roles, findings: &mut Findings) {
    let read = Keys::load(config, &config.clock(), Missing::Refused).map(|_| ());
    let problems = match read.and_then(|()| keys::demand_service_keys(config, roles)) {
        Ok(()) => return findings.ok("keys", format!("in {}", config.key_file("").display())),
        Err(problems) => problems,
    };
    for problem in problems.list() {
        if problem.problem.starts_with(keys::ABSENT) && Missing::when_serving(config) == Missing::Made {
            findings.warn("keys", format!("{}: it is made at the start", problem.problem));
        } else {
            findings.fail("keys", problem);
        }
    }
}
