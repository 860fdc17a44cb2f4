//! The keys of an installation: one directory, which all its processes read.

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

use crate::config::{Config, Profile, Refusal};

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

    fn ring(self, config: &Config, clock: &Clock) -> anyhow::Result<KeyRing> {
        let kept = match self {
            Self::Access => ACCESS_TTL + CLOCKS_DIFFER,
            Self::Ticket => TICKETS_VERIFY,
        };
        let ring = KeyRing::open(&config.key_file(""), self.name(), clock.clone(), kept);
        ring.with_context(|| format!("the keys {}*.pem", self.name()))
    }
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
    /// Reads the keys, making those that are missing.
    pub fn load(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        Ok(Self {
            access: Purpose::Access.ring(config, clock)?,
            ticket: Purpose::Ticket.ring(config, clock)?,
            sealer: Sealer::load_or_create(&config.key_file("data.key")).context("data.key")?,
        })
    }

    /// The public halves, as a JWKS.
    pub fn jwks(&self) -> String {
        let keys = [self.access.jwks(), self.ticket.jwks()].concat();
        serde_json::json!({ "keys": keys }).to_string()
    }
}

/// `berth keys init`: makes every key that is missing.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn init(config: &Config) -> anyhow::Result<()> {
    Keys::load(config, &config.clock())?;
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
        for KeyInfo { kid, from, duty } in purpose.ring(config, &config.clock())?.list() {
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
    let ring = wanted.purpose.ring(config, &clock)?;
    let wait = if wanted.compromised { 0 } else { wanted.after_secs };
    let from = clock.now() + TimeDelta::seconds(wait.into());
    let unwritable = |error| Refusal::new("keys_dir", error, "a directory that this command may write to");
    let kid = ring.rotate(from).map_err(unwritable)?;
    println!("{kid} signs from {} on", from.to_rfc3339());
    if wanted.compromised {
        println!("{} other keys are gone: nothing that they signed is trusted", ring.distrust_others(&kid).map_err(unwritable)?);
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
