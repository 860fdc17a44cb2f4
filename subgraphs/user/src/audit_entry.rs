//! An entry of the audit log. Each holds the hash of the one before, so that nobody changes or removes one in between unseen.
//!
//! The hash is SHA-256, in lower-case hex, over the UTF-8 bytes of the JSON array
//! `["berth-audit-1",seq,at_ms,actor,action,subject,details,previous]` without white space: `at_ms` is the time in milliseconds since
//! 1970; `actor` and `subject` are public ids (`user_...`) or null; `details` is a JSON text as a string; `previous` is the hash of the
//! entry before, 64 zeros for the first. What was cut off at the end leaves a good chain: keep the newest hash elsewhere.
//!
//! A new kind of act: a variant of [`Action`] with its word, the same in `graphql/types/audit.rs`, and a method of `roles::Change`.

use std::collections::BTreeMap;

use berth_contracts::Kind;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An account was made for somebody.
    AccountCreated,
    /// An account got another role.
    RoleChanged,
    /// An account was suspended.
    AccountSuspended,
    /// A suspension ended.
    AccountReinstated,
    /// All sessions of an account were ended.
    SessionsRevoked,
    /// An account was deleted.
    AccountRemoved,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AccountCreated,
        Self::RoleChanged,
        Self::AccountSuspended,
        Self::AccountReinstated,
        Self::SessionsRevoked,
        Self::AccountRemoved,
    ];

    /// The word in the database and in exports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AccountCreated => "ACCOUNT_CREATED",
            Self::RoleChanged => "ROLE_CHANGED",
            Self::AccountSuspended => "ACCOUNT_SUSPENDED",
            Self::AccountReinstated => "ACCOUNT_REINSTATED",
            Self::SessionsRevoked => "SESSIONS_REVOKED",
            Self::AccountRemoved => "ACCOUNT_REMOVED",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word() == word)
    }
}

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// An admin, by their account.
    Admin(Uuid),
    /// Whoever runs the commands of this installation.
    Operator,
}

impl Actor {
    /// The account, if it is one.
    pub const fn account_id(self) -> Option<Uuid> {
        match self {
            Self::Admin(id) => Some(id),
            Self::Operator => None,
        }
    }
}

/// An act, before it has its place in the log.
#[derive(Debug, Clone)]
pub struct Act {
    /// Who did it.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// To which account.
    pub subject: Uuid,
    /// What else is worth knowing. Never a secret, and nothing that the account's owner told: the log outlives the account.
    pub details: BTreeMap<&'static str, Value>,
}

impl Act {
    /// An act with nothing more to tell of it.
    pub const fn new(actor: Actor, action: Action, subject: Uuid) -> Self {
        Self { actor, action, subject, details: BTreeMap::new() }
    }

    /// With one more fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.insert(name, value.into());
        self
    }
}

/// The hash before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// An entry as it stands in the log, whether or not it is as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The admin; nobody for the operator.
    pub actor_id: Option<Uuid>,
    /// The word of the action.
    pub action: String,
    /// The account it was done to.
    pub subject_id: Option<Uuid>,
    /// A JSON object.
    pub details: String,
    /// Hash of the entry before.
    pub previous: String,
    /// Its own hash.
    pub hash: String,
}

impl Entry {
    /// The entry of an act after the one with this number and hash.
    pub fn after((seq, previous): (i64, String), act: &Act, now: DateTime<Utc>) -> Self {
        let mut entry = Self {
            seq: seq + 1,
            at_ms: now.timestamp_millis(),
            actor_id: act.actor.account_id(),
            action: act.action.word().to_owned(),
            subject_id: Some(act.subject),
            details: json!(act.details).to_string(),
            previous,
            hash: String::new(),
        };
        entry.hash = entry.computed_hash();
        entry
    }

    /// The hash that an entry with this content has.
    pub fn computed_hash(&self) -> String {
        let (actor, subject) = (public(self.actor_id), public(self.subject_id));
        let fields = json!(["berth-audit-1", self.seq, self.at_ms, actor, self.action, subject, self.details, self.previous]);
        Sha256::digest(fields.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is wrong with it as the successor of the entry with this number and hash.
    pub fn flaw_after(&self, (seq, hash): &(i64, String)) -> Option<&'static str> {
        if self.seq != seq + 1 {
            Some("it is missing")
        } else if self.previous != *hash {
            Some("it does not follow the entry before")
        } else if self.hash != self.computed_hash() {
            Some("it was changed")
        } else {
            None
        }
    }

    /// One line of an export, a JSON object.
    pub fn line(&self) -> String {
        let at = DateTime::from_timestamp_millis(self.at_ms).map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        json!({
            "seq": self.seq,
            "at": at,
            "atMs": self.at_ms,
            "actor": public(self.actor_id),
            "action": self.action,
            "subject": public(self.subject_id),
            "details": self.details,
            "previous": self.previous,
            "hash": self.hash,
        })
        .to_string()
    }
}

/// Which entries are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntryFilter {
    /// Of this admin.
    pub actor_id: Option<Uuid>,
    /// About this account.
    pub subject_id: Option<Uuid>,
    /// Of this kind.
    pub action: Option<Action>,
}

fn public(id: Option<Uuid>) -> Option<String> {
    id.map(|id| Kind::User.encode(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<Entry> {
        let act = Act::new(Actor::Operator, Action::RoleChanged, Uuid::from_u128(7)).with("to", "ADMIN").with("from", "USER");
        let first = Entry::after((0, GENESIS.to_owned()), &act, DateTime::UNIX_EPOCH);
        let second = Entry::after((1, first.hash.clone()), &act, DateTime::UNIX_EPOCH);
        vec![first, second]
    }

    #[test]
    fn the_bytes_that_are_hashed_are_those_that_are_described() {
        let first = &chain()[0];
        let subject = Kind::User.encode(Uuid::from_u128(7));
        let bytes = format!(
            r#"["berth-audit-1",1,0,null,"ROLE_CHANGED","{subject}","{{\"from\":\"USER\",\"to\":\"ADMIN\"}}","{GENESIS}"]"#
        );
        let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(first.hash, hash);
    }

    #[test]
    fn every_change_of_an_entry_shows() {
        let entries = chain();
        let (start, after_first) = ((0, GENESIS.to_owned()), (1, entries[0].hash.clone()));
        assert_eq!(entries[0].flaw_after(&start), None);
        assert_eq!(entries[1].flaw_after(&after_first), None);
        assert!(entries[1].flaw_after(&start).is_some(), "a gap");
        let changes: [fn(&mut Entry); 6] = [
            |entry| entry.at_ms += 1,
            |entry| entry.actor_id = Some(Uuid::from_u128(8)),
            |entry| entry.action = Action::AccountCreated.word().to_owned(),
            |entry| entry.subject_id = None,
            |entry| entry.details = "{}".to_owned(),
            |entry| entry.previous = "1".repeat(64),
        ];
        for change in changes {
            let mut changed = entries[1].clone();
            change(&mut changed);
            assert!(changed.flaw_after(&after_first).is_some(), "{changed:?}");
        }
    }
}
