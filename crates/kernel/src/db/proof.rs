//! What SQLite itself says about the writer's transaction.
//!
//! SQLite can end a transaction without being asked: when the disk is full, on an I/O error, without memory. The driver does not
//! hear of it, counts on, and later "commits" what is in no transaction, or in one that never ends. SQLite's own hooks tell: a
//! rollback that nobody wanted loses the transaction, and from then on no commit is let through, so that nothing half done gets
//! to disk. A write is on disk only when the commit that the writer wanted was seen by the hook.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::SeqCst},
};

use sea_orm::sqlx::{Error, sqlite::SqliteConnection};

use crate::sabotage;

/// A commit would be refused now, and a rollback loses the transaction.
const OPEN: u8 = 0;
const COMMITTING: u8 = 1;
const COMMITTED: u8 = 2;
const ROLLING_BACK: u8 = 3;
const ROLLED_BACK: u8 = 4;
/// SQLite ended the transaction by itself.
const LOST: u8 = 5;

/// The state of the transaction of one connection. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Proof(Arc<AtomicU8>);

/// How a transaction shall end.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Commit,
    Rollback,
}

impl End {
    const fn wanted(self) -> u8 {
        match self {
            Self::Commit => COMMITTING,
            Self::Rollback => ROLLING_BACK,
        }
    }

    const fn seen(self) -> u8 {
        match self {
            Self::Commit => COMMITTED,
            Self::Rollback => ROLLED_BACK,
        }
    }
}

impl Proof {
    /// Listens to a connection.
    pub async fn watch(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        if is_off() {
            return Ok(());
        }
        let mut handle = connection.lock_handle().await?;
        let (commits, rolls_back) = (self.clone(), self.clone());
        handle.set_commit_hook(move || commits.moves(COMMITTING, COMMITTED));
        handle.set_rollback_hook(move || {
            if !rolls_back.moves(ROLLING_BACK, ROLLED_BACK) {
                rolls_back.0.store(LOST, SeqCst);
            }
        });
        Ok(())
    }

    /// A transaction is about to begin.
    pub fn begin(&self) {
        self.0.store(OPEN, SeqCst);
    }

    /// The writer wants this end. `false`: SQLite has ended the transaction already.
    pub fn wants(&self, end: End) -> bool {
        is_off() || self.moves(OPEN, end.wanted())
    }

    /// Whether the transaction has ended so.
    pub fn shows(&self, end: End) -> bool {
        is_off() || self.0.load(SeqCst) == end.seen()
    }

    fn moves(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, SeqCst, SeqCst).is_ok()
    }
}

/// The writer as it was: it believes the driver, and keeps a connection that broke.
pub(super) fn is_off() -> bool {
    sabotage::is_chosen("keep_broken_connection")
}
