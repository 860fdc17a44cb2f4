//! Work that a sign-up costs its client, where the operator asks for it: to find a number so that a SHA-256 begins with so many zero
//! bits. One person does not notice; who wants thousands of accounts does. A task is signed by us instead of being kept, and is
//! noted once it was used.

use berth_kernel::random;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use sha2::{Digest, Sha256};

use crate::{
    accounts::Accounts,
    error::{Error, Refusal},
    store,
};

/// Purpose of the keyed hashes of tasks.
const PURPOSE: &str = "work";
const TASK_TTL: TimeDelta = TimeDelta::minutes(10);
/// Longest number that is looked at.
const LONGEST_NONCE: usize = 64;

/// A task.
#[derive(Debug, Clone)]
pub struct Task {
    /// What stands before the number: random, the time of its end, and our signature.
    pub challenge: String,
    /// Leading zero bits that are wanted.
    pub bits: u32,
    /// Until when it counts.
    pub expires_at: DateTime<Utc>,
}

/// A task that was done.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// The task's challenge.
    pub challenge: &'a str,
    /// The number that was found.
    pub nonce: &'a str,
}

impl Work<'_> {
    /// Leading zero bits of the hash of challenge, colon and number.
    pub fn bits(&self) -> u32 {
        let digest = Sha256::new().chain_update(self.challenge).chain_update(":").chain_update(self.nonce).finalize();
        let zeros = digest.iter().take_while(|byte| **byte == 0).count();
        let rest = digest.get(zeros).map_or(0, |byte| byte.leading_zeros());
        u32::try_from(zeros).unwrap_or(0) * 8 + rest
    }
}

impl Accounts {
    /// A fresh task.
    pub async fn sign_up_task(&self) -> Result<Task, Error> {
        self.throttle.guess().await?;
        let expires_at = self.deps.clock.now() + TASK_TTL;
        let told = format!("{}.{}", expires_at.timestamp_millis(), random::token());
        let challenge = format!("{told}.{}", self.deps.sealer.hash(PURPOSE, &told));
        Ok(Task { challenge, bits: self.config.sign_up_work_bits, expires_at })
    }

    /// Refuses a sign-up whose work is missing, not done, not for a task of ours, or was used.
    pub(crate) async fn check_work(&self, work: Option<Work<'_>>) -> Result<(), Error> {
        let bits = self.config.sign_up_work_bits;
        if bits == 0 {
            return Ok(());
        }
        let refused = Refusal::WorkRequired { bits: i32::try_from(bits).unwrap_or(i32::MAX) };
        let work = work.filter(|work| work.nonce.len() <= LONGEST_NONCE).ok_or(refused)?;
        let now = self.deps.clock.now();
        let ends = self.end_of(work.challenge).filter(|ends| *ends > now).ok_or(refused)?;
        if work.bits() < bits {
            return Err(refused.into());
        }
        let hash = self.deps.sealer.hash(PURPOSE, work.challenge);
        let first =
            self.deps.db.write::<_, DbErr, _>(move |tx| Box::pin(async move { store::work::note(tx, &hash, ends).await }));
        if first.await? { Ok(()) } else { Err(refused.into()) }
    }

    /// When a task of ours ends; `None` when it is not ours.
    fn end_of(&self, challenge: &str) -> Option<DateTime<Utc>> {
        let (told, signature) = challenge.rsplit_once('.')?;
        if !self.deps.sealer.matches(PURPOSE, told, signature) {
            return None;
        }
        DateTime::from_timestamp_millis(told.split('.').next()?.parse().ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_bits_are_counted_from_the_front() {
        let work = |nonce: &'static str| Work { challenge: "berth", nonce };
        let found =
            (0..100_000).map(|number: u32| number.to_string()).find(|nonce| Work { challenge: "berth", nonce }.bits() >= 12);
        let found = found.expect("one in 4096");
        let digest = Sha256::digest(format!("berth:{found}"));
        assert!(digest[0] == 0 && digest[1] < 16, "{digest:x?}");
        assert_eq!(work("0").bits(), Sha256::digest("berth:0")[0].leading_zeros());
    }
}
