//! Who may read what a process keeps: the user it runs as, and nobody else. New files are so by the umask; those of an older
//! program are narrowed at the start.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{fs::Mode, process::umask};

use crate::config::{Config, Refusal};

/// Rights of group and others.
const OTHERS: u32 = 0o077;
/// A folder in which everybody makes files, each their own: nobody's data directory alone.
const STICKY: u32 = 0o1000;
/// How the names of our files end.
const ENDINGS: [&str; 9] = [".sqlite", "-wal", "-shm", ".jsonl", ".addr", ".lock", ".toml", ".pem", ".key"];

/// Whatever this process and its children make is readable for their user alone.
pub fn keep_private() {
    umask(Mode::from_raw_mode(OTHERS));
}

/// Creates the data directory if need be, and proves that it can be written.
pub fn prepare(config: &Config) -> Result<(), Refusal> {
    let folder = &config.data_dir;
    let probe = folder.join(format!(".writable-{}", std::process::id()));
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&probe, b"")).and_then(|()| fs::remove_file(&probe));
    written.map_err(|error| unwritable(folder, &error))
}

/// The refusal of a data directory.
pub fn unwritable(folder: &Path, error: &io::Error) -> Refusal {
    Refusal::new("data_dir", format!("{} can't be written: {error}", folder.display()), "--data-dir ./data")
}

/// Takes the rights of group and others away from what is ours. What can't be changed stays: `berth doctor` tells of it.
pub fn narrow(config: &Config) {
    let narrowed = wide(config).into_iter().filter(|(path, mode)| {
        let narrow = Permissions::from_mode(mode & !OTHERS);
        fs::set_permissions(path, narrow).inspect_err(|error| tracing::debug!(error = %error, "data_dir.not_narrowed")).is_ok()
    });
    match narrowed.count() {
        0 => {}
        files => tracing::warn!(files, data_dir = %config.data_dir.display(), "data_dir.narrowed"),
    }
}

/// What others than the owner may read or enter: data directory, keys and what is in them, each with its mode.
pub fn wide(config: &Config) -> Vec<(PathBuf, u32)> {
    let keys = config.key_file("");
    let caught = [config.mail_file.clone(), config.mail_file.is_some().then(|| config.sms_file())];
    let own = [config.data_dir.clone(), keys.clone()].into_iter().chain(caught.into_iter().flatten());
    let inside = [config.data_dir.clone(), keys].into_iter().flat_map(files_of);
    let mut wide: Vec<_> = own.chain(inside).filter_map(|path| Some((fs::symlink_metadata(&path).ok()?, path))).collect();
    wide.retain(|(found, _)| !found.is_symlink() && found.mode() & STICKY == 0 && found.mode() & OTHERS != 0);
    wide.into_iter().map(|(found, path)| (path, found.mode() & 0o7777)).collect()
}

fn files_of(folder: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| ENDINGS.iter().any(|ending| name.ends_with(ending)))
    };
    entries.map(|entry| entry.path()).filter(is_ours).collect()
}
