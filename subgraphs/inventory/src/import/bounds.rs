//! How much a feed may hold. A feed comes from somebody else: a few megabytes of it can unpack to gigabytes, one row can stand for
//! thousands of days or departures, and one field can be as long as the file. Each is refused before it is in memory.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::ImportError;

/// Mebibytes that the files of a feed have together when nobody says otherwise.
pub const DEFAULT_MIB: u32 = 256;
/// Most files in an archive. Feeds have some dozens.
const MAX_ENTRIES: u16 = 10_000;
/// What unpacks to more times its size is no timetable: those come to 20.
const MAX_RATIO: u64 = 200;
/// Small files are never refused for their ratio.
const SMALL: u64 = 1 << 20;
/// Longest row, in bytes.
const MAX_ROW: u64 = 64 * 1024;
/// The reader of rows fetches this much ahead.
const AHEAD: u64 = 8 * 1024;
/// Longest file that is read as one text, in bytes.
const MAX_TEXT: u64 = 1 << 20;
/// Service days and departures for each mebibyte: a kilobyte of stop times stands for four trips at most.
const DAYS_PER_MIB: u64 = 80_000;
const DEPARTURES_PER_MIB: u64 = 4_000;

/// What is left of the bounds of one import.
#[derive(Debug, Clone)]
pub struct Bounds {
    mib: u32,
    bytes: Arc<AtomicU64>,
    row: Arc<AtomicU64>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::of_mib(DEFAULT_MIB)
    }
}

impl Bounds {
    /// Bounds of a feed whose files have so many mebibytes together.
    pub fn of_mib(mib: u32) -> Self {
        let bytes = u64::from(mib) << 20;
        Self { mib, bytes: Arc::new(bytes.into()), row: Arc::new(MAX_ROW.into()) }
    }

    /// Refuses an archive with more files, or a longer list of them, than feeds have. Reading that list takes memory, so this looks
    /// at its end only.
    pub(super) fn check_archive(&self, name: &str, file: &mut File) -> Result<(), ImportError> {
        let refused = |reason: &str| too_large(name, reason.to_owned());
        let unreadable = |error: io::Error| ImportError::Unreadable { path: name.to_owned(), reason: error.to_string() };
        let length = file.metadata().map_err(unreadable)?.len();
        if length > u64::from(self.mib) << 20 {
            return Err(too_large(name, format!("it has more than {} MiB (--max-mib)", self.mib)));
        }
        let tail = read_tail(file, length).map_err(unreadable)?;
        for end in ends(&tail) {
            let count = u16::from_le_bytes([end[10], end[11]]);
            if count > MAX_ENTRIES {
                return Err(too_large(name, format!("it has more than {MAX_ENTRIES} files")));
            }
            if end[12..16] == [0xff; 4] || end[16..20] == [0xff; 4] {
                return Err(refused("it is made for archives of more than 4 GiB (zip64)"));
            }
        }
        Ok(())
    }

    /// Refuses an entry of an archive by what it says of itself.
    pub(super) fn check_entry(&self, name: &str, packed: u64, unpacked: u64) -> Result<(), ImportError> {
        if unpacked > self.bytes.load(Relaxed) {
            return Err(too_large(name, self.too_many_bytes()));
        }
        if unpacked > SMALL && unpacked / packed.max(1) > MAX_RATIO {
            return Err(too_large(name, too_dense()));
        }
        Ok(())
    }

    /// The bytes of a file, until one of the bounds: a file can be longer than it says.
    pub(super) fn reader<'r>(&self, name: &str, packed: Option<u64>, from: impl Read + 'r) -> Box<dyn Read + 'r> {
        self.begin_row();
        Box::new(Bounded { from, name: name.to_owned(), packed, read: 0, bounds: self.clone() })
    }

    /// The next row may be as long as any.
    pub(super) fn begin_row(&self) {
        self.row.store(MAX_ROW + AHEAD, Relaxed);
    }

    /// Refuses calendars that run on more days together.
    pub(super) fn check_days(&self, days: u64) -> Result<(), ImportError> {
        let most = u64::from(self.mib) * DAYS_PER_MIB;
        if days > most {
            Err(too_large("calendar.txt", format!("its services run on more than {most} days (--max-mib)")))
        } else {
            Ok(())
        }
    }

    /// Refuses frequencies that stand for more departures.
    pub(super) fn check_departures(&self, departures: u64) -> Result<(), ImportError> {
        let most = u64::from(self.mib) * DEPARTURES_PER_MIB;
        if departures > most {
            return Err(too_large("frequencies.txt", format!("it stands for more than {most} departures (--max-mib)")));
        }
        Ok(())
    }

    fn too_many_bytes(&self) -> String {
        format!("with it the feed has more than {} MiB (--max-mib)", self.mib)
    }
}

/// A text, of a file that is read at once.
pub(super) fn read_text(name: &str, from: impl Read) -> Result<String, ImportError> {
    let mut text = String::new();
    let read = from.take(MAX_TEXT + 1).read_to_string(&mut text);
    read.map_err(|error| ImportError::Unreadable { path: name.to_owned(), reason: error.to_string() })?;
    if text.len() as u64 > MAX_TEXT {
        return Err(too_large(name, format!("it has more than {MAX_TEXT} bytes")));
    }
    Ok(text)
}

fn too_dense() -> String {
    format!("it unpacks to more than {MAX_RATIO} times its size")
}

fn too_large(file: &str, reason: String) -> ImportError {
    ImportError::TooLarge { file: file.to_owned(), reason }
}

/// The last bytes of a file: the list's end and the longest comment after it fit in.
fn read_tail(file: &mut File, length: u64) -> io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(22 + u64::from(u16::MAX))))?;
    file.read_to_end(&mut tail)?;
    file.rewind()?;
    Ok(tail)
}

/// Everything in it that a reader may take for the end of an archive's list.
fn ends(tail: &[u8]) -> impl Iterator<Item = &[u8]> {
    tail.windows(22).filter(|window| window.starts_with(b"PK\x05\x06"))
}

/// What a reader is told when a file goes on for too long.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
struct Excess {
    name: String,
    reason: String,
}

/// The refusal in an error of a reader, if it is one of ours.
pub(super) fn refusal_in(error: &io::Error) -> Option<ImportError> {
    let excess = error.get_ref()?.downcast_ref::<Excess>()?;
    Some(too_large(&excess.name, excess.reason.clone()))
}

struct Bounded<R> {
    from: R,
    name: String,
    packed: Option<u64>,
    read: u64,
    bounds: Bounds,
}

impl<R> Bounded<R> {
    fn count(&mut self, read: u64) -> Result<(), String> {
        self.read += read;
        take(&self.bounds.bytes, read).ok_or_else(|| self.bounds.too_many_bytes())?;
        take(&self.bounds.row, read).ok_or_else(|| format!("it has a row of more than {MAX_ROW} bytes"))?;
        let dense = self.packed.is_some_and(|packed| self.read > SMALL && self.read / packed.max(1) > MAX_RATIO);
        if dense { Err(too_dense()) } else { Ok(()) }
    }
}

fn take(from: &AtomicU64, count: u64) -> Option<u64> {
    from.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(count)).ok()
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(AHEAD).unwrap_or(usize::MAX).min(into.len());
        let read = self.from.read(&mut into[..most])?;
        let counted = self.count(read as u64);
        counted.map_err(|reason| io::Error::other(Excess { name: self.name.clone(), reason }))?;
        Ok(read)
    }
}
