//! Roles, suspensions and sessions of an account, changed by somebody else: an admin or the operator. Every change is written
//! into the audit log.

use berth_kernel::db::Tx;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    account::Standing,
    account_card::AccountCard,
    audit_entry::{Act, Action, Actor},
    audit_log,
    error::{Error, Refusal},
    role::Role,
    store,
};

/// A change of somebody's account. The transaction has its turn among the acts of admins.
pub struct Change<'c> {
    /// The transaction.
    pub tx: &'c Tx,
    /// Who makes the change.
    pub actor: Actor,
    /// Whose account is changed.
    pub subject: Uuid,
    /// When.
    pub now: DateTime<Utc>,
}

impl Change<'_> {
    /// Gives the account another role. The same role again changes nothing. One that lets do less ends the account's sessions: their
    /// tokens carry the old one.
    pub async fn role(&self, role: Role) -> Result<AccountCard, Error> {
        let standing = self.standing().await?;
        if standing.role != role {
            self.keep_own_rights()?;
            self.keep_an_admin(standing).await?;
            store::admin::set_role(self.tx, self.subject, role, self.now).await?;
            if role < standing.role {
                store::session::revoke_all(self.tx, self.subject, None, self.now).await?;
            }
            self.note(self.act(Action::RoleChanged).with("from", standing.role.word()).with("to", role.word())).await?;
        }
        self.outcome().await
    }

    /// Suspends the account and ends its sessions. Suspending twice changes nothing.
    pub async fn suspend(&self, reason: Option<String>) -> Result<AccountCard, Error> {
        let standing = self.standing().await?;
        if !standing.is_suspended() {
            self.keep_own_rights()?;
            self.keep_an_admin(standing).await?;
            store::admin::set_suspended(self.tx, self.subject, Some(self.now), self.now).await?;
            let ended = store::session::revoke_all(self.tx, self.subject, None, self.now).await?;
            let act = self.act(Action::AccountSuspended).with("sessionsEnded", ended);
            self.note(reason.into_iter().fold(act, |act, reason| act.with("reason", reason))).await?;
        }
        self.outcome().await
    }

    /// Ends a suspension. Nothing is changed where there is none.
    pub async fn reinstate(&self) -> Result<AccountCard, Error> {
        if self.standing().await?.is_suspended() {
            store::admin::set_suspended(self.tx, self.subject, None, self.now).await?;
            self.note(self.act(Action::AccountReinstated)).await?;
        }
        self.outcome().await
    }

    /// Ends every session of the account; answers how many.
    pub async fn end_sessions(&self) -> Result<(AccountCard, u64), Error> {
        self.standing().await?;
        let ended = store::session::revoke_all(self.tx, self.subject, None, self.now).await?;
        self.note(self.act(Action::SessionsRevoked).with("sessionsEnded", ended)).await?;
        Ok((self.outcome().await?, ended))
    }

    /// Writes down that the account is deleted.
    pub async fn removed(&self) -> Result<(), Error> {
        let standing = self.standing().await?;
        self.keep_own_rights()?;
        self.keep_an_admin(standing).await?;
        self.note(self.act(Action::AccountRemoved)).await
    }

    /// Writes down that the account was made.
    pub async fn created(&self, role: Role) -> Result<AccountCard, Error> {
        self.note(self.act(Action::AccountCreated).with("role", role.word())).await?;
        self.outcome().await
    }

    async fn standing(&self) -> Result<Standing, Error> {
        let found = store::admin::standing_locked(self.tx, self.subject).await?;
        Ok(found.ok_or(Refusal::NotFound { field: "accountId" })?)
    }

    fn keep_own_rights(&self) -> Result<(), Refusal> {
        if self.actor.account_id() == Some(self.subject) { Err(Refusal::OwnAccount) } else { Ok(()) }
    }

    /// Somebody must be left who can administer. Acts take turns, so nobody else is leaving at this moment.
    async fn keep_an_admin(&self, leaving: Standing) -> Result<(), Error> {
        let others = store::admin::admins(self.tx).await?.into_iter().any(|admin| admin.id != self.subject);
        if leaving.is_admin() && !others { Err(Refusal::LastAdmin.into()) } else { Ok(()) }
    }

    const fn act(&self, action: Action) -> Act {
        Act::new(self.actor, action, self.subject)
    }

    async fn note(&self, act: Act) -> Result<(), Error> {
        Ok(audit_log::append(self.tx, &act, self.now).await?)
    }

    async fn outcome(&self) -> Result<AccountCard, Error> {
        let found = store::admin::find(self.tx, self.subject).await?;
        Ok(found.ok_or(Refusal::NotFound { field: "accountId" })?)
    }
}
