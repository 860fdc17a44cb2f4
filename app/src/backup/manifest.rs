//! What is in a backup, and the proof that it is whole.

use std::{fs, io::Read, path::Path};

use anyhow::{Context, ensure};
use berth_kernel::backup::Counts;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::text_file;

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
        let text = text_file::read(&folder.join(FILE)).with_context(|| format!("{} is no backup: {FILE}", folder.display()))?;
        let manifest: Self = serde_json::from_str(&text).context(FILE)?;
        // A manifest comes with its backup: it names no file of another folder, neither to read nor to write.
        for name in manifest.databases.iter().map(|database| &database.file).chain(&manifest.keys) {
            let plain = Path::new(name).file_name().is_some_and(|file| file == name.as_str());
            ensure!(plain, "{name} is no file of this folder");
        }
        for database in &manifest.databases {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(databases: &str, keys: &str) -> anyhow::Result<Manifest> {
        let folder = tempfile::tempdir()?;
        let head = r#""berth":"0.1.0","created_at":"2026-11-29T00:00:00Z""#;
        fs::write(folder.path().join(FILE), format!(r#"{{{head},"databases":[{databases}],"keys":[{keys}]}}"#))?;
        Manifest::read(folder.path())
    }

    #[test]
    fn a_manifest_names_files_of_its_own_folder_only() {
        assert_eq!(read("", r#""access-1.pem""#).expect("a manifest").keys, ["access-1.pem"]);
        for name in ["../access-1.pem", "/etc/cron.d/x", "a/b", "..", ""] {
            let refused = read("", &format!("{name:?}")).expect_err(name);
            assert!(refused.to_string().contains("no file of this folder"), "{refused}");
        }
    }
}
