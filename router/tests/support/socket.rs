//! A client of `graphql-transport-ws`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::Rig;

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What came next on a socket.
#[derive(Debug, PartialEq)]
pub enum Received {
    Message(Value),
    Closed(u16),
    Nothing,
}

impl Socket {
    pub async fn open(rig: &Rig) -> Self {
        let mut request = format!("ws://{}/graphql", rig.router.address()).into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
        Self(connect_async(request).await.expect("a socket").0)
    }

    /// A socket that has introduced itself.
    pub async fn ready(rig: &Rig, token: Option<&str>) -> Self {
        let mut socket = Self::open(rig).await;
        socket.init(token).await;
        assert_eq!(socket.next().await, Received::Message(json!({ "type": "connection_ack" })));
        socket
    }

    pub async fn init(&mut self, token: Option<&str>) {
        let payload = token.map_or(json!({}), |token| json!({ "Authorization": format!("Bearer {token}") }));
        self.send(&json!({ "type": "connection_init", "payload": payload })).await;
    }

    pub async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    pub async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(&json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    pub async fn next(&mut self) -> Received {
        self.next_within(Duration::from_secs(5)).await
    }

    pub async fn next_within(&mut self, limit: Duration) -> Received {
        loop {
            let Ok(message) = tokio::time::timeout(limit, self.0.next()).await else { return Received::Nothing };
            match message {
                Some(Ok(Message::Text(text))) => return Received::Message(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => return Received::Closed(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Received::Closed(1006),
            }
        }
    }

    pub async fn message(&mut self) -> Value {
        match self.next().await {
            Received::Message(message) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }
}
