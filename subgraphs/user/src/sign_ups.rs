//! Signing up: an address is proved by a one-time password; only then there is an account.
//!
//! Known and unknown addresses get the same answers after the same work. A known address gets a decoy flow and a letter
//! that says so. The password that counts is that of the flow which is verified, so nobody can plant one.

use berth_contracts::{Kind, Locale};
use berth_kernel::{db::Tx, metrics, random};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    email::Email,
    error::{Error, Invalid, Refusal},
    flow::{Flow, Pace},
    letters,
    password::Password,
    profile::Profile,
    session::device_name,
    sessions::{Grant, Opened},
    setting::Settings,
    store,
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
    pub async fn sign_up(&self, email: &str, password: &str, locale: Locale) -> Result<Started, Error> {
        let email = Email::parse(email).map_err(|why| Invalid { field: "email", why })?;
        let password = Password::parse(password).map_err(|why| Invalid { field: "password", why })?;
        self.throttle.sign_up(email.as_str())?;
        // Before anybody looks whether the address is known: the work is the same.
        let password_hash = self.hasher.hash(password.into_text()).await?;
        let (desk, flow_id) = (self.clone(), self.deps.clock.new_key());
        let started = self.deps.db.write(move |tx| {
            Box::pin(async move {
                store::flow::take_email(tx, email.as_str()).await?;
                let before = store::flow::find_by_email(tx, email.as_str()).await?;
                desk.dispatch(tx, before, flow_id, email.as_str(), password_hash, locale).await
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
        let desk = self.clone();
        let started = self.deps.db.write(move |tx| {
            Box::pin(async move {
                // Takes the row first: of racing resends only one finds the pause over.
                let flow = if store::flow::take(tx, id).await? { store::flow::find(tx, id).await? } else { None };
                let flow = flow.ok_or(missing)?;
                desk.throttle_resend(&flow)?;
                let (email, password_hash, locale) = (flow.email.clone(), flow.password_hash.clone(), flow.locale);
                desk.dispatch(tx, Some(flow), id, &email, password_hash, locale).await
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
        email: &str,
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
            email: email.to_owned(),
            id: flow_id,
            decoy: store::account::exists(tx, email).await?,
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
        // In the language of who signs up, also to a known address: looking its own up would take time that tells.
        let letter =
            if flow.decoy { letters::known(locale, email)? } else { letters::code(locale, email, &code, self.config.otp_ttl)? };
        self.deps.post.queue_at(tx, &flow.letter_cause(), &letter, flow.mailed_at).await?;
        Ok(Started { flow_id, expires_at: flow.expires_at })
    }

    /// Makes the account of a flow whose code is right, and its first session.
    pub async fn verify(&self, flow_id: &str, code: &str, device: Option<&str>) -> Result<Opened, Error> {
        // An unknown flow behaves like a wrong code at the first try.
        let id = Kind::Flow.decode(flow_id).map_err(|_| self.wrong(1))?;
        let code: String = code.chars().filter(|sign| !sign.is_whitespace()).collect();
        let (desk, device) = (self.clone(), device.and_then(device_name));
        // A wrong try is counted, so its refusal must commit.
        let judged = self.deps.db.write(move |tx| Box::pin(async move { desk.judge(tx, id, &code, device).await })).await?;
        let (account, grant) = judged?;
        metrics::reached("user", "SIGNED_UP");
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
        if !store::account::insert(tx, account_id, &flow.email, &flow.password_hash, now).await? {
            // The address got its account by another flow while this one was started.
            return Ok(Err(self.wrong(flow.tries)));
        }
        store::setting::put(tx, account_id, &Settings::in_locale(flow.locale)).await?;
        let grant = self.open_session(tx, account_id, device).await?;
        let Flow { email, password_hash, .. } = flow;
        Ok(Ok((Account { id: account_id, email, password_hash, profile: Profile::default(), passenger_count: 0 }, grant)))
    }

    fn wrong(&self, tries: i32) -> Refusal {
        Refusal::OtpInvalid { attempts_left: (self.config.otp_tries - tries).max(0) }
    }
}
