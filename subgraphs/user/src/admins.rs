//! What admins do about the accounts of others. Who is an admin is asked of the token and, in the transaction of the act, of the
//! database: it takes other processes a moment to hear that a session was ended.

use berth_contracts::{Kind, Locale};
use berth_kernel::{
    auth::SignedIn,
    db::{Tx, Work},
    post::Life,
    random,
};
use uuid::Uuid;

use crate::{
    account::Standing,
    account_card::{AccountCard, CardFilter, Stretch},
    accounts::Accounts,
    audit_entry::{Actor, Entry, EntryFilter},
    audit_log, departures,
    email::Email,
    error::{Error, Invalid, Refusal},
    letters,
    password::Password,
    role::Role,
    roles::Change,
    setting::Settings,
    store,
};

const MAX_REASON_CHARS: usize = 500;

impl Accounts {
    /// Whether the token is an admin's.
    fn admit_token(person: &SignedIn) -> Result<(), Refusal> {
        if person.roles.iter().any(|role| role == Role::Admin.word()) { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// Lets a reader go on who is an admin.
    async fn admit_reader(&self, person: &SignedIn) -> Result<(), Error> {
        Self::admit_token(person)?;
        let standing = store::admin::standing(self.deps.db.read(), person.user_id).await?;
        Ok(standing.filter(|standing| standing.is_admin()).map(|_| ()).ok_or(Refusal::Forbidden)?)
    }

    /// Runs an act of an admin on an account, in its turn and in one transaction with its entry in the audit log.
    async fn act<T, F>(&self, person: &SignedIn, subject: Uuid, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c Change<'c>) -> Work<'c, T, Error> + Send + 'static,
    {
        Self::admit_token(person)?;
        let (desk, person) = (self.clone(), person.clone());
        let acted = self.deps.db.write(move |tx| {
            Box::pin(async move {
                audit_log::take_turn(tx).await?;
                admit(tx, &person).await?;
                let actor = Actor::Admin(person.user_id);
                work(&Change { tx, actor, subject, now: desk.deps.clock.now() }).await
            })
        });
        let outcome = acted.await?;
        self.tell_ended().await;
        Ok(outcome)
    }

    /// Gives an account another role.
    pub async fn change_role(&self, person: &SignedIn, account_id: &str, role: Role) -> Result<AccountCard, Error> {
        self.act(person, subject(account_id)?, move |change| Box::pin(change.role(role))).await
    }

    /// Suspends an account and ends its sessions.
    pub async fn suspend_account(&self, person: &SignedIn, account_id: &str, reason: Option<&str>) -> Result<AccountCard, Error> {
        let reason = reason.map(parsed_reason).transpose()?;
        self.act(person, subject(account_id)?, move |change| Box::pin(change.suspend(reason))).await
    }

    /// Ends the suspension of an account.
    pub async fn reinstate_account(&self, person: &SignedIn, account_id: &str) -> Result<AccountCard, Error> {
        self.act(person, subject(account_id)?, |change| Box::pin(change.reinstate())).await
    }

    /// Ends all sessions of an account; answers how many.
    pub async fn revoke_account_sessions(&self, person: &SignedIn, account_id: &str) -> Result<(AccountCard, u64), Error> {
        self.act(person, subject(account_id)?, |change| Box::pin(change.end_sessions())).await
    }

    /// Deletes an account, with what its owner's own deletion deletes; answers its key.
    pub async fn remove_account(&self, person: &SignedIn, account_id: &str) -> Result<Uuid, Error> {
        let account_id = subject(account_id)?;
        self.admit_reader(person).await?;
        self.no_open_affairs(account_id).await?;
        let desk = self.clone();
        let removed = self.act(person, account_id, move |change| {
            Box::pin(async move {
                change.removed().await?;
                desk.erase(change.tx, departures::Actor::Admin, account_id).await
            })
        });
        removed.await?;
        self.tell_of_departure(departures::Actor::Admin, account_id).await;
        Ok(account_id)
    }

    /// Makes an account for the owner of an address, who gets a link that sets the password, in this language.
    pub async fn create_account(&self, person: &SignedIn, email: &str, role: Role, locale: Locale) -> Result<AccountCard, Error> {
        let email = Email::parse(email).map_err(|why| Invalid { field: "email", why })?;
        Self::admit_token(person)?;
        // Nobody knows this password; the link replaces it.
        let unknown = Password::parse(&random::token()).map_err(|why| Error::library("making a password", &why))?;
        let hash = self.hasher.hash(unknown).await?;
        let (desk, subject) = (self.clone(), self.deps.clock.new_key());
        let created = self
            .act(person, subject, move |change| Box::pin(async move { desk.invite(change, email, hash, (role, locale)).await }));
        let created = created.await?;
        self.deps.post.wake();
        Ok(created)
    }

    async fn invite(
        &self,
        change: &Change<'_>,
        email: Email,
        password_hash: String,
        (role, locale): (Role, Locale),
    ) -> Result<AccountCard, Error> {
        let Change { tx, subject, now, .. } = *change;
        if !store::account::insert(tx, subject, email.as_str(), &password_hash, now).await? {
            return Err(Refusal::AccountExists.into());
        }
        store::admin::set_role(tx, subject, role, now).await?;
        store::setting::put(tx, subject, &Settings::in_locale(locale)).await?;
        let (link, link_hash) = self.fresh_link();
        store::reset::put(tx, subject, &link_hash, now, now + self.config.reset_ttl, now).await?;
        let letter = letters::invited(locale, email.as_str(), &link, self.config.reset_ttl)?;
        self.deps.post.queue(tx, &format!("invited:{subject}"), Life::Code(now + self.config.reset_ttl), &letter).await?;
        change.created(role).await
    }

    /// A stretch of all accounts, newest first unless it is taken from the end.
    pub async fn accounts_listed(
        &self,
        person: &SignedIn,
        filter: &CardFilter,
        stretch: Stretch,
    ) -> Result<Vec<AccountCard>, Error> {
        self.admit_reader(person).await?;
        Ok(store::admin::list(self.deps.db.read(), filter, stretch).await?)
    }

    /// The account with this key.
    pub async fn account_listed(&self, person: &SignedIn, id: Option<Uuid>) -> Result<Option<AccountCard>, Error> {
        self.admit_reader(person).await?;
        let Some(id) = id else { return Ok(None) };
        Ok(store::admin::find(self.deps.db.read(), id).await?)
    }

    /// Entries of the audit log, newest first: at most `count` before the one with the number `before`.
    pub async fn audit_entries(
        &self,
        person: &SignedIn,
        filter: EntryFilter,
        before: i64,
        count: u64,
    ) -> Result<Vec<Entry>, Error> {
        self.admit_reader(person).await?;
        Ok(store::audit::list_before(self.deps.db.read(), filter, before, count).await?)
    }
}

/// Whether somebody is an admin now, with a session that was not ended.
async fn admit(tx: &Tx, person: &SignedIn) -> Result<(), Error> {
    let standing = store::admin::standing_locked(tx, person.user_id).await?;
    let session = store::session::find(tx, person.session_id).await?;
    let open = session.is_some_and(|session| session.revoked_at_ms.is_none());
    let admin = standing.is_some_and(Standing::is_admin);
    if open && admin { Ok(()) } else { Err(Refusal::Forbidden.into()) }
}

fn subject(account_id: &str) -> Result<Uuid, Refusal> {
    Kind::User.decode(account_id).map_err(|_| Refusal::NotFound { field: "accountId" })
}

fn parsed_reason(text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    let strange = text.chars().any(|sign| sign.is_control() && sign != '\n');
    let fine = (1..=MAX_REASON_CHARS).contains(&text.chars().count()) && !strange;
    if fine { Ok(text.to_owned()) } else { Err(Invalid { field: "reason", why: "a reason has 1 to 500 characters" }) }
}
