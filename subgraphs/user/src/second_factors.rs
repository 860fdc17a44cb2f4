//! The second factor of an account: an authenticator app, and recovery codes for the day the phone is lost.
//!
//! An account with a second factor opens a session in two steps: the password gets a challenge, and the challenge with a code gets
//! the session. A new password by link changes nothing of that. Passkeys need no second factor: they are two by themselves.

use berth_contracts::Kind;
use berth_kernel::{auth::SignedIn, db::Tx, metrics, random};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    error::{Error, Invalid, Refusal},
    notification::{Facts, Kind as Notified, Notice},
    sessions::{Grant, Opened},
    store,
    totp::{self, Secret},
};

/// Purpose of the keyed hashes of recovery codes.
const PURPOSE: &str = "recovery";
const RECOVERY_CODES: usize = 10;
/// 48 bits: with the limits on tries nobody guesses one.
const RECOVERY_SIGNS: usize = 10;
const CHALLENGE_TTL: TimeDelta = TimeDelta::minutes(5);
const CHALLENGE_TRIES: i32 = 5;
const CODE_DIGITS: usize = 6;

/// What an authenticator app is told, once.
#[derive(Clone)]
pub struct Enrolment {
    /// For a QR code.
    pub uri: String,
    /// For typing.
    pub secret: String,
}

/// How an account is protected beside its password.
#[derive(Debug, Clone, Copy)]
pub struct Protection {
    /// Whether sign-in asks for a code.
    pub totp_enabled: bool,
    /// Recovery codes that were not used.
    pub recovery_codes_left: i64,
}

/// A sign-in whose password was right and that waits for a code.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// Its key.
    pub challenge_id: Uuid,
    /// Until when it waits.
    pub expires_at: DateTime<Utc>,
}

/// What a right password opens.
pub enum Entered {
    /// A session.
    Opened(Box<Opened>),
    /// The question for the second factor.
    Waiting(Waiting),
}

/// What somebody shows to switch the second factor off.
pub enum Proof<'a> {
    /// The password.
    Password(&'a str),
    /// A code of the app, or a recovery code.
    Code(&'a str),
}

impl<'a> Proof<'a> {
    /// Exactly one of the two.
    pub fn parse(password: Option<&'a str>, code: Option<&'a str>) -> Result<Self, Invalid> {
        match (password, code) {
            (Some(password), None) => Ok(Self::Password(password)),
            (None, Some(code)) => Ok(Self::Code(code)),
            _ => Err(Invalid { field: "code", why: "give the password or a code, one of the two" }),
        }
    }
}

impl Accounts {
    /// How the account is protected.
    pub async fn protection(&self, account_id: Uuid) -> Result<Protection, Error> {
        let read = self.deps.db.read();
        let factor = store::second_factor::find(read, account_id).await?;
        let totp_enabled = factor.is_some_and(|factor| factor.confirmed_at_ms.is_some());
        Ok(Protection { totp_enabled, recovery_codes_left: store::second_factor::recovery_codes(read, account_id).await? })
    }

    /// Makes a secret for an authenticator app, for who has proved freshly who they are. It counts once a code of it came back; until
    /// then it may be made anew.
    pub async fn enrol_totp(&self, person: &SignedIn, password: Option<&str>) -> Result<Enrolment, Error> {
        let account = self.prove_freshly(person, password).await?;
        let secret = Secret::generate();
        let (id, sealed) = (account.id, self.deps.sealer.seal(&secret.base32()));
        let kept = self
            .deps
            .db
            .write::<_, DbErr, _>(move |tx| Box::pin(async move { store::second_factor::put(tx, id, &sealed).await }));
        if !kept.await? {
            return Err(Refusal::Transition("the second factor is on: switch it off first").into());
        }
        Ok(Enrolment { uri: secret.uri(&account.email), secret: secret.base32() })
    }

    /// Switches the second factor on for who has its secret; answers the recovery codes, once.
    pub async fn confirm_totp(&self, person: &SignedIn, code: &str) -> Result<Vec<String>, Error> {
        self.throttle.second_factor(person.user_id).await?;
        let account = self.account(person.user_id).await?.ok_or(Error::Stranger)?;
        let factor = store::second_factor::find(self.deps.db.read(), account.id).await?;
        let factor = factor.filter(|factor| factor.confirmed_at_ms.is_none());
        let factor = factor.ok_or(Refusal::Transition("no second factor is being set up"))?;
        let now = self.deps.clock.now();
        let step = self.secret(&factor)?.step_of(&totp::typed(code), now, 0).ok_or(WRONG)?;
        let (codes, desk) = (recovery_codes(), self.clone());
        let hashes = self.recovery_hashes(account.id, &codes);
        let confirmed = self.deps.db.write(move |tx| {
            Box::pin(async move {
                if !store::second_factor::confirm(tx, account.id, &factor.secret_sealed, step, now).await? {
                    return Err(Error::from(WRONG));
                }
                store::second_factor::put_recovery_codes(tx, account.id, &hashes).await?;
                desk.tell_protection(tx, account.id, Notified::SecondFactorOn).await
            })
        });
        confirmed.await?;
        self.wake_told();
        metrics::reached("second_factor", "ON");
        Ok(codes)
    }

    /// Switches the second factor off for who knows the password or has a code.
    pub async fn disable_totp(&self, person: &SignedIn, proof: Proof<'_>) -> Result<(), Error> {
        self.throttle.second_factor(person.user_id).await?;
        let account = self.account(person.user_id).await?.ok_or(Error::Stranger)?;
        let code = match proof {
            Proof::Code(code) => Some(totp::typed(code)),
            Proof::Password(password) => {
                self.prove(person, password).await?;
                None
            }
        };
        let desk = self.clone();
        let off = self.deps.db.write(move |tx| {
            Box::pin(async move {
                if let Some(code) = code
                    && !desk.takes_code(tx, account.id, &code).await?
                {
                    return Err(Error::from(WRONG));
                }
                if !store::second_factor::delete(tx, account.id).await? {
                    return Err(Refusal::Transition("the second factor is off").into());
                }
                desk.tell_protection(tx, account.id, Notified::SecondFactorOff).await
            })
        });
        off.await?;
        self.wake_told();
        metrics::reached("second_factor", "OFF");
        Ok(())
    }

    /// New recovery codes in place of all before, for who has a code of the app or one of the old ones.
    pub async fn regenerate_recovery_codes(&self, person: &SignedIn, code: &str) -> Result<Vec<String>, Error> {
        self.throttle.second_factor(person.user_id).await?;
        let account = self.account(person.user_id).await?.ok_or(Error::Stranger)?;
        let (code, codes, desk) = (totp::typed(code), recovery_codes(), self.clone());
        let hashes = self.recovery_hashes(account.id, &codes);
        let renewed = self.deps.db.write(move |tx| {
            Box::pin(async move {
                if !desk.takes_code(tx, account.id, &code).await? {
                    return Err(Error::from(WRONG));
                }
                store::second_factor::put_recovery_codes(tx, account.id, &hashes).await?;
                desk.tell_protection(tx, account.id, Notified::RecoveryCodesRenewed).await
            })
        });
        renewed.await?;
        self.wake_told();
        Ok(codes)
    }

    /// What a right password opens: a session, or the question for the second factor.
    pub(crate) async fn enter(&self, tx: &Tx, account_id: Uuid, device: Option<String>) -> Result<Result<Grant, Waiting>, Error> {
        let factor = store::second_factor::find(tx, account_id).await?;
        if factor.is_none_or(|factor| factor.confirmed_at_ms.is_none()) {
            self.tell_new_device(tx, account_id, device.as_deref()).await?;
            return self.open_session(tx, account_id, device).await.map(Ok);
        }
        let challenge_id = self.deps.clock.new_key();
        let expires_at = self.deps.clock.now() + CHALLENGE_TTL;
        store::second_factor::insert_challenge(tx, challenge_id, account_id, device, expires_at).await?;
        Ok(Err(Waiting { challenge_id, expires_at }))
    }

    /// Opens the session of a sign-in that waited, with a code of the app or a recovery code.
    pub async fn complete_sign_in(&self, challenge_id: &str, code: &str) -> Result<Opened, Error> {
        let id = Kind::Challenge.decode(challenge_id).map_err(|_| Refusal::ChallengeEnded)?;
        let waiting = store::second_factor::find_challenge(self.deps.db.read(), id).await?;
        let Some(waiting) = waiting else {
            self.throttle.guess().await?;
            return Err(Refusal::ChallengeEnded.into());
        };
        self.throttle.second_factor(waiting.account_id).await?;
        let (desk, code) = (self.clone(), totp::typed(code));
        // A wrong try is counted, so its refusal must commit.
        let judged = self.deps.db.write(move |tx| Box::pin(async move { desk.judge_factor(tx, id, &code).await })).await?;
        let (account, grant) = judged?;
        self.wake_told();
        metrics::reached("session", "OPENED");
        self.hand_out(account, grant)
    }

    async fn judge_factor(&self, tx: &Tx, id: Uuid, code: &str) -> Result<Result<(Account, Grant), Refusal>, Error> {
        let now = self.deps.clock.now();
        let counted = store::second_factor::count_try(tx, id, CHALLENGE_TRIES, now).await?;
        let waiting = store::second_factor::find_challenge(tx, id).await?.filter(|_| counted);
        let Some(waiting) = waiting else { return Ok(Err(Refusal::ChallengeEnded)) };
        if !self.takes_code(tx, waiting.account_id, code).await? {
            return Ok(Err(Refusal::SecondFactor { attempts_left: Some((CHALLENGE_TRIES - waiting.tries).max(0)) }));
        }
        if !store::second_factor::delete_challenge(tx, id).await? {
            return Ok(Err(Refusal::ChallengeEnded));
        }
        let account = store::account::find(tx, &self.deps.sealer, waiting.account_id).await?.ok_or(Error::Stranger)?;
        if code.len() != CODE_DIGITS {
            self.tell_protection(tx, account.id, Notified::RecoveryCodeUsed).await?;
        }
        self.tell_new_device(tx, account.id, waiting.device.as_deref()).await?;
        let grant = self.open_session(tx, account.id, waiting.device).await?;
        Ok(Ok((account, grant)))
    }

    /// Uses a code up: of the app, or a recovery code. `false` when it is neither, or was used.
    async fn takes_code(&self, tx: &Tx, account_id: Uuid, code: &str) -> Result<bool, Error> {
        if code.len() != CODE_DIGITS {
            let hash = self.recovery_hash(account_id, code);
            return Ok(store::second_factor::use_recovery_code(tx, account_id, &hash).await?);
        }
        let factor = store::second_factor::find(tx, account_id).await?.filter(|factor| factor.confirmed_at_ms.is_some());
        let Some(factor) = factor else { return Ok(false) };
        match self.secret(&factor)?.step_of(code, self.deps.clock.now(), factor.last_step) {
            Some(step) => Ok(store::second_factor::use_step(tx, account_id, step).await?),
            None => Ok(false),
        }
    }

    fn secret(&self, factor: &store::second_factor::SecondFactor) -> Result<Secret, Error> {
        let opened = self.deps.sealer.open(&factor.secret_sealed)?;
        Secret::stored(&opened).ok_or_else(|| Error::library("reading a second factor", &"it is no base 32"))
    }

    fn recovery_hashes(&self, account_id: Uuid, codes: &[String]) -> Vec<String> {
        codes.iter().map(|code| self.recovery_hash(account_id, &totp::typed(code))).collect()
    }

    fn recovery_hash(&self, account_id: Uuid, code: &str) -> String {
        self.deps.sealer.hash(PURPOSE, &format!("{account_id}:{code}"))
    }

    /// Tells the owner what changed in how the account is protected.
    pub(crate) async fn tell_protection(&self, tx: &Tx, account_id: Uuid, what: Notified) -> Result<(), Error> {
        self.tell(tx, account_id, &Notice::about(what, self.deps.clock.new_key(), Facts::default())).await.map(|_| ())
    }
}

const WRONG: Refusal = Refusal::SecondFactor { attempts_left: None };

fn recovery_codes() -> Vec<String> {
    let half = || random::readable_code(RECOVERY_SIGNS / 2);
    (0..RECOVERY_CODES).map(|_| format!("{}-{}", half(), half())).collect()
}
