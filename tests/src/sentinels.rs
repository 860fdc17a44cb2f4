//! Redis servers with settings of a test's own: with TLS, as a replica, or as the sentinels that watch a master.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use tokio::net::TcpStream;

use crate::{certificates::Certificate, eventually, servers::redis_program};

/// The name by which the sentinels know the master.
pub const MASTER: &str = "berth";
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// One process of Redis, killed when dropped.
pub struct RedisProcess {
    /// Where it listens.
    pub address: SocketAddr,
    child: Option<Child>,
}

impl RedisProcess {
    /// A server that speaks TLS only.
    pub async fn with_tls(folder: &Path, files: &Certificate) -> anyhow::Result<Self> {
        let (certificate, key) = (files.certificate.display().to_string(), files.key.display().to_string());
        let address = free_address()?;
        let port = address.port().to_string();
        let tls = ["--port", "0", "--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let rest = ["--tls-ca-cert-file", &certificate, "--tls-auth-clients", "no"];
        Self::start(folder, address, &[&tls[..], &rest].concat()).await
    }

    /// A master, or a replica of one.
    pub async fn server(folder: &Path, master: Option<SocketAddr>) -> anyhow::Result<Self> {
        let address = free_address()?;
        let (port, of) =
            (address.port().to_string(), master.map_or_else(String::new, |master| format!("127.0.0.1 {}", master.port())));
        let mut arguments = vec!["--port", &port, "--repl-diskless-sync-delay", "0"];
        if master.is_some() {
            arguments.extend(["--replicaof", &of]);
        }
        Self::start(folder, address, &arguments).await
    }

    /// A sentinel of three, two of whom must agree.
    pub async fn sentinel(folder: &Path, master: SocketAddr) -> anyhow::Result<Self> {
        let address = free_address()?;
        let file = folder.join(format!("sentinel-{}.conf", address.port()));
        let settings = format!(
            "port {}\nbind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {MASTER} 1000\n\
             sentinel failover-timeout {MASTER} 4000\n",
            address.port(),
            master.port()
        );
        fs::write(&file, settings)?;
        Self::start(folder, address, &[file.display().to_string().as_str(), "--sentinel"]).await
    }

    async fn start(folder: &Path, address: SocketAddr, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(redis_program().context("a redis-server on the PATH: ./tests/run brings one")?);
        command.args(arguments);
        if !arguments.contains(&"--sentinel") {
            command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
            command.arg("--dbfilename").arg(format!("{}.rdb", address.port()));
        }
        command.arg("--dir").arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        let started = Self { address, child: Some(child) };
        eventually("Redis", STARTS_WITHIN, || async move { Ok(TcpStream::connect(address).await.ok()) }).await?;
        Ok(started)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A port that was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
