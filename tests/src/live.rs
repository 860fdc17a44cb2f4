//! Subscriptions: over WebSocket (graphql-transport-ws), SSE (graphql-sse, distinct connections) and Apollo's multipart.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use reqwest::header;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::client::Client;

/// How a subscription travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// graphql-transport-ws.
    WebSocket,
    /// graphql-sse.
    Sse,
    /// Apollo's multipart/mixed.
    Multipart,
}

impl Transport {
    /// Takes turns.
    pub fn nth(number: usize) -> Self {
        [Self::WebSocket, Self::Sse, Self::Multipart][number % 3]
    }
}

/// What a subscription sends, in order; ends when the stream ends. Dropping it ends the stream.
pub struct Feed {
    events: mpsc::UnboundedReceiver<Value>,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// Subscribes.
    pub async fn open(client: &Client, transport: Transport, document: &str, variables: Value) -> anyhow::Result<Self> {
        match transport {
            Transport::WebSocket => Self::web_socket(client, document, variables).await,
            Transport::Sse => Self::http(client, "text/event-stream", document, &variables, sse_event).await,
            Transport::Multipart => {
                Self::http(
                    client,
                    "multipart/mixed;subscriptionSpec=\"1.0\", application/json",
                    document,
                    &variables,
                    multipart_event,
                )
                .await
            }
        }
    }

    /// The next execution result; `None` when the stream has ended.
    pub async fn next(&mut self, within: Duration) -> anyhow::Result<Option<Value>> {
        tokio::time::timeout(within, self.events.recv()).await.with_context(|| format!("no event within {within:?}"))
    }

    /// The data of a field of the next result; an error in it is an error.
    pub async fn next_of(&mut self, field: &str, within: Duration) -> anyhow::Result<Value> {
        let mut result = self.next(within).await?.context("the stream has ended")?;
        let data = result["data"][field].take();
        anyhow::ensure!(!data.is_null(), "no {field} in {result}");
        Ok(data)
    }

    /// What has already come; an error when the stream has ended.
    pub fn try_next(&mut self) -> anyhow::Result<Option<Value>> {
        match self.events.try_recv() {
            Ok(result) => Ok(Some(result)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => bail!("the stream has ended"),
        }
    }

    async fn web_socket(client: &Client, document: &str, variables: Value) -> anyhow::Result<Self> {
        let mut socket = Socket::open(client.url(), client.token()).await?;
        socket.send(&json!({ "id": "1", "type": "subscribe", "payload": { "query": document, "variables": variables } })).await?;
        let (sender, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok(Some(message)) = socket.receive().await {
                let payload = match message["type"].as_str() {
                    Some("next") => message["payload"].clone(),
                    Some("error") => json!({ "errors": message["payload"] }),
                    _ => return,
                };
                if sender.send(payload).is_err() || message["type"] == "error" {
                    return;
                }
            }
        });
        Ok(Self { events, task })
    }

    async fn http(
        client: &Client,
        accept: &str,
        document: &str,
        variables: &Value,
        read: fn(&mut Vec<u8>) -> Option<Piece>,
    ) -> anyhow::Result<Self> {
        let response = client.stream(accept, document, variables).send().await?;
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let expected = accept.split(';').next().unwrap_or_default();
        if !kind.starts_with(expected) {
            bail!("no stream: HTTP {} {kind} {}", response.status(), response.text().await?);
        }
        let (sender, events) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut chunks = response.bytes_stream();
            let mut buffer = Vec::new();
            while let Some(Ok(chunk)) = chunks.next().await {
                buffer.extend_from_slice(&chunk);
                while let Some(piece) = read(&mut buffer) {
                    match piece {
                        Piece::Beat => {}
                        Piece::End => return,
                        Piece::Result(value) => {
                            if sender.send(value).is_err() {
                                return;
                            }
                        }
                    }
                }
            }
        });
        Ok(Self { events, task })
    }
}

/// A complete piece of an HTTP stream.
enum Piece {
    Result(Value),
    Beat,
    End,
}

fn cut(buffer: &mut Vec<u8>, end: &[u8]) -> Option<String> {
    let at = buffer.windows(end.len()).position(|window| window == end)?;
    let piece = String::from_utf8_lossy(&buffer[..at]).into_owned();
    buffer.drain(..at + end.len());
    Some(piece)
}

fn sse_event(buffer: &mut Vec<u8>) -> Option<Piece> {
    let text = cut(buffer, b"\n\n")?;
    let (mut kind, mut data) = (String::new(), String::new());
    for line in text.lines() {
        match line.split_once(':') {
            Some(("event", value)) => value.trim().clone_into(&mut kind),
            Some(("data", value)) => data.push_str(value.trim_start()),
            _ => {}
        }
    }
    Some(match (kind.as_str(), serde_json::from_str(&data)) {
        ("next", Ok(value)) => Piece::Result(value),
        ("complete", _) => Piece::End,
        _ => Piece::Beat,
    })
}

fn multipart_event(buffer: &mut Vec<u8>) -> Option<Piece> {
    // The first boundary opens the stream; each later one ends a part.
    let text = cut(buffer, b"\r\n--graphql")?;
    let Some((_, body)) = text.split_once("\r\n\r\n") else { return Some(Piece::Beat) };
    let value: Value = serde_json::from_str(body.trim()).unwrap_or(Value::Null);
    Some(match (value.get("payload"), value.get("errors")) {
        (Some(payload), _) if payload.is_object() => Piece::Result(payload.clone()),
        (_, Some(errors)) => Piece::Result(json!({ "errors": errors })),
        _ if buffer.starts_with(b"--") => Piece::End,
        _ => Piece::Beat,
    })
}

/// A WebSocket that speaks graphql-transport-ws.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Connects and introduces itself.
    pub async fn open(url: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let mut socket = Self::connect(url).await?;
        let payload = token.map_or_else(|| json!({}), |token| json!({ "Authorization": format!("Bearer {token}") }));
        socket.send(&json!({ "type": "connection_init", "payload": payload })).await?;
        match socket.receive().await? {
            Some(message) if message["type"] == "connection_ack" => Ok(socket),
            other => bail!("no acknowledgement: {other:?}"),
        }
    }

    /// Connects only.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let mut request = format!("{}/graphql", url.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let (stream, _) = connect_async(request).await?;
        Ok(Self { stream })
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::text(message.to_string())).await?)
    }

    /// The next message; `None` when the socket was closed. Pings of the protocol are answered.
    pub async fn receive(&mut self) -> anyhow::Result<Option<Value>> {
        while let Some(message) = self.stream.next().await {
            match message? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(text.as_str())?;
                    if message["type"] == "ping" {
                        self.send(&json!({ "type": "pong" })).await?;
                    } else {
                        return Ok(Some(message));
                    }
                }
                Message::Close(_) => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The code with which the other side closes the socket.
    pub async fn closed(&mut self, within: Duration) -> anyhow::Result<Option<u16>> {
        let wait = async {
            while let Some(message) = self.stream.next().await {
                if let Message::Close(frame) = message? {
                    return Ok(frame.map(|frame| frame.code.into()));
                }
            }
            Ok(None)
        };
        tokio::time::timeout(within, wait).await.context("the socket stays open")?
    }
}
