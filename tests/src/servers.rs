//! What a fleet stands on: a PostgreSQL database of its own on the server of `BERTH_TEST_POSTGRES_URL`, and a Redis of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use reqwest::Url;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use tokio::net::TcpStream;

use crate::person::next_number;

/// A PostgreSQL database, dropped with everything in it at the end.
pub struct Database {
    server: Url,
    name: String,
}

impl Database {
    /// Creates an empty one.
    pub async fn create() -> anyhow::Result<Self> {
        let server = std::env::var("BERTH_TEST_POSTGRES_URL")
            .context("the fleet needs a PostgreSQL: run ./tests/run, or name one in BERTH_TEST_POSTGRES_URL")?;
        Self::create_on(Url::parse(&server)?).await
    }

    /// Creates an empty one on this server.
    pub async fn create_on(server: Url) -> anyhow::Result<Self> {
        let name = format!("berth_test_{}_{}", std::process::id(), next_number());
        let database = Self { server, name };
        database.ask_server(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name)).await?;
        database.ask_server(&format!("CREATE DATABASE {}", database.name)).await?;
        Ok(database)
    }

    /// Where the server is.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        let found = self.server.socket_addrs(|| Some(5432))?;
        found.into_iter().next().context("BERTH_TEST_POSTGRES_URL names no host")
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.to_string()
    }

    /// Its URL with another host beside the server's, as for a standby.
    pub fn url_beside(&self, other: SocketAddr) -> anyhow::Result<String> {
        let (own, url) = (self.address()?, self.url());
        let hosts = format!("{own},{other}");
        Ok(format!("{}?target_session_attrs=read-write", url.replacen(&own.to_string(), &hosts, 1)))
    }

    /// Its URL behind a proxy.
    pub fn url_at(&self, address: SocketAddr) -> anyhow::Result<String> {
        let mut url = Url::parse(&self.url())?;
        url.set_ip_host(address.ip()).ok().context("no host in the URL")?;
        url.set_port(Some(address.port())).ok().context("no port in the URL")?;
        Ok(url.to_string())
    }

    /// Ends every connection to it at once, as an administrator would. Answers how many there were.
    pub async fn terminate_connections(&self) -> anyhow::Result<u64> {
        let text = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
            self.name
        );
        self.ask_server(&text).await
    }

    async fn ask_server(&self, text: &str) -> anyhow::Result<u64> {
        ask(self.server.as_str(), text).await
    }
}

pub(crate) async fn ask(url: &str, text: &str) -> anyhow::Result<u64> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let server: DatabaseConnection = sea_orm::Database::connect(options).await?;
    let done = server.execute_unprepared(text).await.with_context(|| text.to_owned())?;
    server.close().await?;
    Ok(done.rows_affected())
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, text) = (self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // A runtime can't wait for another one in its own threads.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(ask(server.as_str(), &text))
        });
        let _ = dropped.join();
    }
}

/// The program of a Redis, where one is installed.
pub(crate) fn redis_program() -> Option<PathBuf> {
    let paths: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let candidates = ["redis-server", "valkey-server"];
    candidates.iter().flat_map(|name| paths.iter().map(move |path| path.join(name))).find(|path| path.is_file())
}

/// A Redis on a port of its own, killed at the end. Where no program of it is installed: a database of its own on the server of
/// `BERTH_TEST_REDIS_URL`, which can't be killed.
pub struct Redis {
    program: Option<PathBuf>,
    shared: Option<Url>,
    address: SocketAddr,
    folder: PathBuf,
    child: Option<Child>,
}

impl Redis {
    /// One that is not started yet.
    pub fn new(address: SocketAddr, folder: &Path) -> anyhow::Result<Self> {
        let program = redis_program();
        let shared = std::env::var("BERTH_TEST_REDIS_URL").ok().filter(|_| program.is_none());
        ensure!(program.is_some() || shared.is_some(), "the fleet needs a redis-server on the PATH: ./tests/run brings one");
        let shared = shared.map(|url| Url::parse(&url)).transpose()?;
        Ok(Self { program, shared, address, folder: folder.to_owned(), child: None })
    }

    /// Where it is.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        let Some(shared) = &self.shared else { return Ok(self.address) };
        shared.socket_addrs(|| Some(6379))?.into_iter().next().context("BERTH_TEST_REDIS_URL names no host")
    }

    /// Its URL, or that of a proxy before it.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let own = if self.shared.is_some() { self.address.port() / 16 % 16 } else { 0 };
        format!("redis://{address}/{own}")
    }

    /// The URL of a Redis that never was.
    pub fn dead_url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Starts it, empty.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let Some(program) = &self.program else { return self.flush_all().await };
        let mut command = Command::new(program);
        command.arg("--port").arg(self.address.port().to_string()).arg("--bind").arg("127.0.0.1").arg("--dir").arg(&self.folder);
        command.args(["--save", "", "--appendonly", "no"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn()?);
        let address = self.address;
        crate::eventually("Redis", Duration::from_secs(10), || async move { Ok(TcpStream::connect(address).await.ok()) })
            .await
            .map(|_| ())
    }

    /// SIGKILL: all that was in it is gone.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        ensure!(self.program.is_some(), "a shared Redis can't be killed: put a redis-server on the PATH");
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Forgets everything, and goes on.
    pub async fn flush_all(&self) -> anyhow::Result<()> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(self.address()?).await?;
        let own = self.address.port() / 16 % 16 * u16::from(self.shared.is_some());
        stream.write_all(format!("SELECT {own}\r\nFLUSHDB\r\n").as_bytes()).await?;
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).await?;
        ensure!(&answer == b"+OK\r\n+OK\r\n", "FLUSHDB answers {:?}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
