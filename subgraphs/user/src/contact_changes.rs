//! Another e-mail address or phone number for an account: both the old and the new one must be proved by a code, and the old one
//! gets a link that stops it. Known and unknown new addresses get the same answers; a known one can't be taken.

use berth_contracts::Kind as Id;
use berth_kernel::{auth::SignedIn, db::Tx, metrics, post::Life, random};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    contact_change::{ContactChange, Side},
    error::{Error, Invalid, Refusal},
    identifier::{Address, Kind},
    letters, store, texts,
};

/// Purpose of the codes' keyed hashes.
const CODES: &str = "contact-change";
/// Purpose of the keyed hashes of links that stop a change.
const STOPS: &str = "stop-contact-change";
const MISSING: Refusal = Refusal::NotFound { field: "changeId" };

/// A change that waits for its codes.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Its key.
    pub id: Uuid,
    /// Until when its codes count.
    pub expires_at: DateTime<Utc>,
}

impl Accounts {
    /// Sends a code to the wanted address and one to the address the person has; a newer wish of the same kind replaces it.
    pub async fn ask_contact_change(&self, person: &SignedIn, password: &str, wanted: Address) -> Result<Asked, Error> {
        if matches!(wanted, Address::Phone(_)) && !self.deps.post.has_sms() {
            return Err(Invalid { field: "newPhone", why: "no text messages are sent here" }.into());
        }
        let account = self.prove(person, password).await?;
        self.throttle.change_to(wanted.as_str()).await?;
        let desk = self.clone();
        let asked = self.deps.db.write(move |tx| Box::pin(async move { desk.begin_change(tx, &account, wanted).await })).await?;
        self.deps.post.wake();
        Ok(asked)
    }

    async fn begin_change(&self, tx: &Tx, account: &Account, wanted: Address) -> Result<Asked, Error> {
        let now = self.deps.clock.now();
        // Takes the account first: of racing wishes only one finds the pause over.
        if !store::account::take(tx, account.id, now).await? {
            return Err(Error::Stranger);
        }
        let phone = matches!(wanted, Address::Phone(_));
        if let Some(before) = store::contact_change::mailed_at(tx, account.id, phone).await? {
            let next = before + self.config.mail_pause;
            if now < next {
                return Err(Refusal::RateLimited { retry_after: next - now }.into());
            }
        }
        let old = self.present_address(tx, account, phone).await?;
        let (id, [new_code, old_code], token) =
            (self.deps.clock.new_key(), [(), ()].map(|()| random::six_digits()), random::token());
        let sealer = &self.deps.sealer;
        let change = ContactChange {
            id,
            account_id: account.id,
            decoy: self.is_known(tx, &wanted).await?,
            new: wanted,
            new_code_hash: sealer.hash(CODES, &Side::New.secret(id, &new_code)),
            old_code_hash: sealer.hash(CODES, &Side::Old.secret(id, &old_code)),
            stop_hash: sealer.hash(STOPS, &token),
            tries: 0,
            expires_at: now + self.config.otp_ttl,
            mailed_at: now,
        };
        store::contact_change::put(tx, &change).await?;
        self.send_change_codes(tx, &change, &old, [&new_code, &old_code], &token).await?;
        Ok(Asked { id, expires_at: change.expires_at })
    }

    /// Where the person can be reached now: at the address that is replaced, or at the other one while there is none of the kind.
    async fn present_address(&self, tx: &Tx, account: &Account, phone: bool) -> Result<Address, Error> {
        let number = store::identifier::of_account(tx, account.id, Kind::Phone).await?;
        let stored = match number {
            Some(number) if phone || account.email.is_empty() => number,
            _ => account.email.clone(),
        };
        Address::stored(&stored).map_err(|why| Error::library("reading the address of an account", &why))
    }

    async fn send_change_codes(
        &self,
        tx: &Tx,
        change: &ContactChange,
        old: &Address,
        [new_code, old_code]: [&str; 2],
        token: &str,
    ) -> Result<(), Error> {
        let (post, ttl, id) = (&self.deps.post, self.config.otp_ttl, change.id);
        let locale = store::setting::find(tx, change.account_id).await?.locale;
        let life = Life::Code(self.deps.clock.now() + ttl);
        let (to_new, to_old) = (ContactChange::cause_to_new(id), format!("contact-change-old:{id}"));
        match &change.new {
            Address::Email(email) if change.decoy => {
                post.queue(tx, &to_new, life, &letters::change_taken(locale, email.as_str())?).await?;
            }
            Address::Email(email) => {
                post.queue(tx, &to_new, life, &letters::change_new(locale, email.as_str(), new_code, ttl)?).await?;
            }
            Address::Phone(to) if change.decoy => post.queue_sms(tx, &to_new, life, &texts::known(locale, to)).await?,
            Address::Phone(to) => post.queue_sms(tx, &to_new, life, &texts::code(locale, to, new_code, ttl)).await?,
        }
        let link = format!("{}/stop-change#token={token}", self.config.public_url);
        match old {
            Address::Email(email) => {
                post.queue(tx, &to_old, life, &letters::change_old(locale, email.as_str(), old_code, &link, ttl)?).await?;
            }
            Address::Phone(to) => post.queue_sms(tx, &to_old, life, &texts::change_old(locale, to, old_code, &link)).await?,
        }
        Ok(())
    }

    /// Makes the change whose two codes are right. The old address is told.
    pub async fn confirm_contact_change(
        &self,
        person: &SignedIn,
        change_id: &str,
        new_code: &str,
        old_code: &str,
    ) -> Result<Account, Error> {
        let id = Id::ContactChange.decode(change_id).map_err(|_| MISSING)?;
        let codes = [new_code, old_code].map(|code| code.chars().filter(|sign| !sign.is_whitespace()).collect::<String>());
        let (desk, account_id) = (self.clone(), person.user_id);
        // A wrong try is counted, so its refusal must commit.
        let judged = self.deps.db.write(move |tx| Box::pin(async move { desk.judge_change(tx, account_id, id, codes).await }));
        let account = judged.await??;
        self.deps.post.wake();
        metrics::reached("user", "READDRESSED");
        Ok(account)
    }

    async fn judge_change(
        &self,
        tx: &Tx,
        account_id: Uuid,
        id: Uuid,
        [new_code, old_code]: [String; 2],
    ) -> Result<Result<Account, Refusal>, Error> {
        let now = self.deps.clock.now();
        let counted = store::contact_change::count_try(tx, id, account_id, self.config.otp_tries, now).await?;
        let Some(change) = store::contact_change::find(tx, id, account_id).await? else { return Ok(Err(MISSING)) };
        if !counted {
            return Ok(Err(if change.expires_at <= now { Refusal::OtpExpired } else { Refusal::OtpLocked }));
        }
        let wrong = Refusal::OtpInvalid { attempts_left: (self.config.otp_tries - change.tries).max(0) };
        let sealer = &self.deps.sealer;
        let new_right = sealer.matches(CODES, &Side::New.secret(id, &new_code), &change.new_code_hash);
        let old_right = sealer.matches(CODES, &Side::Old.secret(id, &old_code), &change.old_code_hash);
        if !new_right || !old_right || change.decoy || self.is_known(tx, &change.new).await? {
            return Ok(Err(wrong));
        }
        let account = store::account::find(tx, sealer, account_id).await?.ok_or(Error::Stranger)?;
        let old = self.present_address(tx, &account, matches!(change.new, Address::Phone(_))).await?;
        store::contact_change::delete(tx, id).await?;
        // Somebody else may take the address at this very moment: then nothing of this stays.
        if !self.readdress(tx, &account, &change.new).await? {
            return Err(wrong.into());
        }
        store::reset::delete(tx, account_id).await?;
        let cause = format!("contact-changed:{id}");
        let locale = store::setting::find(tx, account_id).await?.locale;
        match &old {
            Address::Email(email) => {
                self.deps.post.queue(tx, &cause, Life::Paper, &letters::changed(locale, email.as_str())?).await?;
            }
            Address::Phone(to) => self.deps.post.queue_sms(tx, &cause, Life::Paper, &texts::changed(locale, to)).await?,
        }
        Ok(Ok(store::account::find(tx, sealer, account_id).await?.ok_or(Error::Stranger)?))
    }

    async fn readdress(&self, tx: &Tx, account: &Account, new: &Address) -> Result<bool, Error> {
        match new {
            Address::Email(email) => Ok(store::account::set_email(tx, account.id, email.as_str()).await?),
            Address::Phone(number) => {
                store::identifier::delete(tx, account.id, Kind::Phone).await?;
                let now = self.deps.clock.now();
                Ok(store::identifier::insert(tx, Kind::Phone, number, account.id, Some(now)).await?)
            }
        }
    }

    /// Stops a change, for who got the link at the old address. As whoever asked for it knew the password, every session ends.
    pub async fn stop_contact_change(&self, token: &str) -> Result<(), Error> {
        let (hash, now) = (self.deps.sealer.hash(STOPS, token), self.deps.clock.now());
        // A write is dear: nobody gets one for a made-up token.
        if !store::contact_change::is_stoppable(self.deps.db.read(), &hash).await? {
            return Err(Refusal::ResetToken.into());
        }
        let stopped = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let account_id = store::contact_change::stop(tx, &hash).await?.ok_or(Refusal::ResetToken)?;
                store::session::revoke_all(tx, account_id, None, now).await?;
                Ok::<_, Error>(())
            })
        });
        stopped.await?;
        self.tell_ended().await;
        Ok(())
    }
}
