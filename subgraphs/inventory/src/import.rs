//! Makes sellable trips of timetables that others write.
//!
//! * [`source`]: the files of a feed, row by row; [`bounds`]: how much of them; [`gtfs`]: a whole feed in memory, checked
//! * [`schedule`]: stop times into patterns: missing times, distances, frequencies
//! * [`layouts`]: the layout and fare file, and which trip gets which layout and fare
//! * [`draft`]: all of it as the rows that the catalogue should have; `store::import` makes them so
//!
//! To read another format, write another reader that ends in a [`draft::Draft`].

pub mod bounds;
pub mod draft;
pub mod gtfs;
pub mod layouts;
pub mod schedule;
pub mod source;
pub mod summary;

use std::sync::Arc;

use berth_contracts::event::Event;
use berth_kernel::{
    Deps,
    db::{self, Undoing},
};
use chrono::NaiveDate;
use sea_orm::DbErr;

use crate::{layout::LayoutError, store};
pub use bounds::Bounds;
pub use source::Source;
pub use summary::{Conflict, ConflictKind, Summary};

/// What one process does at a time.
const IMPORT: &str = "inventory.import";

/// Why an import changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The path is no readable zip archive or directory.
    #[error("{path} can't be read: {reason}")]
    Unreadable {
        /// The path.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// A file that every feed must have is not there.
    #[error("{file} is missing")]
    MissingFile {
        /// The file.
        file: &'static str,
    },
    /// A file that must have rows has none.
    #[error("{file} has no rows")]
    EmptyFile {
        /// The file.
        file: &'static str,
    },
    /// A file holds more than any feed, or than was allowed.
    #[error("{file} is too large: {reason}")]
    TooLarge {
        /// The file, as the archive names it.
        file: String,
        /// What there is too much of.
        reason: String,
    },
    /// A row is no CSV or no UTF-8.
    #[error("{file} line {line}: {reason}")]
    Row {
        /// The file.
        file: &'static str,
        /// The line.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A field has a value that it can't have.
    #[error("{file} line {line}: {column} is {}, expected {expected}", if value.is_empty() { "empty" } else { value })]
    Field {
        /// The file.
        file: &'static str,
        /// The line.
        line: u64,
        /// The column.
        column: &'static str,
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A field refers to something that is not there.
    #[error("{file} line {line}: {column} {value} does not exist")]
    Reference {
        /// The file.
        file: &'static str,
        /// The line.
        line: u64,
        /// The column.
        column: &'static str,
        /// The value.
        value: String,
    },
    /// The layout and fare file can't be used.
    #[error("layout and fare file: {0}")]
    Layouts(String),
    /// A layout can't be built.
    #[error("layout and fare file: {0}")]
    Layout(#[from] LayoutError),
    /// No trip can be sold.
    #[error("the feed has no trip with two stops")]
    NoTrips,
    /// The database refused.
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// The reader was stopped.
    #[error("the import was interrupted")]
    Interrupted,
}

impl Undoing for ImportError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// What an import is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading files.
    Read,
    /// Making trips of them.
    Plan,
    /// Writing rows.
    Write,
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Things done in this stage.
    pub done: u64,
    /// Things to do in this stage, when known.
    pub total: Option<u64>,
}

/// Is told how far an import is. Shown by whoever called, or ignored.
pub type ProgressFn = Arc<dyn Fn(Progress) + Send + Sync>;

/// Tells nobody.
pub fn silent() -> ProgressFn {
    Arc::new(|_| {})
}

/// What a caller may ask of an import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Moves the feed by whole weeks so that its first service date falls in the week of this date.
    pub start_date: Option<NaiveDate>,
    /// Stretches or shrinks every row of `calendar.txt` to these dates (the demo timetable has no dates of its own).
    pub window: Option<(NaiveDate, NaiveDate)>,
    /// Text of a layout and fare file. Absent: `berth.toml` of the feed, if it has one, else the defaults.
    pub layouts: Option<String>,
}

/// Imports a feed: all of it in one transaction, or an error and no change. Importing the same feed again changes nothing.
pub async fn import_gtfs(
    deps: &Deps,
    source: Source,
    options: ImportOptions,
    progress: ProgressFn,
) -> Result<Summary, ImportError> {
    let reporter = Arc::clone(&progress);
    let reading = tokio::task::spawn_blocking(move || draft::read(source, &options, &reporter));
    let draft = reading.await.map_err(|_| ImportError::Interrupted)??;
    let (clock, outbox) = (deps.clock.clone(), deps.outbox.clone());
    let summary = deps
        .db
        .write(move |tx| {
            Box::pin(async move {
                // Of several processes that import the same at once, one writes; the others find nothing to change.
                db::exclusive(tx, IMPORT).await?;
                let summary = store::import::write(tx, &clock, draft, &progress).await?;
                if summary.changed() {
                    outbox.append(tx, &Event::TimetableChanged { version: summary.timetable_version }).await?;
                }
                Ok::<_, ImportError>(summary)
            })
        })
        .await?;
    deps.outbox.wake();
    tracing::info!(trips = summary.trips, conflicts = summary.conflicts.len(), "import.done");
    Ok(summary)
}
