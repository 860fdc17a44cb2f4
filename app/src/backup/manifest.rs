//! What is in a backup, and the proof that it is whole.

use std::{fs, io::Read, path::Path};

use anyhow::{Context, ensure};
use berth_kernel::backup::Counts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const FILE: &str = "manifest.json";

/// The kind of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A SQLite file.
    Sqlite,
    /// A schema, dumped in PostgreSQL's custom format.
    Postgres,
}

/// One database of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Copied {
    /// The service.
    pub name: String,
    /// What kind it is.
    pub kind: Kind,
    /// Its file, in the backup's folder.
    pub file: String,
    /// How long that is.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: String,
    /// Rows of each table.
    pub tables: Counts,
}

impl Copied {
    /// Measures a file.
    pub fn of(name: &str, kind: Kind, file: &Path, tables: Counts) -> anyhow::Result<Self> {
        let (bytes, sha256) = measure(file)?;
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name: name.to_owned(), kind, file, bytes, sha256, tables })
    }

    /// How many rows there are.
    pub fn rows(&self) -> i64 {
        super::total(&self.tables)
    }
}

/// The list of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The version that wrote it.
    pub berth: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The databases.
    pub databases: Vec<Copied>,
    /// Files of the folder `keys`; none when the keys are kept elsewhere.
    pub keys: Vec<String>,
}

impl Manifest {
    /// Writes it, as the last thing of a backup: without it there is no backup.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::write(folder.join(FILE), serde_json::to_string_pretty(self)?).context(FILE)
    }

    /// Reads it, and proves that every file is as it was.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(folder.join(FILE)).with_context(|| format!("{} is no backup: {FILE}", folder.display()))?;
        let manifest: Self = serde_json::from_str(&text).context(FILE)?;
        for database in &manifest.databases {
            let plain = Path::new(&database.file).file_name().is_some_and(|name| name == database.file.as_str());
            ensure!(plain, "{} is no file of this folder", database.file);
            let (bytes, sha256) = measure(&folder.join(&database.file))?;
            ensure!(bytes == database.bytes && sha256 == database.sha256, "{} is not the file that was written", database.file);
        }
        Ok(manifest)
    }
}

fn measure(file: &Path) -> anyhow::Result<(u64, String)> {
    let mut source = fs::File::open(file).with_context(|| file.display().to_string())?;
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        bytes += count as u64;
    }
    Ok((bytes, digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
