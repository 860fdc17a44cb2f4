//! `berth health`: asks the serving process of this data directory whether it is ready. A container without a shell has no
//! other program that could.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, bail};

use crate::{config::Config, listeners::reachable, text_file};

const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than any answer of `/readyz`.
const ANSWER_BYTES: u64 = 16 * 1024;

/// Prints what `/readyz` says; fails unless that is 200.
#[expect(clippy::print_stdout, reason = "the line is the command's answer")]
pub fn run(config: &Config, address: Option<SocketAddr>) -> anyhow::Result<()> {
    let address = reachable(address.map_or_else(|| noted(config), Ok)?);
    let answer = ask(address).with_context(|| format!("{address} does not answer"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    if head.split_whitespace().nth(1) != Some("200") {
        bail!("{address} is not ready: {}", body.trim());
    }
    println!("{}", body.trim());
    Ok(())
}

/// What a Berth at an address says of itself: `ready`, `degraded` or `unready`.
pub fn status(address: SocketAddr) -> anyhow::Result<String> {
    let answer = ask(reachable(address)).with_context(|| format!("{address} does not answer"))?;
    let (_, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let body: serde_json::Value = serde_json::from_str(body.trim()).context("the answer is not JSON")?;
    body["status"].as_str().map(str::to_owned).context("the answer tells no status")
}

/// The address that the process wrote down when it was ready.
fn noted(config: &Config) -> anyhow::Result<SocketAddr> {
    let file = config.file("berth.addr");
    let text = text_file::read(&file).with_context(|| format!("nothing serves here yet: {}", file.display()))?;
    text.trim().parse().with_context(|| format!("{} holds no address", file.display()))
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer ends with the connection, and is not in chunks.
    write!(stream, "GET /readyz HTTP/1.0\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
