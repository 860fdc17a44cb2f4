//! Passwords are hashed on threads of their own, a few at a time: hashing is the dearest thing anybody can make us do.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash::SaltString};
use berth_kernel::{metrics, random, sabotage};
use chrono::TimeDelta;
use tokio::sync::Semaphore;

use crate::{
    config::UserConfig,
    error::{Error, Invalid, Refusal},
    password::Password,
    strength,
};

/// Makes and checks argon2id hashes.
pub struct Hasher {
    argon: Argon2<'static>,
    permits: Arc<Semaphore>,
    queue: Semaphore,
    /// Checked where there is no account, so that an unknown address takes as long as a known one.
    decoy: Arc<str>,
}

/// What checking a password found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// It is the right one.
    pub right: bool,
    /// It is the right one, and its hash has another cost than new ones: this one should replace it.
    pub renewed: Option<String>,
}

impl Hasher {
    /// A hasher with the costs and limits of the configuration. Hashes once.
    pub fn new(config: &UserConfig) -> Self {
        let cost = config.hash_cost;
        // The default of the library is our default too: an impossible cost falls back to it.
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None).unwrap_or_default();
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = make(&argon, &random::token()).unwrap_or_default().into();
        let permits = Arc::new(Semaphore::new(config.hash_permits.max(1)));
        Self { argon, permits, queue: Semaphore::new(config.hash_permits.max(1) + config.hash_queue), decoy }
    }

    /// Refuses a new password, as `field`, when it would be guessed first. `known` is what is known of its owner.
    pub async fn judge(&self, field: &'static str, password: &Password, known: Vec<String>) -> Result<(), Error> {
        let password = password.clone().into_text();
        self.run(move |_| Ok(strength::check(&password, &known).map_err(|why| Invalid { field, why })?)).await
    }

    /// The hash of a password.
    pub async fn hash(&self, password: Password) -> Result<String, Error> {
        let password = password.into_text();
        self.run(move |argon| make(argon, &password)).await
    }

    /// Checks a password against a hash, or against the decoy: then the answer is always wrong, after the same work.
    pub async fn check(&self, password: String, hash: Option<String>) -> Result<Checked, Error> {
        if hash.is_none() && sabotage::is_chosen("skip_decoy") {
            return Ok(Checked { right: false, renewed: None });
        }
        let decoy = Arc::clone(&self.decoy);
        self.run(move |argon| {
            let stored = hash.as_deref().unwrap_or(&decoy);
            let right = matches(argon, &password, stored)? && hash.is_some();
            let renewed = if right && is_outdated(argon, stored) { Some(make(argon, &password)?) } else { None };
            Ok(Checked { right, renewed })
        })
        .await
    }

    /// Runs on a blocking thread, holding a permit to the very end, even when the caller has gone.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let busy = |_| Refusal::RateLimited { retry_after: TimeDelta::seconds(1) };
        let _place = self.queue.try_acquire().map_err(busy)?;
        let _counted = Counted::new();
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|why| Error::library("hashing", &why))?;
        let argon = self.argon.clone();
        let task = tokio::task::spawn_blocking(move || {
            let done = work(&argon);
            drop(permit);
            done
        });
        task.await.map_err(|why| Error::library("hashing", &why))?
    }
}

/// Counts itself among the passwords at work while it lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::PASSWORDS.inc();
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::PASSWORDS.dec();
    }
}

fn make(argon: &Argon2<'_>, password: &str) -> Result<String, Error> {
    let salt = SaltString::encode_b64(&random::bytes::<16>()).map_err(|why| Error::library("hashing", &why))?;
    let hash = argon.hash_password(password.as_bytes(), &salt).map_err(|why| Error::library("hashing", &why))?;
    Ok(hash.to_string())
}

/// A stored hash brings its own costs along.
fn matches(argon: &Argon2<'_>, password: &str, stored: &str) -> Result<bool, Error> {
    let hash = PasswordHash::new(stored).map_err(|why| Error::library("reading a password's hash", &why))?;
    Ok(argon.verify_password(password.as_bytes(), &hash).is_ok())
}

fn is_outdated(argon: &Argon2<'_>, stored: &str) -> bool {
    let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    let stored = PasswordHash::new(stored).and_then(|hash| Params::try_from(&hash));
    stored.is_ok_and(|stored| cost(&stored) != cost(argon.params()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HashCost;

    const CHOSEN: &str = "correct horse battery";

    fn chosen() -> Password {
        Password::parse(CHOSEN).expect("a password")
    }

    fn cheap(memory_kib: u32) -> Hasher {
        let hash_cost = HashCost { memory_kib, passes: 1, lanes: 1 };
        Hasher::new(&UserConfig { hash_cost, ..UserConfig::default() })
    }

    #[tokio::test]
    async fn a_hash_is_renewed_when_its_cost_rises() {
        let (old, new) = (cheap(16), cheap(32));
        let hash = old.hash(chosen()).await.expect("hashes");
        let same = old.check(CHOSEN.to_owned(), Some(hash.clone())).await.expect("checks");
        assert_eq!(same, Checked { right: true, renewed: None });
        let risen = new.check(CHOSEN.to_owned(), Some(hash.clone())).await.expect("checks");
        assert!(risen.right && risen.renewed.is_some_and(|renewed| renewed.contains("m=32")));
        assert!(!new.check("wrong horse".to_owned(), Some(hash)).await.expect("checks").right);
        assert!(!new.check(CHOSEN.to_owned(), None).await.expect("checks").right);
    }

    #[tokio::test]
    async fn the_default_cost_is_that_of_the_rules() {
        let hash = Hasher::new(&UserConfig::default()).hash(chosen()).await.expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    }
}
