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
    account::Account,
    accounts::Accounts,
    error::{Error, Refusal, SessionEnd},
    identifier::Name,
    notification::{Facts, Kind, Notice},
    second_factors::Entered,
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
    /// Opens a session for a name (e-mail address, phone number or user name) and its password, or asks for the second factor. `device`
    /// is what the owner will see in the list of sessions.
    pub async fn sign_in(&self, name: &str, password: &str, device: Option<&str>) -> Result<Entered, Error> {
        let name = Name::parse(name);
        if let Some(name) = &name {
            self.throttle.sign_in(name.as_str()).await?;
        }
        let account = self.account_of(name.as_ref()).await?;
        // Each name of an account has its own allowance; together they have no more than one. Whether it is used up is told like a wrong
        // password: else the refusal of one name would tell that another is of the same account.
        let typed = name.as_ref().map(Name::as_str).unwrap_or_default();
        let counted = account.as_ref().map_or_else(|| typed.to_owned(), |account| account.id.to_string());
        let allowed = self.throttle.sign_in_to(&counted).await.is_ok();
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let checked = self.hasher.check(password.to_owned(), hash).await?;
        let account = account.filter(|_| checked.right && allowed).ok_or(Refusal::Credentials)?;
        let (desk, id, old) = (self.clone(), account.id, account.password_hash.clone());
        let device = device.and_then(device_name);
        let opened = self.deps.db.write::<_, Error, _>(move |tx| {
            Box::pin(async move {
                if let Some(renewed) = checked.renewed {
                    let _replaced_meanwhile = store::account::change_hash(tx, id, &old, &renewed, desk.deps.clock.now()).await?;
                }
                desk.enter(tx, id, device).await
            })
        });
        match opened.await? {
            Ok(grant) => {
                self.wake_told();
                metrics::reached("session", "OPENED");
                Ok(Entered::Opened(Box::new(self.hand_out(account, grant)?)))
            }
            Err(waiting) => Ok(Entered::Waiting(waiting)),
        }
    }

    async fn account_of(&self, name: Option<&Name>) -> Result<Option<Account>, Error> {
        let Some(name) = name else { return Ok(None) };
        self.account_named(name).await
    }

    /// A new session of an account: every way in ends here, and none is open to a suspended one. Ask only for who has proved
    /// who they are.
    pub(crate) async fn open_session(&self, tx: &Tx, account_id: Uuid, device: Option<String>) -> Result<Grant, Error> {
        if store::admin::standing_locked(tx, account_id).await?.ok_or(Error::Stranger)?.is_suspended() {
            return Err(Refusal::AccountSuspended.into());
        }
        let (now, id) = (self.deps.clock.now(), self.deps.clock.new_key());
        let session = OpenSession { id, device, created_at: now, seen_at: now, expires_at: now + self.config.session_ttl };
        store::session::insert(tx, &session, account_id).await?;
        Ok(self.grant(tx, id, "").await?)
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
        let signed = self.signer.sign(account.id, grant.session_id, &[account.standing.role.word().to_owned()]);
        let (access_token, expires_at) = signed.map_err(|why| Error::library("signing an access token", &why))?;
        let Grant { refresh_token, refresh_expires_at, .. } = grant;
        Ok(Opened { account, access_token, expires_at, refresh_token, refresh_expires_at })
    }

    /// Exchanges a refresh token for fresh tokens.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Opened, Error> {
        let hash = self.deps.sealer.hash(PURPOSE, refresh_token);
        self.throttle.refresh(&hash).await?;
        let desk = self.clone();
        // A family that dies must be dead for good, so its refusal commits.
        let outcome = self.deps.db.write(move |tx| Box::pin(async move { desk.rotate(tx, &hash).await })).await?;
        match outcome {
            Ok((account, grant)) => self.hand_out(account, grant),
            Err(end) => {
                if end == SessionEnd::Revoked {
                    self.tell_ended().await;
                }
                self.wake_told();
                Err(Refusal::SessionEnded(end).into())
            }
        }
    }

    async fn rotate(&self, tx: &Tx, hash: &str) -> Result<Result<(Account, Grant), SessionEnd>, Error> {
        let now = self.deps.clock.now();
        let Some(token) = store::session::find_token(tx, hash).await? else { return Ok(Err(SessionEnd::Unknown)) };
        if !store::session::advance(tx, &token, hash, now, now + self.config.session_ttl).await? {
            return self.why_refused(tx, &token, now).await.map(Err);
        }
        let session = store::session::find(tx, token.session_id).await?.ok_or(Error::Stranger)?;
        let account = store::account::find(tx, &self.deps.sealer, session.account_id).await?.ok_or(Error::Stranger)?;
        if account.standing.is_suspended() {
            return Ok(Err(SessionEnd::Revoked));
        }
        Ok(Ok((account, self.grant(tx, token.session_id, hash).await?)))
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
            tracing::warn!(session.id = Id::Session.encode(token.session_id), "session.token_reused");
            metrics::reached("session", "REVOKED");
            let notice = Notice::about(Kind::SessionEnded, token.session_id, Facts::default());
            self.tell(tx, session.account_id, &notice).await?;
        }
        Ok(SessionEnd::Revoked)
    }

    /// Ends the session of an access token. Doing it twice is harmless.
    pub async fn sign_out(&self, person: &SignedIn) -> Result<(), Error> {
        let (session_id, account_id, now) = (person.session_id, person.user_id, self.deps.clock.now());
        let ended = self.deps.db.write::<_, DbErr, _>(move |tx| {
            Box::pin(async move { store::session::revoke(tx, session_id, account_id, now).await })
        });
        if ended.await? {
            self.tell_ended().await;
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
            self.tell_ended().await;
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
        let count = ended.await?;
        self.tell_ended().await;
        Ok(count)
    }
}
