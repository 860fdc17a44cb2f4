//! Whether a database takes writes. It is broken from the write that its storage failed (disk full, I/O error, read-only,
//! corrupt) until a small write was committed. The writer tries that by itself, so a database without traffic heals too.

use std::time::Instant;

use parking_lot::Mutex;
use sea_orm::{DbErr, RuntimeErr};

use super::text_of;
use crate::metrics;

/// Primary result codes of SQLite that tell of storage: out of memory, read-only, I/O error, corrupt, full, can't open, no database.
const SQLITE_FAULTS: [u32; 7] = [7, 8, 10, 11, 13, 14, 26];
/// SQLSTATE of PostgreSQL: read-only, disk full, out of memory, system errors, I/O error, corrupt.
const POSTGRES_FAULTS: [&str; 7] = ["25006", "53100", "53200", "58000", "58030", "XX001", "XX002"];

/// The state of one database, shared by all its handles.
pub(super) struct Health {
    name: String,
    broken: Mutex<Option<Broken>>,
}

struct Broken {
    problem: String,
    since: Instant,
}

impl Health {
    pub fn new(name: &str) -> Self {
        metrics::writable(name, true);
        Self { name: name.to_owned(), broken: Mutex::new(None) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why nothing can be written, if so.
    pub fn problem(&self) -> Option<String> {
        self.broken.lock().as_ref().map(|broken| broken.problem.clone())
    }

    /// Notes why nothing can be written. `true`: until now it could.
    pub fn breaks(&self, error: &DbErr) -> bool {
        let problem = text_of(error);
        let mut broken = self.broken.lock();
        if let Some(broken) = &mut *broken {
            broken.problem = problem;
            return false;
        }
        tracing::error!(database = self.name, error = problem, "database.broken");
        metrics::writable(&self.name, false);
        *broken = Some(Broken { problem, since: Instant::now() });
        true
    }

    /// A write was committed.
    pub fn heals(&self) {
        if let Some(broken) = self.broken.lock().take() {
            let after_ms = u64::try_from(broken.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(database = self.name, after_ms, "database.healed");
            metrics::writable(&self.name, true);
        }
    }
}

/// The code that the database gave an error: a result code of SQLite, or an SQLSTATE.
pub(super) fn code_of(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Whether an error tells of the storage, and not of a statement or of other transactions.
pub(super) fn is_storage_fault(error: &DbErr) -> bool {
    let Some(code) = code_of(error) else { return false };
    // An SQLSTATE has five characters; a result code of SQLite has its primary code in the lowest byte.
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => SQLITE_FAULTS.contains(&(number & 0xff)),
        _ => POSTGRES_FAULTS.contains(&code.as_str()),
    }
}
