//! One real `berth` process: started, killed, paused and restarted. Where it stands among others is [`crate::world`]'s business.

use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

pub use crate::world::{Arm, Berth, Setup};

/// Time a debug build may take to its first answer, with migrations and the demo timetable, while others start beside it.
const START_WITHIN: Duration = Duration::from_mins(1);
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Where a process looks for steps to arm.
const FAILPOINTS: &str = "failpoints";

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

/// A running, paused or killed `berth serve`. Killed when dropped.
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    folder: PathBuf,
    child: Option<Child>,
    address: Option<SocketAddr>,
}

impl Process {
    /// One that was not started yet, with a folder for its data and its log.
    pub fn new(name: &str, program: &Path, folder: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: vec![],
            variables: vec![],
            folder: folder.to_owned(),
            child: None,
            address: None,
        }
    }

    /// Listens there, from the first start on.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// With these arguments after `serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: Vec<String>) -> Self {
        self.arguments = arguments;
        self
    }

    /// With these variables.
    #[must_use]
    pub fn variables(mut self, variables: Vec<(String, String)>) -> Self {
        self.variables = variables;
        self
    }

    /// Sets or removes a variable for the next start.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// What it is called: its role and its number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its address.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.address.with_context(|| format!("{} was never ready", self.name))
    }

    /// Its address, as `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        self.address.map_or_else(String::new, |address| format!("http://{address}"))
    }

    /// The number of the process.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where it logs to.
    pub fn log_file(&self) -> PathBuf {
        self.folder.join("berth.log")
    }

    /// All it has logged, over every start.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Fails when it has panicked.
    pub fn assert_calm(&self) -> anyhow::Result<()> {
        let log = self.log();
        let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked") || line.contains("graphql.panic")).collect();
        ensure!(panics.is_empty(), "{} panicked: {panics:#?}", self.name);
        Ok(())
    }

    /// Fails when it does not run any more.
    pub fn assert_alive(&mut self) -> anyhow::Result<()> {
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => self.assert_calm(),
            other => bail!("{} ended: {other:?}\n{}", self.name, tail(&self.log())),
        }
    }

    /// Whether it has ended by itself. It can then be restarted.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        let ended = match &mut self.child {
            Some(child) => child.try_wait()?.is_some(),
            None => true,
        };
        if ended {
            self.child = None;
        }
        Ok(ended)
    }

    /// SIGKILL: nothing is flushed, nothing is finished.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGSTOP: it holds everything it has, and does nothing.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal("STOP")
    }

    /// SIGCONT: it goes on as if nothing had happened.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal("CONT")
    }

    /// SIGTERM, and waits for the end, which must be a good one.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop_by("TERM").await
    }

    /// This signal, and waits for the end, which must be a good one.
    pub async fn stop_by(&mut self, signal: &str) -> anyhow::Result<()> {
        self.signal(signal)?;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let asked = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "{} ended with {status}\n{}", self.name, tail(&self.log()));
                return Ok(());
            }
            if asked.elapsed() > STOP_WITHIN {
                child.kill()?;
                child.wait()?;
                bail!("{} did not stop within {STOP_WITHIN:?}\n{}", self.name, tail(&self.log()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills it, if need be, and starts it again on the same directory and the same port.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        self.start().await
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let data_dir = self.data_dir();
        fs::create_dir_all(&data_dir)?;
        let address_file = data_dir.join("berth.addr");
        let _ = fs::remove_file(&address_file);
        let listen = self.address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let log = OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = command(&self.program, &self.variables);
        command.arg("serve").args(&self.arguments).arg("--data-dir").arg(&data_dir).arg("--listen").arg(&listen);
        command.env("FAILPOINTS_FILE", self.folder.join(FAILPOINTS));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().with_context(|| format!("can't start {}", self.program.display()))?);
        let began = Instant::now();
        loop {
            if let Some(address) = fs::read_to_string(&address_file).ok().and_then(|text| text.trim().parse().ok()) {
                self.address = Some(address);
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                self.child = None;
                bail!("{} ended with {status} before it was ready\n{}", self.name, tail(&self.log()));
            }
            if began.elapsed() > START_WITHIN {
                self.kill()?;
                bail!("{} was not ready within {START_WITHIN:?}\n{}", self.name, tail(&self.log()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Arms steps of the sabotaged program while it runs (`step=action;step=action`); answers when that is done, or when it has ended.
    pub async fn arm(&mut self, steps: &str) -> anyhow::Result<()> {
        let (file, draft) = (self.folder.join(FAILPOINTS), self.folder.join("failpoints.draft"));
        fs::write(&draft, steps)?;
        fs::rename(&draft, &file)?;
        let asked = Instant::now();
        while file.exists() && !self.has_ended()? {
            ensure!(asked.elapsed() < START_WITHIN, "{} takes no failpoints: is it the sabotaged program?", self.name);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let _ = fs::remove_file(&file);
        Ok(())
    }

    /// Runs another command of the same program, with the same settings, to its end.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = command(&self.program, &self.variables);
        ended(command.args(arguments).arg("--data-dir").arg(self.data_dir()))
    }

    /// Sends it a signal: `HUP`, `USR1`, ...
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let Some(id) = self.id() else { return Ok(()) };
        ensure!(signal(name, id)?, "SIG{name} did not reach {}", self.name);
        Ok(())
    }
}

/// Sends a signal (`STOP`, `CONT`, ...); `false`: the process has ended.
pub(crate) fn signal(name: &str, id: u32) -> std::io::Result<bool> {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).stderr(Stdio::null()).status()?;
    Ok(sent.success())
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
        if std::thread::panicking() || std::env::var_os("BERTH_KEEP_LOGS").is_some() {
            let kept = std::env::temp_dir().join(format!("berth-test-{}-{}.log", std::process::id(), self.name));
            let _ = fs::copy(self.log_file(), &kept);
        }
    }
}

/// Where a single process keeps its data inside the directory of a test.
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

/// Runs the program with these settings alone, to its end.
pub fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Output> {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ended(command(&program()?, &variables).args(arguments))
}

/// Waits for the end of a command. One that goes on instead, as a process that serves does, is killed: that is no good end.
fn ended(command: &mut Command) -> anyhow::Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (id, (done, is_done)) = (child.id(), mpsc::channel::<()>());
    let guard = thread::spawn(move || {
        let late = is_done.recv_timeout(START_WITHIN) == Err(mpsc::RecvTimeoutError::Timeout);
        late && signal("KILL", id).is_ok()
    });
    let output = child.wait_with_output()?;
    drop(done);
    let was_killed = guard.join().unwrap_or(true);
    ensure!(!was_killed, "the command did not end within {START_WITHIN:?}:\n{}", tail(&said(&output)));
    Ok(output)
}

/// All that a command has written.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A command that sees none of the caller's own settings of Berth.
fn command(program: &Path, variables: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BERTH_")) {
        command.env_remove(name);
    }
    command.env_remove("FAILPOINTS").envs(variables.iter().cloned());
    command
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
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
