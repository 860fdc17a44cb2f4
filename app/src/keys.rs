//! The keys of an installation: one directory, which all its processes read.

use std::io;

use anyhow::Context;
use berth_kernel::{
    auth::ACCESS_TTL,
    clock::Clock,
    keyring::{KeyInfo, KeyRing},
    random,
    seal::Sealer,
    service::{CALLERS, ServiceKey},
};

use chrono::{DateTime, TimeDelta};
use clap::{Args, ValueEnum};

use crate::{
    config::{Config, Profile, Refusal, Refusals},
    role::{Role, Roles},
};

/// Whoever verifies offline may keep the key set for 5 minutes: a new key is published for longer before it signs.
const PUBLISHED_BEFORE_SECS: u32 = 600;
/// A ticket may be sold more than a year before its journey, and looked at for years after it.
const TICKETS_VERIFY: TimeDelta = TimeDelta::days(3_650);
/// Clocks of the processes may differ by this.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// What a ring of keys signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// Access tokens: an old key is trusted for 15 minutes more
    Access,
    /// Tickets: an old key is trusted for ten years more
    Ticket,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Access, Self::Ticket];

    const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Ticket => "ticket",
        }
    }

    fn ring(self, config: &Config, clock: &Clock, missing: Missing) -> Result<KeyRing, Refusal> {
        let kept = match self {
            Self::Access => ACCESS_TTL + CLOCKS_DIFFER,
            Self::Ticket => TICKETS_VERIFY,
        };
        let (folder, clock) = (config.key_file(""), clock.clone());
        let ring = match missing {
            Missing::Made => KeyRing::open(&folder, self.name(), clock, kept),
            Missing::Refused => KeyRing::load(&folder, self.name(), clock, kept),
        };
        ring.map_err(|error| refusal(config, &format!("{}*.pem", self.name()), &error))
    }
}

/// What becomes of a key that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made.
    Made,
    /// Nobody makes one by accident: an installation with new keys reads nothing of what it has sealed.
    Refused,
}

impl Missing {
    /// In development a process makes its keys; in production `berth keys init` does, and nothing else.
    pub const fn when_serving(config: &Config) -> Self {
        match config.profile {
            Profile::Development => Self::Made,
            Profile::Production => Self::Refused,
        }
    }
}

/// How the refusal of a key begins that is not there.
pub const ABSENT: &str = "there is no";

/// Why a key can't be used, and what to do.
fn refusal(config: &Config, name: &str, error: &io::Error) -> Refusal {
    let folder = config.key_file("");
    let problem = match error.kind() {
        io::ErrorKind::NotFound => format!("{ABSENT} {name} in {}", folder.display()),
        _ => format!("{name} in {} is no key that can be used: {error}", folder.display()),
    };
    Refusal::new("keys_dir", problem, "`berth keys init` once for an installation; or BERTH_KEYS_DIR=<the folder with its keys>")
}

/// How a key is changed.
#[derive(Args)]
pub struct RotateArguments {
    /// What the key signs
    #[arg(value_enum, default_value = "access")]
    purpose: Purpose,
    /// Seconds until the new key signs; until then it is only published, so that all who verify know it
    #[arg(long, default_value_t = PUBLISHED_BEFORE_SECS, conflicts_with = "compromised")]
    after_secs: u32,
    /// The old keys may be in wrong hands: the new one signs at once, and what others signed is refused. Clients refresh their
    /// session; tickets that were sold must be issued again
    #[arg(long)]
    compromised: bool,
}

/// What signs and seals.
#[derive(Clone)]
pub struct Keys {
    /// Sign access tokens.
    pub access: KeyRing,
    /// Sign tickets.
    pub ticket: KeyRing,
    /// Seals personal data.
    pub sealer: Sealer,
}

impl Keys {
    /// Reads the keys.
    pub fn load(config: &Config, clock: &Clock, missing: Missing) -> Result<Self, Refusals> {
        let mut problems = Refusals::default();
        let access = problems.take(Purpose::Access.ring(config, clock, missing));
        let ticket = problems.take(Purpose::Ticket.ring(config, clock, missing));
        let sealer = problems.take(sealer(config, missing));
        problems.end()?;
        let (Some(access), Some(ticket), Some(sealer)) = (access, ticket, sealer) else { return Err(Refusals::default()) };
        Ok(Self { access, ticket, sealer })
    }

    /// The public halves, as a JWKS.
    pub fn jwks(&self) -> String {
        let keys = [self.access.jwks(), self.ticket.jwks()].concat();
        serde_json::json!({ "keys": keys }).to_string()
    }
}

/// What seals personal data.
pub fn sealer(config: &Config, missing: Missing) -> Result<Sealer, Refusal> {
    let file = config.key_file("data.key");
    let sealer = match missing {
        Missing::Made => Sealer::load_or_create(&file),
        Missing::Refused => Sealer::load(&file),
    };
    sealer.map_err(|error| refusal(config, "data.key", &error))
}

/// In production the key by which others know this process must be there as well.
pub fn demand_service_keys(config: &Config, roles: &Roles) -> Result<(), Refusals> {
    let mut problems = Refusals::default();
    // Who does everything asks nobody else.
    if Missing::when_serving(config) == Missing::Made || roles.is_everything() {
        return Ok(());
    }
    let router = roles.has(Role::Router).then_some(Role::Router);
    for caller in [Some(roles.peer_caller()), router].into_iter().flatten() {
        if !ServiceKey::is_in(&config.key_file(""), caller.name()) {
            let name = format!("service-{}.pem", caller.name());
            problems.add(refusal(config, &name, &io::ErrorKind::NotFound.into()));
        }
    }
    problems.end()
}

/// `berth keys init`: makes every key that is missing.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn init(config: &Config) -> anyhow::Result<()> {
    Keys::load(config, &config.clock(), Missing::Made)?;
    for caller in CALLERS {
        ServiceKey::load_or_create(&config.key_file(""), caller).with_context(|| format!("the key of {caller}"))?;
    }
    if config.profile == Profile::Development {
        sandbox_key(config)?;
    }
    println!("the keys are in {}", config.key_file("").display());
    Ok(())
}

/// `berth keys list`: a line per key with its purpose, name, first second and duty.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn list(config: &Config) -> anyhow::Result<()> {
    for purpose in Purpose::ALL {
        for KeyInfo { kid, from, duty } in purpose.ring(config, &config.clock(), Missing::Refused)?.list() {
            let from = if from == DateTime::UNIX_EPOCH { "-".to_owned() } else { from.to_rfc3339() };
            println!("{}\t{kid}\t{from}\t{}", purpose.name(), format!("{duty:?}").to_lowercase());
        }
    }
    Ok(())
}

/// `berth keys rotate`: adds a key.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn rotate(config: &Config, wanted: &RotateArguments) -> anyhow::Result<()> {
    let clock = config.clock();
    let ring = wanted.purpose.ring(config, &clock, Missing::Refused)?;
    let wait = if wanted.compromised { 0 } else { wanted.after_secs };
    let from = clock.now() + TimeDelta::seconds(wait.into());
    let unwritable = |error| Refusal::new("keys_dir", error, "a directory that this command may write to");
    let kid = ring.rotate(from).map_err(unwritable)?;
    println!("{kid} signs from {} on", from.to_rfc3339());
    let purpose = wanted.purpose.name();
    tracing::info!(purpose, key.id = kid, from = from.to_rfc3339(), compromised = wanted.compromised, "keys.rotated");
    if wanted.compromised {
        let gone = ring.distrust_others(&kid).map_err(unwritable)?;
        tracing::warn!(purpose, key.id = kid, gone, "keys.distrusted");
        println!("{gone} other keys are gone: nothing that they signed is trusted");
    }
    Ok(())
}

/// The sandbox provider's server key is made once and kept, so that notices from before a restart still verify.
pub fn sandbox_key(config: &Config) -> anyhow::Result<String> {
    let file = config.key_file("sandbox.key");
    if let Ok(key) = std::fs::read_to_string(&file) {
        return Ok(key);
    }
    // Another process may be as quick: whose file stands first counts.
    let _second = berth_kernel::auth::write_private(&file, random::token().as_bytes());
    std::fs::read_to_string(&file).context("sandbox.key")
}
