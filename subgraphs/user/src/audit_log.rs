//! The audit log: what admins and the operator did to accounts, written in the transaction of the act.

use berth_kernel::db::{Db, Tx, exclusive};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;

use crate::{
    audit_entry::{Act, Entry, GENESIS},
    store,
};

/// Acts take turns under this name, so that each sees what the one before did, and the log is one chain.
const TURN: &str = "user.admin";
/// Entries that are read at once.
const BATCH: i64 = 1000;

/// Waits for this transaction's turn among the acts of admins. Comes first in every one of them.
pub async fn take_turn(tx: &Tx) -> Result<(), DbErr> {
    exclusive(tx, TURN).await
}

/// Writes an act down. The transaction has its turn.
pub async fn append(tx: &Tx, act: &Act, now: DateTime<Utc>) -> Result<(), DbErr> {
    let entry = Entry::after(store::audit::head(tx).await?, act, now);
    tracing::info!(audit.seq = entry.seq, audit.action = entry.action, "audit.written");
    store::audit::insert(tx, &entry).await
}

/// What a look at the whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every entry is as it was written.
    Whole {
        /// How many there are.
        entries: i64,
        /// Hash of the newest.
        head: String,
    },
    /// The chain breaks.
    Broken {
        /// Number of the first entry that is not as it was written.
        seq: i64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Reads the whole log, oldest entry first, and hands each to `visit` until that answers false.
pub async fn walk(db: &Db, mut visit: impl FnMut(Entry) -> bool) -> Result<(), DbErr> {
    let mut seq = i64::MIN;
    loop {
        let batch = store::audit::list_after(db.read(), seq, BATCH).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        seq = last.seq;
        for entry in batch {
            if !visit(entry) {
                return Ok(());
            }
        }
    }
}

/// Follows the chain. `known` is a hash that was noted earlier: an entry must have it, or the log was cut off before.
pub async fn verify(db: &Db, known: Option<&str>) -> Result<Verdict, DbErr> {
    let mut at = (0, GENESIS.to_owned());
    let mut seen = known.is_none_or(|known| known == GENESIS);
    let mut flaw = None;
    walk(db, |entry| {
        flaw = entry.flaw_after(&at);
        if flaw.is_none() {
            seen |= known == Some(entry.hash.as_str());
            at = (entry.seq, entry.hash);
        }
        flaw.is_none()
    })
    .await?;
    let (entries, head) = at;
    Ok(match flaw {
        Some(why) => Verdict::Broken { seq: entries + 1, why },
        None if !seen => Verdict::Broken { seq: entries + 1, why: "it is missing: no entry has the hash that was noted" },
        None => Verdict::Whole { entries, head },
    })
}
