//! Clients that keep to no rules: bytes on a TCP connection.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

pub struct Raw(pub TcpStream);

/// How a connection ended.
#[derive(Debug)]
pub struct End {
    pub after: Duration,
    pub heard: String,
}

impl Raw {
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("a connection"))
    }

    /// From this address, with a small buffer for what is not read.
    pub async fn from(ip: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
        socket.bind((ip, 0).into()).expect("an address");
        Self(socket.connect(address).await.expect("a connection"))
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sent");
    }

    /// Asks for a WebSocket, and waits for the answer's head.
    pub async fn upgrade(&mut self, protocol: &str) {
        let request = format!(
            "GET /graphql HTTP/1.1\r\nhost: berth\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: {protocol}\r\n\r\n"
        );
        self.send(request.as_bytes()).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("a head"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    }

    /// Sends a short text frame.
    pub async fn text(&mut self, text: &str) {
        let length = u8::try_from(text.len()).expect("a short text");
        assert!(length < 126, "a short text");
        // The mask is zero, so the text stands as it is.
        let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.send(&frame).await;
    }

    /// Reads until the other side ends the connection; `None`: it did not.
    pub async fn end(mut self, within: Duration) -> Option<End> {
        let started = Instant::now();
        let mut heard = Vec::new();
        let read = async {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = self.0.read(&mut buffer).await {
                heard.extend_from_slice(&buffer[..count]);
            }
        };
        tokio::time::timeout(within, read).await.ok()?;
        Some(End { after: started.elapsed(), heard: String::from_utf8_lossy(&heard).into_owned() })
    }
}
