//! One HTTP/1.1 connection that sends prepared bytes and reads answers of known length.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A request, ready to be sent as it is.
#[derive(Debug, Clone)]
pub struct Prepared(Vec<u8>);

impl Prepared {
    /// A `POST /graphql`.
    pub fn graphql(token: Option<&str>, accept: &str, query: &str, variables: &Value) -> Self {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let signed = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
        let length = body.len();
        Self(
            format!(
                "POST /graphql HTTP/1.1\r\nhost: berth\r\naccept: {accept}\r\ncontent-type: application/json\r\n{signed}content-length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }

    /// A `GET` of this path.
    pub fn get(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: berth\r\nconnection: close\r\n\r\n").into_bytes())
    }

    /// The same as a proxy sends it that saw this address.
    #[must_use]
    pub fn forwarded(mut self, address: &str) -> Self {
        let line = self.0.windows(2).position(|end| end == b"\r\n").map_or(0, |end| end + 2);
        self.0.splice(line..line, format!("x-forwarded-for: {address}\r\n").into_bytes());
        self
    }
}

/// A keep-alive connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the body of the newest answer stands in the buffer.
    body: std::ops::Range<usize>,
}

impl Wire {
    /// Connects.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024), body: 0..0 })
    }

    /// Sends a request and reads the whole answer. Answers its HTTP status.
    pub async fn ask(&mut self, request: &Prepared) -> anyhow::Result<u16> {
        self.buffer.clear();
        self.stream.write_all(&request.0).await?;
        let (status, start, length) = loop {
            self.fill().await?;
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < start + length {
            self.fill().await?;
        }
        self.body = start..start + length;
        Ok(status)
    }

    /// The body of the newest answer.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => bail!("the connection was closed"),
            _ => Ok(()),
        }
    }

    /// Sends a request whose answer never ends, and hands the stream over.
    pub async fn listen(mut self, request: &Prepared) -> anyhow::Result<TcpStream> {
        self.stream.write_all(&request.0).await?;
        Ok(self.stream)
    }
}

/// Status, begin of the body and its length, once the head is complete.
fn head(buffer: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(end) = find(buffer, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&buffer[..end])?;
    let status = text.get(9..12).and_then(|digits| digits.parse().ok()).with_context(|| format!("no status: {text}"))?;
    let mut lines = text.split("\r\n");
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok(Some((status, end + 4, length.with_context(|| format!("an answer of unknown length: {text}"))?)))
}

/// Where a text stands in bytes.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(head(bytes).expect("readable"), Some((200, bytes.len() - 2, 2)));
        assert_eq!(head(&bytes[..20]).expect("readable"), None);
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
