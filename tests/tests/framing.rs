//! Where a request ends: bytes that a proxy and the front door could read in two ways, sent as they are. In each attack a second
//! request hides behind the first; an answer to it means that it was smuggled.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a test may stop at the first surprise")]

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;
use berth_tests::{in_one_process, process::Arm};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

in_one_process!(nothing_is_smuggled, a_request_is_answered_whatever_it_wants_to_become);

const HIDDEN: &str = "GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
const QUERY: &str = r#"{"query":"{__typename}"}"#;
const POST: &str = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
const SOCKET: &str = "GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n";
const PATIENCE: Duration = Duration::from_secs(3);

/// All that is answered to these bytes, and whether the connection was closed afterwards.
async fn told(address: SocketAddr, bytes: &str) -> anyhow::Result<(String, bool)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(bytes.as_bytes()).await?;
    let mut text = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut text)).await.is_ok();
    Ok((String::from_utf8_lossy(&text).into_owned(), closed))
}

/// The statuses of it.
async fn answers(address: SocketAddr, bytes: &str) -> anyhow::Result<(Vec<u16>, bool)> {
    let (text, closed) = told(address, bytes).await?;
    let status = |part: &str| part.get(..3).and_then(|digits| digits.parse().ok());
    Ok((text.split("HTTP/1.1 ").skip(1).filter_map(status).collect(), closed))
}

async fn nothing_is_smuggled(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let address = berth.address()?;
    let (statuses, closed) = answers(address, &format!("{POST}Content-Length: 24\r\n\r\n{QUERY}{HIDDEN}")).await?;
    ensure!(statuses == [200, 200] && !closed, "two plain requests on one connection: {statuses:?}");
    let body = |headers: &str, body: &str| format!("{POST}{headers}\r\n\r\n{body}{HIDDEN}");
    let chunked = |size: &str| body("Transfer-Encoding: chunked", &format!("{size}\r\n{QUERY}\r\n0\r\n\r\n"));
    let attacks = [
        ("a length and chunks", body("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
        ("chunks and a length", body("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n")),
        ("two lengths", body("Content-Length: 5\r\nContent-Length: 24", QUERY)),
        ("a list of lengths", body("Content-Length: 24, 24", QUERY)),
        ("a signed length", body("Content-Length: +24", QUERY)),
        ("a length over 2^64", body("Content-Length: 18446744073709551640", QUERY)),
        ("a blank before the colon", body("Content-Length : 24", QUERY)),
        ("an unknown coding", body("Transfer-Encoding: xchunked", "0\r\n\r\n")),
        ("a coding after chunks", body("Transfer-Encoding: chunked, identity", "0\r\n\r\n")),
        ("no coding, said so", body("Transfer-Encoding: identity", "")),
        ("no coding and a length", body("Transfer-Encoding: identity\r\nContent-Length: 24", QUERY)),
        ("a folded header", body("Transfer-Encoding:\r\n chunked\r\nContent-Length: 24", QUERY)),
        ("a folded value", body("X-A: b\r\n c\r\nContent-Length: 24", QUERY)),
        ("a bare CR", body("X-A: b\rContent-Length: 5\r\nContent-Length: 24", QUERY)),
        ("a bare LF in a chunk", chunked("18;a\nb")),
        ("a blank after a chunk's size", chunked("18 ")),
        ("a chunk's size in C", chunked("0x18")),
        ("a chunk's size over 2^64", chunked("10000000000000018")),
        ("plain chunks", chunked("18")),
        ("an upgrade over a length", body(&format!("Content-Length: {}\r\nUpgrade: websocket", HIDDEN.len()), "")),
        (
            "a packed body, unpacked by nobody",
            body("Content-Encoding: gzip\r\nTransfer-Encoding: chunked", "3\r\n\u{1f}~~\r\n0\r\n\r\n"),
        ),
        ("two hosts", format!("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n{HIDDEN}")),
        ("no host", format!("GET / HTTP/1.1\r\n\r\n{HIDDEN}")),
        ("a tunnel", format!("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n{HIDDEN}")),
    ];
    let sent = attacks.iter().map(|(_, bytes)| answers(address, bytes));
    for ((name, _), found) in attacks.iter().zip(futures_util::future::join_all(sent).await) {
        let (statuses, closed) = found?;
        let hidden = statuses.get(1).copied();
        ensure!(statuses.first().is_some_and(|status| *status < 500), "{name}: {statuses:?}");
        ensure!(hidden.is_none_or(|status| status == 400), "{name}: the hidden request was answered: {statuses:?}");
        ensure!(closed, "{name}: the connection is still open after {statuses:?}");
    }
    berth.assert_alive()
}

/// Who offers another protocol gets the answer in this one, at once.
async fn a_request_is_answered_whatever_it_wants_to_become(arm: Arm) -> anyhow::Result<()> {
    let mut berth = arm.start().await?;
    let address = berth.address()?;
    let wanted =
        ["Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Upgrade: websocket"];
    for upgrade in wanted {
        let (statuses, _) = answers(address, &format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\r\n")).await?;
        ensure!(statuses == [200], "{upgrade}: {statuses:?}");
    }
    let (statuses, _) = answers(address, &format!("{POST}Upgrade: websocket\r\n\r\n")).await?;
    ensure!(statuses == [400], "a socket is opened by GET: {statuses:?}");
    // Nothing that a client sends is unpacked: few bytes stay few.
    let (text, _) = told(address, &format!("{SOCKET}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")).await?;
    ensure!(text.starts_with("HTTP/1.1 101") && !text.to_lowercase().contains("deflate"), "{text}");
    berth.assert_alive()
}
