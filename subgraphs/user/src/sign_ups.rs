//! Signing up: an address is proved by a one-time password; only then there is an account.
//!
//! Known and unknown addresses get the same answers after the same work. A known address gets a decoy flow and a letter
//! that says so. The password that counts is that of the flow which is verified, so nobody can plant one.

use berth_contracts::{Kind, Locale};
use berth_kernel::{db::Tx, metrics, post::Life, random};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    account::{Account, Standing},
    accounts::Accounts,
    email::Email,
    error::{Error, Invalid, Refusal},
    flow::{Flow, Pace},
    identifier::Address,
    letters,
    password::Password,
    profile::Profile,
    session::device_name,
    sessions::{Grant, Opened},
    setting::Settings,
    store, texts,
    work::Work,
};

/// Purpose of the codes' keyed hashes.
const PURPOSE: &str = "otp";

/// A sign-up that waits for its code.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    /// Its key.
    pub flow_id: Uuid,
    /// Until when its code counts.
    pub expires_at: DateTime<Utc>,
}

impl Accounts {
    /// Starts a sign-up and sends the code, or to a known address the news that it is known.
    pub async fn sign_up(&self, email: &str, password: &str, locale: Locale, work: Option<Work<'_>>) -> Result<Started, Error> {
        let email = Email::parse(email).map_err(|why| Invalid { field: "email", why })?;
        self.start_sign_up(Address::Email(email), password, locale, work).await
    }

    /// The same by phone, where text messages are sent.
    pub async fn sign_up_by_phone(
        &self,
        phone: &str,
        password: &str,
        locale: Locale,
        work: Option<Work<'_>>,
    ) -> Result<Started, Error> {
        let at = |why| Invalid { field: "phone", why };
        if !self.deps.post.has_sms() {
            return Err(at("no text messages are sent here: sign up by e-mail").into());
        }
        self.start_sign_up(Address::phone(phone).map_err(at)?, password, locale, work).await
    }

    async fn start_sign_up(
        &self,
        address: Address,
        password: &str,
        locale: Locale,
        work: Option<Work<'_>>,
    ) -> Result<Started, Error> {
        let password = Password::parse(password).map_err(|why| Invalid { field: "password", why })?;
        // A password that is refused is no sign-up yet.
        self.throttle.guess().await?;
        self.check_work(work).await?;
        self.hasher.judge("password", &password, vec![address.as_str().to_owned()]).await?;
        self.throttle.sign_up(address.as_str()).await?;
        // Before anybody looks whether the address is known: the work is the same.
        let password_hash = self.hasher.hash(password).await?;
        let (desk, flow_id) = (self.clone(), self.deps.clock.new_key());
        let started = self.deps.db.write(move |tx| {
            Box::pin(async move {
                store::flow::take_email(tx, address.as_str()).await?;
                let before = store::flow::find_by_email(tx, address.as_str()).await?;
                desk.dispatch(tx, before, flow_id, &address, password_hash, locale).await
            })
        });
        let started = started.await?;
        self.deps.post.wake();
        Ok(started)
    }

    /// Sends a new code for a flow; the one before counts no more.
    pub async fn resend(&self, flow_id: &str) -> Result<Started, Error> {
        let missing = Refusal::NotFound { field: "flowId" };
        let id = Kind::Flow.decode(flow_id).map_err(|_| missing)?;
        self.throttle.code(id).await?;
        let desk = self.clone();
        let started = self.deps.db.write(move |tx| {
            Box::pin(async move {
                // Takes the row first: of racing resends only one finds the pause over.
                let flow = if store::flow::take(tx, id).await? { store::flow::find(tx, id).await? } else { None };
                let flow = flow.ok_or(missing)?;
                desk.throttle_resend(&flow)?;
                let (address, password_hash, locale) = (address_of(&flow)?, flow.password_hash.clone(), flow.locale);
                desk.dispatch(tx, Some(flow), id, &address, password_hash, locale).await
            })
        });
        let started = started.await?;
        self.deps.post.wake();
        Ok(started)
    }

    fn throttle_resend(&self, flow: &Flow) -> Result<(), Refusal> {
        let (now, next) = (self.deps.clock.now(), flow.mailed_at + self.config.mail_pause);
        if now < next { Err(Refusal::RateLimited { retry_after: next - now }) } else { Ok(()) }
    }

    /// Writes the flow with a fresh code in place of the address's earlier one, and queues its letter.
    async fn dispatch(
        &self,
        tx: &Tx,
        before: Option<Flow>,
        flow_id: Uuid,
        address: &Address,
        password_hash: String,
        locale: Locale,
    ) -> Result<Started, Error> {
        let now = self.deps.clock.now();
        let replaces = match &before {
            Some(before) => self.deps.post.withdraw(tx, &before.letter_cause()).await?,
            None => false,
        };
        let pace = Pace::next(before.as_ref().map(Flow::pace), replaces, now, &self.config)?;
        let code = random::six_digits();
        let flow = Flow {
            email: address.as_str().to_owned(),
            id: flow_id,
            decoy: self.is_known(tx, address).await?,
            password_hash,
            code_hash: self.deps.sealer.hash(PURPOSE, &Flow::secret(flow_id, &code)),
            tries: 0,
            expires_at: now + self.config.otp_ttl,
            mailed_at: pace.mailed_at,
            mails: pace.mails,
            mails_since: pace.mails_since,
            locale,
        };
        store::flow::put(tx, &flow).await?;
        self.send_code(tx, &flow, address, &code).await?;
        Ok(Started { flow_id, expires_at: flow.expires_at })
    }

    /// The code, or the news that there is an account, to the address itself.
    async fn send_code(&self, tx: &Tx, flow: &Flow, address: &Address, code: &str) -> Result<(), Error> {
        // In the language of who signs up, also to a known address: looking its own up would take time that tells.
        let (post, ttl, locale) = (&self.deps.post, self.config.otp_ttl, flow.locale);
        let (cause, life) = (flow.letter_cause(), Life::Code(flow.expires_at));
        match address {
            Address::Email(email) => {
                let to = email.as_str();
                let letter = if flow.decoy { letters::known(locale, to)? } else { letters::code(locale, to, code, ttl)? };
                post.queue_at(tx, &cause, life, &letter, flow.mailed_at).await?;
            }
            Address::Phone(to) => {
                let message = if flow.decoy { texts::known(locale, to) } else { texts::code(locale, to, code, ttl) };
                post.queue_sms_at(tx, &cause, life, &message, flow.mailed_at).await?;
            }
        }
        Ok(())
    }

    /// Makes the account of a flow whose code is right, and its first session.
    pub async fn verify(&self, flow_id: &str, code: &str, device: Option<&str>) -> Result<Opened, Error> {
        // An unknown flow behaves like a wrong code at the first try.
        let id = Kind::Flow.decode(flow_id).map_err(|_| self.wrong(1))?;
        self.throttle.code(id).await?;
        let code: String = code.chars().filter(|sign| !sign.is_whitespace()).collect();
        let (desk, device) = (self.clone(), device.and_then(device_name));
        // A wrong try is counted, so its refusal must commit.
        let judged = self.deps.db.write(move |tx| Box::pin(async move { desk.judge(tx, id, &code, device).await })).await?;
        let (account, grant) = judged?;
        metrics::reached("user", "SIGNED_UP");
        tracing::info!(user.id = Kind::User.encode(account.id), "user.signed_up");
        self.hand_out(account, grant)
    }

    async fn judge(
        &self,
        tx: &Tx,
        id: Uuid,
        code: &str,
        device: Option<String>,
    ) -> Result<Result<(Account, Grant), Refusal>, Error> {
        let now = self.deps.clock.now();
        let counted = store::flow::count_try(tx, id, self.config.otp_tries, now).await?;
        let Some(flow) = store::flow::find(tx, id).await? else { return Ok(Err(self.wrong(1))) };
        if !counted {
            return Ok(Err(if flow.expires_at <= now { Refusal::OtpExpired } else { Refusal::OtpLocked }));
        }
        let right = self.deps.sealer.matches(PURPOSE, &Flow::secret(id, code), &flow.code_hash);
        if !right || flow.decoy || !store::flow::delete(tx, id).await? {
            return Ok(Err(self.wrong(flow.tries)));
        }
        let account_id = self.deps.clock.new_key();
        let address = address_of(&flow)?;
        if !self.open_account(tx, account_id, &address, &flow.password_hash).await? {
            // The address got its account by another flow while this one was started.
            return Ok(Err(self.wrong(flow.tries)));
        }
        store::setting::put(tx, account_id, &Settings::in_locale(flow.locale)).await?;
        let grant = self.open_session(tx, account_id, device).await?;
        let email = if matches!(address, Address::Email(_)) { flow.email } else { String::new() };
        let password_hash = flow.password_hash;
        let (standing, profile) = (Standing::default(), Profile::default());
        Ok(Ok((Account { id: account_id, email, password_hash, standing, profile, passenger_count: 0 }, grant)))
    }

    fn wrong(&self, tries: i32) -> Refusal {
        Refusal::OtpInvalid { attempts_left: (self.config.otp_tries - tries).max(0) }
    }
}

/// A stored address was checked before.
fn address_of(flow: &Flow) -> Result<Address, Error> {
    Address::stored(&flow.email).map_err(|why| Error::library("reading the address of a sign-up", &why))
}
