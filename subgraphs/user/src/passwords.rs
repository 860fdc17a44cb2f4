//! A new password: by who knows the old one, or by a link to the account's address.

use std::sync::Arc;

use berth_kernel::{auth::SignedIn, db::Tx, metrics, post::Life, random};
use chrono::TimeDelta;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    email::Email,
    error::{Error, Invalid, Refusal},
    letters,
    notification::{Facts, Kind, Notice},
    password::Password,
    store,
};

/// Purpose of the keyed hashes of links.
const PURPOSE: &str = "reset";
/// The field of the wanted password.
const NEW: &str = "newPassword";

impl Accounts {
    /// Sets a new password for who knows the old one. Every other session of the person ends, and the owner gets a letter.
    pub async fn change_password(&self, person: &SignedIn, old: &str, new: &str) -> Result<Account, Error> {
        let new = parsed(new)?;
        let account = self.prove(person, old).await?;
        let hash = self.fresh_hash(new, &account).await?;
        let (desk, known, kept) = (self.clone(), account.clone(), Some(person.session_id));
        let changed = self.deps.db.write(move |tx| Box::pin(async move { desk.set_password(tx, &known, &hash, kept).await }));
        changed.await?;
        self.tell_ended().await;
        self.wake_told();
        Ok(account)
    }

    /// Sends a link that sets a new password, if the address has an account. That is done after the answer, so that nobody
    /// learns from its time whether there is one.
    pub async fn request_reset(&self, email: &str) -> Result<(), Error> {
        let email = Email::parse(email).map_err(|why| Invalid { field: "email", why })?;
        self.throttle.reset(email.as_str()).await?;
        let busy = |_| Refusal::RateLimited { retry_after: TimeDelta::seconds(1) };
        let place = Arc::clone(&self.links).try_acquire_owned().map_err(busy)?;
        let desk = self.clone();
        self.deps.background.spawn(async move {
            let _place = place;
            if let Err(error) = desk.mail_link(&email).await {
                tracing::error!(error = %error, "password.reset.not_mailed");
            }
        });
        Ok(())
    }

    async fn mail_link(&self, email: &Email) -> Result<(), Error> {
        let found = store::account::find_by_email(self.deps.db.read(), &self.deps.sealer, email.as_str()).await?;
        let Some(account) = found else { return Ok(()) };
        let (link, hash) = self.fresh_link();
        let locale = store::setting::find(self.deps.db.read(), account.id).await?.locale;
        let letter = letters::reset(locale, &account.email, &link, self.config.reset_ttl)?;
        let desk = self.clone();
        let queued = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let (now, config) = (desk.deps.clock.now(), &desk.config);
                let ends = now + config.reset_ttl;
                if store::reset::put(tx, account.id, &hash, now, ends, now - config.mail_pause).await? {
                    desk.deps.post.queue(tx, &format!("reset:{hash}"), Life::Code(ends), &letter).await?;
                }
                Ok::<_, DbErr>(())
            })
        });
        queued.await?;
        self.deps.post.wake();
        Ok(())
    }

    /// A link that sets a password, and the keyed hash of its token.
    pub(crate) fn fresh_link(&self) -> (String, String) {
        let token = random::token();
        let hash = self.deps.sealer.hash(PURPOSE, &token);
        (format!("{}/reset-password#token={token}", self.config.public_url), hash)
    }

    /// Sets a new password for who got the link. Every session of the account ends; the link works once.
    pub async fn reset_password(&self, token: &str, new: &str) -> Result<(), Error> {
        let new = parsed(new)?;
        self.throttle.guess().await?;
        let link = self.deps.sealer.hash(PURPOSE, token);
        // Hashing is dear: nobody gets it for a made-up token.
        let owner = store::reset::owner(self.deps.db.read(), &link, self.deps.clock.now()).await?.ok_or(Refusal::ResetToken)?;
        let account = self.account(owner).await?.ok_or(Refusal::ResetToken)?;
        let hash = self.fresh_hash(new, &account).await?;
        let desk = self.clone();
        let reset = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let now = desk.deps.clock.now();
                // Takes the account first, as a changed password does: of the two one counts, and the link ends with the other.
                if !store::account::take(tx, owner, now).await? {
                    return Err(Refusal::ResetToken.into());
                }
                let account_id = store::reset::take(tx, &link, now).await?.ok_or(Refusal::ResetToken)?;
                let account = store::account::find(tx, &desk.deps.sealer, account_id).await?.ok_or(Refusal::ResetToken)?;
                desk.set_password(tx, &account, &hash, None).await
            })
        });
        reset.await?;
        self.tell_ended().await;
        self.wake_told();
        metrics::reached("user", "RESET");
        Ok(())
    }

    async fn fresh_hash(&self, password: Password, owner: &Account) -> Result<String, Error> {
        self.hasher.judge(NEW, &password, owner.known_words()).await?;
        self.hasher.hash(password).await
    }

    /// Writes the new hash, ends every session but the kept one, and tells the owner.
    async fn set_password(&self, tx: &Tx, account: &Account, hash: &str, kept: Option<Uuid>) -> Result<(), Error> {
        let now = self.deps.clock.now();
        if !store::account::change_hash(tx, account.id, &account.password_hash, hash, now).await? {
            return Err(Refusal::Credentials.into());
        }
        store::reset::delete(tx, account.id).await?;
        store::session::revoke_all(tx, account.id, kept, now).await?;
        let notice = Notice::about(Kind::PasswordChanged, self.deps.clock.new_key(), Facts::default());
        self.tell(tx, account.id, &notice).await.map(|_| ())
    }
}

fn parsed(new: &str) -> Result<Password, Invalid> {
    Password::parse(new).map_err(|why| Invalid { field: NEW, why })
}
