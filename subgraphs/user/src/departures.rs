//! Deleting an account. Everything here that is about the person goes in one transaction; the event it leaves tells the others,
//! which keep what the law wants and forget whose it was (docs/decisions/0015-names-and-leaving.md).

use berth_contracts::{Kind as Id, event::Event};
use berth_kernel::{auth::SignedIn, db::Tx, metrics, post::Life};
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    audit_log,
    contact_change::ContactChange,
    error::{Error, Refusal},
    identifier::Kind,
    letters, store, texts,
};

/// Who deletes an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Its owner, who proved it.
    Owner,
    /// An administrator.
    Admin,
}

impl Actor {
    /// The word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Admin => "ADMIN",
        }
    }
}

impl Accounts {
    /// Deletes the account of the signed-in person, who knows its password. A wrong one counts like a failed sign-in.
    pub async fn delete_account(&self, person: &SignedIn, password: &str) -> Result<(), Error> {
        self.prove(person, password).await?;
        self.no_open_affairs(person.user_id).await?;
        let (desk, account_id) = (self.clone(), person.user_id);
        let left = self.deps.db.write(move |tx| {
            Box::pin(async move {
                // Acts of admins take turns: two last ones can't leave at the same time.
                audit_log::take_turn(tx).await?;
                let others = store::admin::admins(tx).await?;
                if others.iter().any(|admin| admin.id == account_id) && others.len() == 1 {
                    return Err(Refusal::LastAdmin.into());
                }
                desk.erase(tx, Actor::Owner, account_id).await
            })
        });
        left.await?;
        self.tell_of_departure(Actor::Owner, account_id).await;
        Ok(())
    }

    /// The account of the signed-in person, if the password is right. A wrong one counts like a failed sign-in.
    pub(crate) async fn prove(&self, person: &SignedIn, password: &str) -> Result<Account, Error> {
        let account = self.account(person.user_id).await?.ok_or(Error::Stranger)?;
        self.throttle.sign_in(&account.own_name()).await?;
        self.throttle.sign_in_to(&account.id.to_string()).await?;
        let checked = self.hasher.check(password.to_owned(), Some(account.password_hash.clone())).await?;
        if checked.right { Ok(account) } else { Err(Refusal::Credentials.into()) }
    }

    /// Refuses while the owner must still be reached.
    pub(crate) async fn no_open_affairs(&self, account_id: Uuid) -> Result<(), Error> {
        let mut count = 0;
        for (_, neighbour) in self.neighbours()?.all() {
            count += neighbour.open_affairs(account_id).await?;
        }
        if count > 0 { Err(Refusal::OpenBookings { count }.into()) } else { Ok(()) }
    }

    /// After the commit that erased an account.
    pub(crate) async fn tell_of_departure(&self, actor: Actor, account_id: Uuid) {
        self.deps.outbox.wake();
        self.deps.post.wake();
        self.tell_ended().await;
        metrics::reached("user", "DELETED");
        tracing::info!(user.id = Id::User.encode(account_id), actor = actor.word(), "user.deleted");
    }

    /// Rows of other tables that belong to the account go with it; what is found by its address goes here.
    pub(crate) async fn erase(&self, tx: &Tx, actor: Actor, account_id: Uuid) -> Result<(), Error> {
        let now = self.deps.clock.now();
        if !store::account::take(tx, account_id, now).await? {
            return Err(Error::Stranger);
        }
        let account = store::account::find(tx, &self.deps.sealer, account_id).await?.ok_or(Error::Stranger)?;
        let phone = store::identifier::of_account(tx, account_id, Kind::Phone).await?;
        let locale = store::setting::find(tx, account_id).await?.locale;
        // A wanted address is not theirs yet: only our own letter to it goes.
        for id in store::contact_change::ids(tx, account_id).await? {
            self.deps.post.withdraw(tx, &ContactChange::cause_to_new(id)).await?;
        }
        for address in phone.iter().chain([&account.email]) {
            self.deps.post.forget(tx, address).await?;
            store::flow::delete_of(tx, address).await?;
        }
        store::ended_session::note_all_of(tx, account_id, now).await?;
        store::account::delete(tx, account_id).await?;
        store::privacy::note_deleted(tx, account_id, actor.word(), now).await?;
        let cause = format!("account-deleted:{account_id}");
        if let Some(phone) = phone.filter(|_| account.email.is_empty()) {
            self.deps.post.queue_sms(tx, &cause, Life::Paper, &texts::account_deleted(locale, &phone)).await?;
        } else {
            self.deps.post.queue(tx, &cause, Life::Paper, &letters::account_deleted(locale, &account.email)?).await?;
        }
        self.deps.outbox.append(tx, &Event::AccountDeleted { user_id: account_id }).await?;
        Ok(())
    }
}
