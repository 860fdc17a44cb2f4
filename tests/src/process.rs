//! A real `berth` process on a free port and a temporary directory.

use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::client::Client;

/// Time a debug build may take to its first answer, with migrations and the demo timetable.
const START_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// The program under test: `BERTH_BIN`, or the one that cargo built beside this test.
pub fn program() -> anyhow::Result<PathBuf> {
    located("BERTH_BIN", "berth")
}

/// The sabotaged program: `BERTH_SABOTAGE_BIN`, or the one that cargo built beside this test.
pub fn sabotaged_program() -> anyhow::Result<PathBuf> {
    located("BERTH_SABOTAGE_BIN", "berth-sabotage")
}

fn located(variable: &str, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run ./tests/run, or name the program in {variable}"))
}

/// How a process is to be started.
#[derive(Default)]
pub struct Setup {
    program: Option<PathBuf>,
    variables: Vec<(String, String)>,
    data: Option<TempDir>,
}

impl Setup {
    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// Takes the sabotaged program with one of its switches on.
    pub fn sabotage(mut self, switch: &str) -> anyhow::Result<Self> {
        self.program = Some(sabotaged_program()?);
        Ok(self.env("BERTH_SABOTAGE", switch))
    }

    /// Takes this program.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// Starts on a directory that was prepared before.
    #[must_use]
    pub fn on(mut self, folder: TempDir) -> Self {
        self.data = Some(folder);
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> anyhow::Result<Berth> {
        let program = self.program.map_or_else(program, Ok)?;
        let folder = self.data.map_or_else(TempDir::new, Ok)?;
        let mut berth = Berth { program, variables: self.variables, folder, child: None, address: None };
        berth.launch().await?;
        Ok(berth)
    }
}

/// A running (or killed) `berth serve`. Killed when dropped.
pub struct Berth {
    program: PathBuf,
    variables: Vec<(String, String)>,
    folder: TempDir,
    child: Option<Child>,
    address: Option<SocketAddr>,
}

impl Berth {
    /// Starts the program with its defaults.
    pub async fn start() -> anyhow::Result<Self> {
        Setup::default().start().await
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.folder)
    }

    /// Its address, as `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        self.address.map_or_else(String::new, |address| format!("http://{address}"))
    }

    /// Its address.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.address.context("it was never ready")
    }

    /// A client without a token.
    pub fn client(&self) -> anyhow::Result<Client> {
        Client::new(&self.url())
    }

    /// The number of the process.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// All it has logged, over every start.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Fails when it has panicked.
    pub fn assert_calm(&self) -> anyhow::Result<()> {
        let log = self.log();
        let panics: Vec<&str> =
            log.lines().filter(|line| line.contains("panicked at") || line.contains("graphql.panic")).collect();
        if panics.is_empty() { Ok(()) } else { bail!("it panicked: {panics:#?}") }
    }

    /// Fails when it does not run any more.
    pub fn assert_alive(&mut self) -> anyhow::Result<()> {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => self.assert_calm(),
            other => bail!("it ended: {other:?}\n{}", tail(&self.log())),
        }
    }

    /// SIGKILL: nothing is flushed, nothing is finished.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        Command::new("sh").arg("-c").arg(format!("kill -TERM {}", child.id())).status()?;
        let asked = Instant::now();
        while child.try_wait()?.is_none() {
            if asked.elapsed() > STOP_WITHIN {
                child.kill()?;
                child.wait()?;
                bail!("it did not stop within {STOP_WITHIN:?}\n{}", tail(&self.log()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts it again on the same directory and the same port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.launch().await
    }

    /// A copy of the data directory of a stopped process, for another one.
    pub fn copy(&self) -> anyhow::Result<TempDir> {
        anyhow::ensure!(self.child.is_none(), "stop it before copying its data");
        let folder = TempDir::new()?;
        copy_folder(&self.data_dir(), &data_dir(&folder))?;
        Ok(folder)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("berth.log")
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        let data_dir = self.data_dir();
        fs::create_dir_all(&data_dir)?;
        let address_file = data_dir.join("berth.addr");
        let _ = fs::remove_file(&address_file);
        let listen = self.address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let log = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = command(&self.program, &self.variables);
        command.arg("serve").arg("--data-dir").arg(&data_dir).arg("--listen").arg(&listen);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().with_context(|| format!("can't start {}", self.program.display()))?;
        let began = Instant::now();
        let address = loop {
            if let Some(address) = fs::read_to_string(&address_file).ok().and_then(|text| text.trim().parse().ok()) {
                break address;
            }
            if let Some(status) = child.try_wait()? {
                bail!("it ended with {status} before it was ready\n{}", tail(&self.log()));
            }
            if began.elapsed() > START_WITHIN {
                let _ = child.kill();
                let _ = child.wait();
                bail!("it was not ready within {START_WITHIN:?}\n{}", tail(&self.log()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        self.child = Some(child);
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let _ = self.kill();
        if std::thread::panicking() || std::env::var_os("BERTH_KEEP_LOGS").is_some() {
            let kept = std::env::temp_dir().join(format!("berth-test-{}.log", std::process::id()));
            let _ = fs::copy(self.log_file(), &kept);
        }
    }
}

/// Where a process keeps its data inside the directory of a test.
pub fn data_dir(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// Runs one of the program's admin commands to its end.
pub fn run(arguments: &[&str], folder: &TempDir) -> anyhow::Result<Output> {
    let data_dir = data_dir(folder);
    fs::create_dir_all(&data_dir)?;
    let mut command = command(&program()?, &[]);
    Ok(command.args(arguments).arg("--data-dir").arg(data_dir).stdin(Stdio::null()).output()?)
}

/// A command that sees none of the caller's own settings of Berth.
fn command(program: &Path, variables: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BERTH_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().cloned());
    command
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            std::io::copy(&mut File::open(entry.path())?, &mut File::create(target)?)?;
        }
    }
    Ok(())
}
