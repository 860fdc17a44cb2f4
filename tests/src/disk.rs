//! A small disk: a file system in memory, in a mount namespace of the test's own, that can be filled and enlarged.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// Set in a test that runs inside a namespace of its own.
const INSIDE: &str = "BERTH_TEST_OWN_MOUNTS";

/// Runs a test again, alone in a mount namespace: what it mounts ends with it, however it ends. `true`: this is that run, go on.
/// `false`: that run is over and was good, or no namespace is permitted here, which is said aloud.
pub fn in_own_mounts(test: &str) -> anyhow::Result<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(true);
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        command
    };
    let permitted = unshare().args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).stderr(Stdio::null()).status();
    if !permitted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: nothing can be mounted here, so no disk can be filled. Run as root on Linux.");
        return Ok(false);
    }
    let mut again = unshare();
    again.arg(std::env::current_exe()?).args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let output = again.output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    print!("{told}");
    print!("{}", String::from_utf8_lossy(&output.stderr));
    ensure!(told.contains("1 passed"), "{test} on a small disk ended with {}", output.status);
    Ok(false)
}

/// A file system in memory.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many megabytes. Call it inside [`in_own_mounts`].
    pub fn mount(megabytes: u32) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        mount(&["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0777"), "tmpfs"], folder.path())?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder whose `data` is on this disk; what stands beside it (logs) is not.
    pub fn data_folder(&self) -> anyhow::Result<TempDir> {
        let (folder, data) = (TempDir::new()?, self.path().join("data"));
        fs::create_dir_all(&data)?;
        std::os::unix::fs::symlink(data, folder.path().join("data"))?;
        Ok(folder)
    }

    /// Takes all that is free. What is given back later stays free.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut ballast = fs::File::options().create(true).append(true).open(self.ballast())?;
        for block in [1024 * 1024, 4096] {
            let bytes = vec![7; block];
            while ballast.write_all(&bytes).is_ok() {}
        }
        Ok(())
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Makes it so many megabytes large.
    pub fn enlarge(&self, megabytes: u32) -> anyhow::Result<()> {
        mount(&["-o", &format!("remount,size={megabytes}m")], self.path())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

fn mount(arguments: &[&str], folder: &Path) -> anyhow::Result<()> {
    let output = Command::new("mount").args(arguments).arg(folder).output().context("mount")?;
    ensure!(output.status.success(), "mount {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
