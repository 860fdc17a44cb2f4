//! A PostgreSQL server of a test's own, so that it can be stopped: not a proxy in front of it, the server itself.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use reqwest::Url;
use tempfile::TempDir;

use crate::{eventually, process::signal, servers::ask};

const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// Nothing of this cluster outlives the machine, so what only serves that is off. What was committed must outlive its processes.
const SETTINGS: [&str; 5] =
    ["listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=on", "full_page_writes=off", "max_connections=100"];

/// A server, ended with all its processes when dropped.
pub struct Postgres {
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    folder: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl Postgres {
    /// Makes a cluster in this folder and starts its server; `None` where its programs are not installed.
    pub async fn start_at(port: u16, folder: TempDir) -> anyhow::Result<Option<Self>> {
        let Some(mut server) = Self::empty(port, folder)? else { return Ok(None) };
        make(server.command("initdb").args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync"]))?;
        server.start().await?;
        Ok(Some(server))
    }

    /// The same, and it speaks TLS with this certificate and key.
    pub async fn start_with_tls(port: u16, certificate: &Path, key: &Path) -> anyhow::Result<Option<Self>> {
        let Some(mut server) = Self::start_at(port, TempDir::new()?).await? else { return Ok(None) };
        server.stop()?;
        for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = server.folder.path().join(name);
            fs::copy(from, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            server.give(&to)?;
            let setting = if name == "server.crt" { "ssl_cert_file" } else { "ssl_key_file" };
            server.settings.push(format!("{setting}={}", to.display()));
        }
        server.settings.push("ssl=on".to_owned());
        server.start().await?;
        Ok(Some(server))
    }

    fn empty(port: u16, folder: TempDir) -> anyhow::Result<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let settings = SETTINGS.map(str::to_owned).to_vec();
        let server = Self { programs, owner: owner()?, folder, port, settings, child: None };
        server.give(server.folder.path())?;
        Ok(Some(server))
    }

    /// What the server reads must be its own.
    fn give(&self, path: &Path) -> anyhow::Result<()> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        Ok(std::os::unix::fs::chown(path, Some(user), Some(group))?)
    }

    /// Another server that follows this one. From the answer on, this one acknowledges nothing that the other has not on its disk.
    pub async fn standby_at(&self, port: u16) -> anyhow::Result<Self> {
        let mut standby = Self::empty(port, TempDir::new()?)?.context("the programs of PostgreSQL are not installed")?;
        let mut copy = standby.command("pg_basebackup");
        copy.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-U",
            "postgres",
            "-X",
            "stream",
            "-R",
            "-c",
            "fast",
            "--no-sync",
        ]);
        make(&mut copy)?;
        standby.start().await?;
        let url = self.url()?;
        ask(url.as_str(), "ALTER SYSTEM SET synchronous_standby_names = '*'").await?;
        ask(url.as_str(), "SELECT pg_reload_conf()").await?;
        let follows = || async {
            let following = ask(url.as_str(), "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").await?;
            Ok((following == 1).then_some(()))
        };
        eventually("a synchronous standby", STARTS_WITHIN, follows).await?;
        Ok(standby)
    }

    /// A standby becomes the primary.
    pub async fn promote(&self) -> anyhow::Result<()> {
        ask(self.url()?.as_str(), "SELECT pg_promote(true, 20)").await.map(drop)
    }

    /// SIGKILL to the server and to every process of it, as when its machine fails.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let processes = children(child.id())?;
        child.kill()?;
        signal_all("KILL", &processes)?;
        child.wait()?;
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let own = self.programs.join(program);
        let mut command = Command::new(if own.is_file() { own.as_path() } else { Path::new(program) });
        command.arg("-D").arg(self.folder.path().join("data")).current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The URL of its own database.
    pub fn url(&self) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("postgres://postgres@{}/postgres", self.address()))?)
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let mut command = self.command("postgres");
        command.arg("-p").arg(self.port.to_string()).arg("-k").arg(self.folder.path());
        command.args(self.settings.iter().flat_map(|setting| ["-c", setting])).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn()?);
        let url = self.url()?;
        let answered = eventually("PostgreSQL", STARTS_WITHIN, || async { ask(url.as_str(), "SELECT 1").await.map(Some) }).await;
        answered.map(|_| ()).with_context(|| fs::read_to_string(self.folder.path().join("log")).unwrap_or_default())
    }

    /// Stops it as `pg_ctl stop -m immediate` does: its processes drop everything. The next start has to recover.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        signal("QUIT", child.id())?;
        child.wait()?;
        Ok(())
    }

    /// Starts it again if it has ended by itself, as it does when its log finds no room; waits until it answers.
    pub async fn revive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
            println!("PostgreSQL ended with {status}");
            return self.start().await;
        }
        Ok(())
    }

    /// SIGSTOP to the server and to every process of it: who is connected waits, who connects waits as well.
    pub fn pause(&self) -> anyhow::Result<()> {
        let server = self.child.as_ref().context("not started")?.id();
        signal("STOP", server)?;
        signal_all("STOP", &children(server)?)
    }

    /// SIGCONT to all of them.
    pub fn resume(&self) -> anyhow::Result<()> {
        let server = self.child.as_ref().context("not started")?.id();
        signal_all("CONT", &children(server)?)?;
        signal("CONT", server)?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.child.is_some() {
            let _ = self.resume();
        }
        let _ = self.stop();
    }
}

fn make(command: &mut Command) -> anyhow::Result<()> {
    let made = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(made.status.success(), "{command:?}: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// The folder of `initdb` and `postgres`: on the `PATH`, or where Debian keeps them.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    folders.into_iter().find(|folder| ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file()))
}

/// PostgreSQL refuses to run as root: then it is this user and this group.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let known = fs::read_to_string("/etc/passwd")?;
    let number = |line: &str, place| line.split(':').nth(place).and_then(|text| text.parse().ok());
    let mut found = ["postgres:", "nobody:"].iter().filter_map(|name| known.lines().find(|line| line.starts_with(name)));
    let line = found.next().context("neither a user postgres nor a user nobody")?;
    Ok(number(line, 2).zip(number(line, 3)))
}

/// Every process that this one has begun.
fn children(parent: u32) -> anyhow::Result<Vec<u32>> {
    let is_child = |folder: &Path| {
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|text| text.trim() == parent.to_string()))
    };
    let processes = fs::read_dir("/proc")?.flatten().filter(|entry| is_child(&entry.path()));
    Ok(processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// To each of them. One that has ended meanwhile needs no signal.
fn signal_all(name: &str, processes: &[u32]) -> anyhow::Result<()> {
    for &process in processes {
        signal(name, process)?;
    }
    Ok(())
}
