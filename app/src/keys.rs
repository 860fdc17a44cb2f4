//! The keys of an installation: one directory, which all its processes read.

use anyhow::Context;
use berth_kernel::{
    auth::SignKey,
    random,
    seal::Sealer,
    service::{CALLERS, ServiceKey},
};

use crate::config::{Config, Profile};

/// What signs and seals.
#[derive(Clone)]
pub struct Keys {
    /// Signs access tokens.
    pub access: SignKey,
    /// Signs tickets.
    pub ticket: SignKey,
    /// Seals personal data.
    pub sealer: Sealer,
}

impl Keys {
    /// Reads the keys, making those that are missing.
    pub fn load(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            access: SignKey::load_or_create(&config.key_file("access.pem")).context("access.pem")?,
            ticket: SignKey::load_or_create(&config.key_file("ticket.pem")).context("ticket.pem")?,
            sealer: Sealer::load_or_create(&config.key_file("data.key")).context("data.key")?,
        })
    }

    /// The public halves, as a JWKS.
    pub fn jwks(&self) -> String {
        serde_json::json!({ "keys": [self.access.jwk(), self.ticket.jwk()] }).to_string()
    }
}

/// `berth keys init`: makes every key that is missing.
#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
pub fn init(config: &Config) -> anyhow::Result<()> {
    Keys::load(config)?;
    for caller in CALLERS {
        ServiceKey::load_or_create(&config.key_file(""), caller).with_context(|| format!("the key of {caller}"))?;
    }
    if config.profile == Profile::Development {
        sandbox_key(config)?;
    }
    println!("the keys are in {}", config.key_file("").display());
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
