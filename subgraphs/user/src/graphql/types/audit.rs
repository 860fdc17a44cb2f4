//! The audit log.

use async_graphql::{Enum, ID, Object, Result};
use berth_contracts::Kind;
use berth_kernel::graphql::{BigInt, DateTime, in_utc, internal};

use crate::audit_entry::{Action, Entry};

/// What an admin or the operator did. May grow.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Action")]
pub enum AuditAction {
    /// An account was made for somebody.
    AccountCreated,
    /// An account got another role.
    RoleChanged,
    /// An account was suspended and its sessions ended.
    AccountSuspended,
    /// A suspension ended.
    AccountReinstated,
    /// All sessions of an account were ended.
    SessionsRevoked,
    /// An account was deleted.
    AccountRemoved,
}

/// An entry of the audit log. Entries are never changed or removed; each holds the hash of the one before.
pub struct AuditEntry(pub Entry);

/// An entry of the audit log. Entries are never changed or removed; each holds the hash of the one before.
#[Object]
impl AuditEntry {
    /// Number of the entry, from 1, without gaps.
    async fn seq(&self) -> BigInt {
        BigInt(self.0.seq)
    }

    /// When it was done.
    async fn at(&self) -> Result<DateTime> {
        let at = chrono::DateTime::from_timestamp_millis(self.0.at_ms).map(in_utc);
        at.ok_or_else(|| internal(&"a time of the audit log can't be read"))
    }

    /// Id of the admin who did it: user_... Null for the operator at the command line.
    async fn actor_id(&self) -> Option<ID> {
        self.0.actor_id.map(|id| Kind::User.encode(id).into())
    }

    /// What was done.
    async fn action(&self) -> Result<AuditAction> {
        let action = Action::from_word(&self.0.action).map(AuditAction::from);
        action.ok_or_else(|| internal(&"an action of the audit log is unknown"))
    }

    /// Id of the account it was done to: user_... The account may be gone by now.
    async fn subject_id(&self) -> Option<ID> {
        self.0.subject_id.map(|id| Kind::User.encode(id).into())
    }

    /// More about it, a JSON object: {"from":"USER","to":"ADMIN"} of a changed role, {"reason":"...","sessionsEnded":2} of a
    /// suspension.
    async fn details(&self) -> &str {
        &self.0.details
    }

    /// Hash of the entry before, SHA-256 as 64 hexadecimal digits; zeros for the first.
    async fn previous_hash(&self) -> &str {
        &self.0.previous
    }

    /// Hash of this entry, over its content and the hash before. berth admin audit verify checks all of them.
    async fn hash(&self) -> &str {
        &self.0.hash
    }
}
