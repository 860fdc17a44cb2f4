//! Passkeys as a way in: a key pair in the owner's device, unlocked by finger, face or PIN, so that it is two factors at once.
//!
//! Every challenge is random, kept as a keyed hash, works once and for five minutes, and only for what it was given out for. What a
//! good answer is, says [`crate::webauthn`].

use berth_contracts::Kind;
use berth_kernel::{auth::SignedIn, metrics, random};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use serde_json::json;
use uuid::Uuid;

use crate::{
    accounts::Accounts,
    error::{Error, Invalid, Refusal},
    notification::Kind as Notified,
    session::device_name,
    sessions::Opened,
    store,
    webauthn::{Answer, Assertion, Attestation, PublicKey, RelyingParty, Why, user_handle},
};

/// Purpose of the keyed hashes of challenges.
const PURPOSE: &str = "passkey";
const CHALLENGE_TTL: TimeDelta = TimeDelta::minutes(5);
/// Passkeys of one account.
const LIMIT: usize = 20;
const UNNAMED: &str = "Passkey";

/// A passkey of an account.
#[derive(Debug, Clone)]
pub struct Passkey {
    /// Key.
    pub id: Uuid,
    /// Whose.
    pub account_id: Uuid,
    /// How authenticators call it, base64url.
    pub credential_id: String,
    /// Its public half, as [`PublicKey::to_text`] writes it.
    pub public_key: String,
    /// How its owner calls it.
    pub name: String,
    /// Since when it is here.
    pub created_at: DateTime<Utc>,
    /// When it signed in last.
    pub used_at: Option<DateTime<Utc>>,
}

/// What a browser is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The options, JSON of the specification.
    pub options: String,
    /// Until when an answer counts.
    pub expires_at: DateTime<Utc>,
}

impl Accounts {
    fn site(&self) -> RelyingParty {
        RelyingParty::at(&self.config.public_url)
    }

    /// The passkeys of an account, oldest first.
    pub async fn passkeys(&self, account_id: Uuid) -> Result<Vec<Passkey>, Error> {
        Ok(store::passkey::list(self.deps.db.read(), account_id).await?)
    }

    /// What the browser of a signed-in person is asked for a new passkey.
    pub async fn begin_passkey_registration(&self, person: &SignedIn, password: Option<&str>) -> Result<Asked, Error> {
        self.throttle.second_factor(person.user_id).await?;
        let account = self.prove_freshly(person, password).await?;
        let known = self.passkeys(account.id).await?;
        if known.len() >= LIMIT {
            return Err(full());
        }
        let (challenge, expires_at) = self.challenge(Some(account.id)).await?;
        let algorithms = PublicKey::algorithms().map(|algorithm| json!({ "type": "public-key", "alg": algorithm }));
        let known = known.iter().map(|passkey| json!({ "type": "public-key", "id": passkey.credential_id }));
        let options = json!({
            "rp": { "id": self.site().id, "name": "Berth" },
            "user": {
                "id": user_handle(account.id),
                "name": account.email,
                "displayName": account.profile.full_name.as_ref().unwrap_or(&account.email),
            },
            "challenge": challenge,
            "pubKeyCredParams": algorithms,
            "timeout": CHALLENGE_TTL.num_milliseconds(),
            "excludeCredentials": known.collect::<Vec<_>>(),
            "authenticatorSelection": { "residentKey": "required", "requireResidentKey": true, "userVerification": "required" },
            "attestation": "none",
        });
        Ok(Asked { options: options.to_string(), expires_at })
    }

    /// Keeps the passkey that a browser made for a signed-in person.
    pub async fn finish_passkey_registration(
        &self,
        person: &SignedIn,
        credential: &str,
        name: Option<&str>,
    ) -> Result<Passkey, Error> {
        self.throttle.second_factor(person.user_id).await?;
        let account = self.account(person.user_id).await?.ok_or(Error::Stranger)?;
        let answer = Answer::<Attestation>::read(credential).map_err(bad)?;
        self.take_challenge(answer.challenge(), Some(account.id)).await?;
        let made = answer.registered(&self.site()).map_err(bad)?;
        let passkey = Passkey {
            id: self.deps.clock.new_key(),
            account_id: account.id,
            credential_id: made.credential_id,
            public_key: made.public_key.to_text(),
            name: name.and_then(device_name).unwrap_or_else(|| UNNAMED.to_owned()),
            created_at: self.deps.clock.now(),
            used_at: None,
        };
        let (desk, kept) = (self.clone(), passkey.clone());
        let written = self.deps.db.write(move |tx| {
            Box::pin(async move {
                // Takes the account first: of racing calls none passes the limit.
                store::account::take(tx, account.id, kept.created_at).await?;
                if store::passkey::list(tx, account.id).await?.len() >= LIMIT {
                    return Err(full());
                }
                if !store::passkey::insert(tx, &kept, made.sign_count).await? {
                    return Err(bad("the credential is registered already").into());
                }
                desk.tell_protection(tx, account.id, Notified::PasskeyAdded).await
            })
        });
        written.await?;
        self.wake_told();
        metrics::reached("passkey", "ADDED");
        Ok(passkey)
    }

    /// What the browser of anybody is asked for a sign-in: the same for everybody, since the passkey says who it is.
    pub async fn begin_passkey_sign_in(&self) -> Result<Asked, Error> {
        self.throttle.guess().await?;
        let (challenge, expires_at) = self.challenge(None).await?;
        let options = json!({
            "challenge": challenge,
            "timeout": CHALLENGE_TTL.num_milliseconds(),
            "rpId": self.site().id,
            "allowCredentials": [],
            "userVerification": "required",
        });
        Ok(Asked { options: options.to_string(), expires_at })
    }

    /// Opens a session for who has the passkey.
    pub async fn finish_passkey_sign_in(&self, credential: &str, device: Option<&str>) -> Result<Opened, Error> {
        self.throttle.guess().await?;
        let answer = Answer::<Assertion>::read(credential).map_err(no_entry)?;
        self.take_challenge(answer.challenge(), None).await.map_err(|error| match error {
            Error::Refused(_) => no_entry("the challenge is not one of ours").into(),
            fault => fault,
        })?;
        let passkey = store::passkey::find(self.deps.db.read(), answer.credential_id()).await?;
        let passkey = passkey.ok_or_else(|| no_entry("the passkey is unknown"))?;
        let key = PublicKey::of_text(&passkey.public_key).ok_or_else(|| Error::library("reading a passkey", &"it is no key"))?;
        let sign_count = answer.signed_in(&self.site(), &key, passkey.account_id).map_err(no_entry)?;
        let account = self.account(passkey.account_id).await?.ok_or(Error::Stranger)?;
        let (desk, device, owner) = (self.clone(), device.and_then(device_name), account.id);
        let opened = self.deps.db.write(move |tx| {
            Box::pin(async move {
                if !store::passkey::used(tx, passkey.id, sign_count, desk.deps.clock.now()).await? {
                    tracing::warn!(passkey.id = Kind::Passkey.encode(passkey.id), "passkey.counter_fell");
                    return Err(Error::from(no_entry("its counter did not rise")));
                }
                desk.tell_new_device(tx, owner, device.as_deref()).await?;
                desk.open_session(tx, owner, device).await
            })
        });
        let grant = opened.await?;
        self.wake_told();
        metrics::reached("session", "OPENED");
        self.hand_out(account, grant)
    }

    /// Gives a passkey another name.
    pub async fn rename_passkey(&self, person: &SignedIn, id: &str, name: &str) -> Result<Passkey, Error> {
        let missing = Refusal::NotFound { field: "passkeyId" };
        let id = Kind::Passkey.decode(id).map_err(|_| missing)?;
        let name = device_name(name).ok_or(Invalid { field: "name", why: "a name has at least one letter" })?;
        let owner = person.user_id;
        let renamed = self
            .deps
            .db
            .write::<_, DbErr, _>(move |tx| Box::pin(async move { store::passkey::rename(tx, owner, id, &name).await }));
        if !renamed.await? {
            return Err(missing.into());
        }
        let all = self.passkeys(owner).await?;
        all.into_iter().find(|passkey| passkey.id == id).ok_or_else(|| missing.into())
    }

    /// Removes a passkey, for who has proved freshly who they are: it signs in no more. Sessions that it opened stay.
    pub async fn remove_passkey(&self, person: &SignedIn, id: &str, password: Option<&str>) -> Result<Uuid, Error> {
        let missing = Refusal::NotFound { field: "passkeyId" };
        let account = self.prove_freshly(person, password).await?;
        let id = Kind::Passkey.decode(id).map_err(|_| missing)?;
        let desk = self.clone();
        let removed = self.deps.db.write(move |tx| {
            Box::pin(async move {
                if !store::passkey::delete(tx, account.id, id).await? {
                    return Err(Error::from(missing));
                }
                desk.tell_protection(tx, account.id, Notified::PasskeyRemoved).await
            })
        });
        removed.await?;
        self.wake_told();
        Ok(id)
    }

    /// A challenge that is kept until it is answered.
    async fn challenge(&self, account_id: Option<Uuid>) -> Result<(String, DateTime<Utc>), Error> {
        let (challenge, expires_at) = (random::token(), self.deps.clock.now() + CHALLENGE_TTL);
        let hash = self.deps.sealer.hash(PURPOSE, &challenge);
        let kept = self.deps.db.write::<_, DbErr, _>(move |tx| {
            Box::pin(async move { store::passkey::put_challenge(tx, &hash, account_id, expires_at).await })
        });
        kept.await?;
        Ok((challenge, expires_at))
    }

    /// Uses a challenge up, whatever the rest of its answer is worth.
    async fn take_challenge(&self, challenge: &str, account_id: Option<Uuid>) -> Result<(), Error> {
        let (hash, now) = (self.deps.sealer.hash(PURPOSE, challenge), self.deps.clock.now());
        let taken = self.deps.db.write::<_, DbErr, _>(move |tx| {
            Box::pin(async move { store::passkey::take_challenge(tx, &hash, account_id, now).await })
        });
        if taken.await? { Ok(()) } else { Err(bad("the challenge was not given out for this, was answered, or is over").into()) }
    }
}

fn full() -> Error {
    Refusal::PasskeyLimit { limit: i32::try_from(LIMIT).unwrap_or(i32::MAX) }.into()
}

/// To a signed-in person it is told what is wrong.
fn bad(why: Why) -> Refusal {
    Refusal::Passkey { why }
}

/// To anybody else it is not: the cause goes to the log.
fn no_entry(why: Why) -> Refusal {
    tracing::debug!(why, "passkey.refused");
    Refusal::Passkey { why: "this passkey opens nothing here" }
}
