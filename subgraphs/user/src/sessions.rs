//! Signing in, and the life of a session: a family of refresh tokens, each of which replaces the one before.
//!
//! A session remembers the token consumed last. Good is a successor of that token, and that token itself again: its answer
//! was lost, or two requests raced. Everything else that was ever given out is proof that somebody has a copy: the family
//! dies and the user is told.

use berth_contracts::Kind as Id;
use berth_kernel::{auth::SignedIn, db::Tx, metrics, random};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    account::{Account, ROLE},
    accounts::Accounts,
    email::Email,
    error::{Error, Refusal, SessionEnd},
    notification::{Facts, Kind, Notice},
    session::{OpenSession, device_name},
    store::{self, session::Token},
};

/// Purpose of the refresh tokens' keyed hashes.
const PURPOSE: &str = "refresh";

/// What a session gives out, before the access token is signed.
#[derive(Debug, Clone)]
pub struct Grant {
    session_id: Uuid,
    refresh_token: String,
    refresh_expires_at: DateTime<Utc>,
}

/// A session with fresh tokens, and whose it is.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Whose.
    pub account: Account,
    /// For the `Authorization` header.
    pub access_token: String,
    /// When the access token ends.
    pub expires_at: DateTime<Utc>,
    /// For the next refresh.
    pub refresh_token: String,
    /// When the session ends unless refreshed.
    pub refresh_expires_at: DateTime<Utc>,
}

impl Accounts {
    /// Opens a session for address and password. `device` is what the owner will see in the list of sessions.
    pub async fn sign_in(&self, email: &str, password: &str, device: Option<&str>) -> Result<Opened, Error> {
        let email = Email::parse(email).ok();
        if let Some(email) = &email {
            self.throttle.sign_in(email.as_str())?;
        }
        let account = self.account_of(email).await?;
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let checked = self.hasher.check(password.to_owned(), hash).await?;
        let account = account.filter(|_| checked.right).ok_or(Refusal::Credentials)?;
        let (desk, id, old) = (self.clone(), account.id, account.password_hash.clone());
        let device = device.and_then(device_name);
        let opened = self.deps.db.write::<_, Error, _>(move |tx| {
            Box::pin(async move {
                if let Some(renewed) = checked.renewed {
                    let _replaced_meanwhile = store::account::change_hash(tx, id, &old, &renewed, desk.deps.clock.now()).await?;
                }
                desk.tell_new_device(tx, id, device.as_deref()).await?;
                Ok(desk.open_session(tx, id, device).await?)
            })
        });
        let grant = opened.await?;
        self.wake_told();
        metrics::reached("session", "OPENED");
        self.hand_out(account, grant)
    }

    async fn account_of(&self, email: Option<Email>) -> Result<Option<Account>, Error> {
        let Some(email) = email else { return Ok(None) };
        store::account::find_by_email(self.deps.db.read(), &self.deps.sealer, email.as_str()).await
    }

    /// A new session of an account.
    pub(crate) async fn open_session(&self, tx: &Tx, account_id: Uuid, device: Option<String>) -> Result<Grant, DbErr> {
        let (now, id) = (self.deps.clock.now(), self.deps.clock.new_key());
        let session = OpenSession { id, device, created_at: now, seen_at: now, expires_at: now + self.config.session_ttl };
        store::session::insert(tx, &session, account_id).await?;
        self.grant(tx, id, "").await
    }

    /// A new refresh token of a session, given for the token with the hash `parent`.
    async fn grant(&self, tx: &Tx, session_id: Uuid, parent: &str) -> Result<Grant, DbErr> {
        let (now, refresh_token) = (self.deps.clock.now(), random::token());
        let hash = self.deps.sealer.hash(PURPOSE, &refresh_token);
        store::session::insert_token(tx, &hash, session_id, parent, now).await?;
        Ok(Grant { session_id, refresh_token, refresh_expires_at: now + self.config.session_ttl })
    }

    /// Signs the access token that goes with a grant.
    pub(crate) fn hand_out(&self, account: Account, grant: Grant) -> Result<Opened, Error> {
        let signed = self.signer.sign(account.id, grant.session_id, &[ROLE.to_owned()]);
        let (access_token, expires_at) = signed.map_err(|why| Error::library("signing an access token", &why))?;
        let Grant { refresh_token, refresh_expires_at, .. } = grant;
        Ok(Opened { account, access_token, expires_at, refresh_token, refresh_expires_at })
    }

    /// Exchanges a refresh token for fresh tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Opened, Error> {
        let hash = self.deps.sealer.hash(PURPOSE, refresh_token);
        let desk = self.clone();
        // A family that dies must be dead for good, so its refusal commits.
        let outcome = self.deps.db.write(move |tx| Box::pin(async move { desk.rotate(tx, &hash).await })).await?;
        let (account, grant) = outcome.map_err(|end| {
            self.wake_told();
            Refusal::SessionEnded(end)
        })?;
        self.hand_out(account, grant)
    }

    async fn rotate(&self, tx: &Tx, hash: &str) -> Result<Result<(Account, Grant), SessionEnd>, Error> {
        let now = self.deps.clock.now();
        let Some(token) = store::session::find_token(tx, hash).await? else { return Ok(Err(SessionEnd::Unknown)) };
        if !store::session::advance(tx, &token, hash, now, now + self.config.session_ttl).await? {
            return self.why_refused(tx, &token, now).await.map(Err);
        }
        let grant = self.grant(tx, token.session_id, hash).await?;
        let session = store::session::find(tx, token.session_id).await?.ok_or(Error::Stranger)?;
        let account = store::account::find(tx, &self.deps.sealer, session.account_id).await?.ok_or(Error::Stranger)?;
        Ok(Ok((account, grant)))
    }

    /// Tells why a known token is refused; ends its family when the token was used at the wrong time.
    async fn why_refused(&self, tx: &Tx, token: &Token, now: DateTime<Utc>) -> Result<SessionEnd, Error> {
        let Some(session) = store::session::find(tx, token.session_id).await? else { return Ok(SessionEnd::Unknown) };
        if session.revoked_at_ms.is_some() {
            return Ok(SessionEnd::Revoked);
        }
        if session.expires_at_ms <= now.timestamp_millis() {
            return Ok(SessionEnd::Expired);
        }
        if store::session::revoke(tx, token.session_id, session.account_id, now).await? {
            tracing::warn!(session.id = %token.session_id, "session.token_reused");
            metrics::reached("session", "REVOKED");
            let notice = Notice::about(Kind::SessionEnded, token.session_id, Facts::default());
            self.tell(tx, session.account_id, &notice).await?;
        }
        Ok(SessionEnd::Revoked)
    }

    /// Ends the session of an access token. Doing it twice is harmless. Access tokens that were given out live to their end.
    pub async fn sign_out(&self, person: &SignedIn) -> Result<(), Error> {
        let (session_id, account_id, now) = (person.session_id, person.user_id, self.deps.clock.now());
        let ended = self.deps.db.write::<_, DbErr, _>(move |tx| {
            Box::pin(async move { store::session::revoke(tx, session_id, account_id, now).await })
        });
        if ended.await? {
            metrics::reached("session", "SIGNED_OUT");
        }
        Ok(())
    }

    /// A page of the person's open sessions, newest first: at most `count` before `before`.
    pub async fn open_sessions(&self, user_id: Uuid, before: Uuid, count: u64) -> Result<Vec<OpenSession>, Error> {
        Ok(store::session::list(self.deps.db.read(), user_id, before, self.deps.clock.now(), count).await?)
    }

    /// Ends one session of the person; another person's does not exist. Ending one twice is harmless while it is remembered.
    pub async fn revoke_session(&self, person: &SignedIn, id: &str) -> Result<Uuid, Error> {
        let missing = Refusal::NotFound { field: "sessionId" };
        let id = Id::Session.decode(id).map_err(|_| missing)?;
        let (account_id, now) = (person.user_id, self.deps.clock.now());
        let ended = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let session = store::session::find(tx, id).await?.filter(|session| session.account_id == account_id);
                session.ok_or(missing)?;
                Ok::<_, Error>(store::session::revoke(tx, id, account_id, now).await?)
            })
        });
        if ended.await? {
            metrics::reached("session", "REVOKED");
        }
        Ok(id)
    }

    /// Ends every session of the person, this one included; answers how many there were.
    pub async fn sign_out_everywhere(&self, person: &SignedIn) -> Result<u64, Error> {
        let (account_id, now) = (person.user_id, self.deps.clock.now());
        let ended = self
            .deps
            .db
            .write::<_, DbErr, _>(move |tx| Box::pin(async move { store::session::revoke_all(tx, account_id, None, now).await }));
        Ok(ended.await?)
    }
}
