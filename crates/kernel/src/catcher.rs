//! What was sent nowhere: letters and text messages that are kept in a file of JSON lines, for people who develop.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

const KEPT_AT_MOST: usize = 5000;
const SHOWN_AT_MOST: usize = 500;

/// Keeps what it catches in a file of JSON lines, so that it survives a restart. Several processes may share the file.
pub struct Catcher<T> {
    file: PathBuf,
    read: Mutex<Reading<T>>,
}

/// What was read of the file.
struct Reading<T> {
    /// Where the first line begins that was not read yet.
    offset: u64,
    caught: VecDeque<T>,
}

impl<T: Serialize + DeserializeOwned + Clone> Catcher<T> {
    /// A catcher that keeps what it catches in this file.
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), read: Mutex::new(Reading::new()) }
    }

    /// Appends in one write, so that lines of several processes do not mix.
    pub fn catch(&self, caught: &T) -> io::Result<()> {
        let line = serde_json::to_string(caught).map_err(io::Error::other)? + "\n";
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.file)?;
        file.write_all(line.as_bytes())
    }

    /// The newest of what was caught, newest first.
    pub fn caught(&self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut read = self.read.lock();
        if let Err(error) = read.on(&self.file) {
            tracing::warn!(error = %error, "catcher.unreadable");
        }
        read.caught.iter().rev().filter(|caught| wanted(caught)).take(SHOWN_AT_MOST).cloned().collect()
    }
}

impl<T: DeserializeOwned> Reading<T> {
    const fn new() -> Self {
        Self { offset: 0, caught: VecDeque::new() }
    }

    /// Reads the lines that came since the last time.
    fn on(&mut self, path: &Path) -> io::Result<()> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *self = Self::new();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < self.offset {
            *self = Self::new();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut news = Vec::new();
        file.read_to_end(&mut news)?;
        // A line that is just being written is read the next time.
        let whole = news.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.offset += whole as u64;
        let lines = news[..whole].split(|byte| *byte == b'\n');
        self.caught.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
        let surplus = self.caught.len().saturating_sub(KEPT_AT_MOST);
        self.caught.drain(..surplus);
        Ok(())
    }
}
