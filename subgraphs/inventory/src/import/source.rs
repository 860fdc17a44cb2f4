//! Where a feed's files come from: a zip archive, a directory, or texts in the binary; and their rows, read one by
//! one whatever the order of columns, the quoting, a byte-order mark or blanks around the fields.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

use chrono::NaiveDate;
use csv::{ReaderBuilder, StringRecord};

use super::{
    ImportError,
    bounds::{Bounds, read_text, refusal_in},
};

/// A feed, not yet read.
pub struct Source {
    files: Files,
    bounds: Bounds,
}

enum Files {
    /// A zip archive; the files may lie in a folder of it. Nothing is unpacked to disk.
    Zip(Box<zip::ZipArchive<BufReader<File>>>),
    /// A directory.
    Directory(PathBuf),
    /// Names and texts.
    Texts(&'static [(&'static str, &'static str)]),
}

impl Source {
    /// Opens a zip file or a directory.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, ImportError> {
        let unreadable = |reason: String| ImportError::Unreadable { path: path.display().to_string(), reason };
        if path.is_dir() {
            return Ok(Self { files: Files::Directory(path.to_owned()), bounds });
        }
        let mut file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        bounds.check_archive(&path.display().to_string(), &mut file)?;
        let archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| unreadable(error.to_string()))?;
        Ok(Self { files: Files::Zip(Box::new(archive)), bounds })
    }

    /// Files in the program.
    pub fn texts(texts: &'static [(&'static str, &'static str)]) -> Self {
        Self { files: Files::Texts(texts), bounds: Bounds::default() }
    }

    /// How much it may hold.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// A file that must be there.
    pub fn table(&mut self, file: &'static str) -> Result<Table<'_>, ImportError> {
        self.optional_table(file)?.ok_or(ImportError::MissingFile { file })
    }

    /// A file that may be absent or empty.
    pub fn optional_table(&mut self, file: &'static str) -> Result<Option<Table<'_>>, ImportError> {
        let bounds = self.bounds.clone();
        let Some(bytes) = self.bytes(file)? else { return Ok(None) };
        Table::new(file, bytes, bounds).map(Some)
    }

    /// A whole file as text.
    pub fn text(&mut self, file: &'static str) -> Result<Option<String>, ImportError> {
        let Some(bytes) = self.bytes(file)? else { return Ok(None) };
        read_text(file, bytes).map(Some)
    }

    fn bytes(&mut self, file: &'static str) -> Result<Option<Box<dyn Read + '_>>, ImportError> {
        let unreadable = |reason: String| ImportError::Unreadable { path: file.to_owned(), reason };
        match &mut self.files {
            Files::Texts(texts) => {
                let found = texts.iter().find(|(name, _)| *name == file);
                Ok(found.map(|(_, text)| self.bounds.reader(file, None, text.as_bytes())))
            }
            Files::Directory(directory) => {
                let path = directory.join(file);
                if !path.is_file() {
                    return Ok(None);
                }
                let opened = File::open(path).map_err(|error| unreadable(error.to_string()))?;
                Ok(Some(self.bounds.reader(file, None, opened)))
            }
            Files::Zip(archive) => {
                let wanted = |name: &&str| name.rsplit('/').next() == Some(file) && !name.starts_with("__MACOSX");
                let Some(name) = archive.file_names().filter(wanted).min_by_key(|name| name.len()).map(str::to_owned) else {
                    return Ok(None);
                };
                let entry = archive.by_name(&name).map_err(|error| unreadable(error.to_string()))?;
                let packed = entry.compressed_size();
                self.bounds.check_entry(&name, packed, entry.size())?;
                Ok(Some(self.bounds.reader(&name, Some(packed), entry)))
            }
        }
    }
}

/// The rows of one file.
pub struct Table<'s> {
    file: &'static str,
    reader: csv::Reader<Box<dyn Read + 's>>,
    columns: HashMap<String, usize>,
    record: StringRecord,
    bounds: Bounds,
    line: u64,
    lag: u64,
}

impl<'s> Table<'s> {
    fn new(file: &'static str, bytes: Box<dyn Read + 's>, bounds: Bounds) -> Result<Self, ImportError> {
        let mut reader = ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
        let headers = reader.headers().map_err(|error| bad_csv(file, &error))?;
        let columns = headers.iter().enumerate().map(|(at, name)| (name.to_ascii_lowercase(), at)).collect();
        // Where lines end in CRLF, the reader counts one when it meets the LF, which is after the next record has begun.
        let lag = u64::from(reader.position().line() == 1);
        Ok(Self { file, reader, columns, record: StringRecord::new(), bounds, line: 1, lag })
    }

    /// The next row that has anything in it.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>, ImportError> {
        loop {
            self.bounds.begin_row();
            if !self.reader.read_record(&mut self.record).map_err(|error| bad_csv(self.file, &error))? {
                return Ok(None);
            }
            self.line = self.record.position().map_or(self.line, |position| position.line() + self.lag);
            if self.record.iter().any(|field| !field.is_empty()) {
                break;
            }
        }
        Ok(Some(Row { file: self.file, line: self.line, columns: &self.columns, record: &self.record }))
    }
}

fn bad_csv(file: &'static str, error: &csv::Error) -> ImportError {
    if let csv::ErrorKind::Io(error) = error.kind()
        && let Some(refusal) = refusal_in(error)
    {
        return refusal;
    }
    let line = error.position().map_or(1, csv::Position::line);
    ImportError::Row { file, line, reason: error.to_string() }
}

/// One row.
pub struct Row<'t> {
    file: &'static str,
    line: u64,
    columns: &'t HashMap<String, usize>,
    record: &'t StringRecord,
}

impl<'t> Row<'t> {
    /// The line of the file it begins on.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// A field; `None` when the column is missing or the field empty.
    pub fn text(&self, column: &str) -> Option<&'t str> {
        self.columns.get(column).and_then(|&at| self.record.get(at)).filter(|field| !field.is_empty())
    }

    /// A field that must have something in it.
    pub fn required(&self, column: &'static str) -> Result<&'t str, ImportError> {
        self.text(column).ok_or_else(|| self.wrong(column, "", "a value"))
    }

    /// A number, if there is one.
    pub fn number<N: FromStr>(&self, column: &'static str) -> Result<Option<N>, ImportError> {
        let read = |text: &str| text.parse().map_err(|_| self.wrong(column, text, "a number"));
        self.text(column).map(read).transpose()
    }

    /// A date, YYYYMMDD.
    pub fn date(&self, column: &'static str) -> Result<NaiveDate, ImportError> {
        let text = self.required(column)?;
        NaiveDate::parse_from_str(text, "%Y%m%d").map_err(|_| self.wrong(column, text, "a date like 20261224"))
    }

    /// A time as seconds after the beginning of the service day, if there is one.
    pub fn time(&self, column: &'static str) -> Result<Option<i32>, ImportError> {
        let read = |text: &str| parse_time(text).ok_or_else(|| self.wrong(column, text, "a time like 25:05:00"));
        self.text(column).map(read).transpose()
    }

    /// An error about a field of this row.
    pub fn wrong(&self, column: &'static str, value: &str, expected: &'static str) -> ImportError {
        let (file, line, value) = (self.file, self.line, value.chars().take(60).collect());
        ImportError::Field { file, line, column, value, expected }
    }
}

/// `H:MM:SS`, with any number of hours up to 999; seconds may be missing.
fn parse_time(text: &str) -> Option<i32> {
    let mut parts = text.split(':');
    let hours: i32 = digits(parts.next()?, 3)?;
    let minutes = digits(parts.next()?, 2)?;
    let seconds = parts.next().map_or(Some(0), |part| digits(part, 2))?;
    (parts.next().is_none() && minutes < 60 && seconds < 60).then_some(hours * 3600 + minutes * 60 + seconds)
}

fn digits(text: &str, at_most: usize) -> Option<i32> {
    let text = text.trim();
    let fine = !text.is_empty() && text.len() <= at_most && text.bytes().all(|byte| byte.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_run_past_midnight() {
        assert_eq!(parse_time("8:15:00"), Some(29_700));
        assert_eq!(parse_time("08:15"), Some(29_700));
        assert_eq!(parse_time("110:00:01"), Some(396_001));
        for nonsense in ["", "8", "8:60:00", "-1:00:00", "8:5:0:1", "a:00:00", "8::00", "+8:00:00", "1000:00:00"] {
            assert_eq!(parse_time(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn rows_come_whatever_the_dress() {
        let mut source =
            Source::texts(&[("stops.txt", "\u{feff}Stop_ID ,\"stop_name\"\r\n 1 ,\"A \"\"x\"\", B\"\r\n,\r\n2\r\n")]);
        let mut table = source.table("stops.txt").unwrap();
        let row = table.next_row().unwrap().unwrap();
        assert_eq!((row.text("stop_id"), row.text("stop_name"), row.text("stop_lat")), (Some("1"), Some("A \"x\", B"), None));
        let row = table.next_row().unwrap().unwrap();
        assert_eq!((row.line(), row.text("stop_id"), row.text("stop_name")), (4, Some("2"), None));
        let error = row.required("stop_name").unwrap_err();
        assert_eq!(error.to_string(), "stops.txt line 4: stop_name is empty, expected a value");
        assert!(table.next_row().unwrap().is_none());
    }
}
