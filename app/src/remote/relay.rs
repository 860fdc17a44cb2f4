//! The relay for live feeds: the embedded router opens a WebSocket here with a secret of this process; the relay opens one
//! to a replica of the subgraph, with a credential of its own, and passes messages on in both directions. When the replica
//! goes away, the operations end with an error that says so. What an event names of other subgraphs the embedded router fetches
//! here as well: on the path of subscriptions it asks no hook.

use std::{collections::BTreeSet, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use berth_kernel::{
    metrics::PeerCall,
    peer::{Line, Replica, bundle::Bundler},
    service::{REFUSED_HEADER, SERVICE_HEADER},
};
use berth_router::SubgraphCall;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{self, client::IntoClientRequest},
};
use tokio_util::sync::CancellationToken;

use super::{Remote, way};

const PROTOCOL: &str = "graphql-transport-ws";
/// How long either side may take to introduce itself.
const INIT_WAIT: Duration = Duration::from_secs(10);
/// How long a replica may take to accept a connection and to acknowledge.
const DIAL_WAIT: Duration = Duration::from_secs(2);
/// A replica is asked this often whether it is still there, and given up when it says nothing for longer.
const PING_EVERY: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(25);
/// What travels on in `connection_init`, beside the credential.
const PASSED_ON: [&str; 3] = ["authorization", "x-request-id", "traceparent"];

type Upstream = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Downstream = SplitSink<WebSocket, Message>;

#[derive(Clone)]
struct Relay {
    ways: Arc<[Bundler]>,
    secret: Arc<str>,
}

/// Opens the relay on a free port of the loopback interface.
pub(super) async fn serve(ways: Arc<[Bundler]>, secret: Arc<str>, cancel: CancellationToken) -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let routes = Router::new().route("/{service}/graphql", get(accept).post(fetch)).with_state(Relay { ways, secret });
    let serving = axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), routes);
    tokio::spawn(async move { serving.with_graceful_shutdown(cancel.cancelled_owned()).await });
    Ok(address)
}

async fn accept(State(relay): State<Relay>, Path(service): Path<String>, upgrade: WebSocketUpgrade) -> Response {
    let Some(way) = way(&relay.ways, &service).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    upgrade.protocols([PROTOCOL]).on_upgrade(move |socket| talk(way.line().clone(), relay.secret, socket))
}

/// A part of an event that another subgraph has.
async fn fetch(State(relay): State<Relay>, Path(service): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(way) = way(&relay.ways, &service).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !headers.get(SERVICE_HEADER).is_some_and(|given| knows(given.as_bytes(), &relay.secret)) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let answer = Remote(way).execute(headers, body).await;
    ([(CONTENT_TYPE, "application/json")], answer).into_response()
}

fn knows(given: &[u8], secret: &str) -> bool {
    bool::from(given.ct_eq(secret.as_bytes()))
}

async fn talk(line: Line, secret: Arc<str>, socket: WebSocket) {
    let (mut down, mut from_router) = socket.split();
    let first = tokio::time::timeout(INIT_WAIT, next_text(&mut from_router)).await.ok().flatten();
    let Some(sent) = first.and_then(|text| introduction(&text, &secret)) else {
        return close(&mut down, 4403, "FORBIDDEN").await;
    };
    match dial(&line, &sent).await {
        Some(upstream) => pipe(upstream, down, from_router).await,
        None => refuse(down, from_router).await,
    }
}

/// What a `connection_init` with the right secret brings that travels on.
fn introduction(text: &str, secret: &str) -> Option<Map<String, Value>> {
    #[derive(Deserialize)]
    struct Init {
        #[serde(rename = "type")]
        kind: String,
        payload: Map<String, Value>,
    }
    let Init { kind, mut payload } = serde_json::from_str(text).ok()?;
    let given = payload.remove(SERVICE_HEADER)?;
    let known = knows(given.as_str()?.as_bytes(), secret);
    payload.retain(|name, _| PASSED_ON.contains(&name.as_str()));
    (known && kind == "connection_init").then_some(payload)
}

/// A connection to the first replica that can be reached.
async fn dial(line: &Line, introduction: &Map<String, Value>) -> Option<Upstream> {
    let counted = PeerCall::to(line.replicas().service());
    for replica in line.replicas().in_turn() {
        let dialled = tokio::time::timeout(DIAL_WAIT, connect(line, replica, introduction)).await;
        match dialled {
            Ok(Ok(upstream)) => {
                replica.answered();
                counted.ended("ok");
                return Some(upstream);
            }
            Ok(Err(tungstenite::Error::Http(answer))) if answer.headers().contains_key(REFUSED_HEADER) => {
                line.locked_out(replica);
            }
            _ => replica.failed(),
        }
    }
    counted.ended("failed");
    tracing::error!(peer.service = line.replicas().service(), "subgraph.subscribe.failed");
    None
}

async fn connect(line: &Line, replica: &Replica, introduction: &Map<String, Value>) -> Result<Upstream, tungstenite::Error> {
    let base = replica.base().replacen("http", "ws", 1);
    let mut request = format!("{base}/graphql").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static(PROTOCOL));
    if let Ok(credential) = http::HeaderValue::from_str(&line.credential()) {
        request.headers_mut().insert(SERVICE_HEADER, credential);
    }
    let (mut upstream, _) = connect_async_with_config(request, None, true).await?;
    let payload = introduction;
    upstream.send(tungstenite::Message::text(json!({ "type": "connection_init", "payload": payload }).to_string())).await?;
    Ok(upstream)
}

/// Passes messages on until one side ends. Each direction waits for the slower side.
async fn pipe(upstream: Upstream, mut down: Downstream, mut from_router: SplitStream<WebSocket>) {
    let (mut up, mut from_replica) = upstream.split();
    let mut operations = BTreeSet::new();
    let upward = async {
        loop {
            let message = match tokio::time::timeout(PING_EVERY, next_text(&mut from_router)).await {
                Ok(Some(text)) => {
                    note(&text, &mut operations);
                    tungstenite::Message::text(text)
                }
                Ok(None) => break,
                Err(_) => tungstenite::Message::Ping(Bytes::new()),
            };
            if up.send(message).await.is_err() {
                // The other direction learns why.
                std::future::pending::<()>().await;
            }
        }
        let _gone = up.close().await;
    };
    let downward = async {
        while let Ok(Some(Ok(message))) = tokio::time::timeout(SILENCE, from_replica.next()).await {
            let message = match message {
                tungstenite::Message::Text(text) => Bytes::from(text).try_into().map(Message::Text).ok(),
                tungstenite::Message::Close(Some(frame)) if refusal(frame.code.into()) => {
                    close(&mut down, frame.code.into(), frame.reason.as_str()).await;
                    return false;
                }
                tungstenite::Message::Close(_) => return true,
                _ => None,
            };
            if let Some(message) = message
                && down.send(message).await.is_err()
            {
                return false;
            }
        }
        true
    };
    let lost = tokio::select! {
        () = upward => false,
        lost = downward => lost,
    };
    if lost {
        end(&mut down, &operations, "SERVICE_RESTARTING", "The service is restarting. Subscribe again.").await;
    }
}

/// Codes of the protocol itself, such as 4403: the replica is well, it does not like what it hears.
fn refusal(code: u16) -> bool {
    (4400..4500).contains(&code)
}

/// Nobody can be reached: whoever subscribes hears so.
async fn refuse(mut down: Downstream, mut from_router: SplitStream<WebSocket>) {
    let mut operations = BTreeSet::new();
    if down.send(Message::text(r#"{"type":"connection_ack"}"#)).await.is_err() {
        return;
    }
    let subscribed = async {
        while operations.is_empty() {
            let Some(text) = next_text(&mut from_router).await else { return };
            note(&text, &mut operations);
        }
    };
    let _silent = tokio::time::timeout(INIT_WAIT, subscribed).await;
    end(&mut down, &operations, "SERVICE_UNAVAILABLE", "A part of the service does not answer. Try again soon.").await;
}

async fn next_text(socket: &mut SplitStream<WebSocket>) -> Option<String> {
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => return Some(text.as_str().to_owned()),
            Message::Close(_) => return None,
            _ => {}
        }
    }
    None
}

/// Remembers which operations run.
fn note(text: &str, operations: &mut BTreeSet<String>) {
    #[derive(Deserialize)]
    struct Heard {
        #[serde(rename = "type")]
        kind: String,
        id: Option<String>,
    }
    if let Ok(Heard { kind, id: Some(id) }) = serde_json::from_str(text) {
        match kind.as_str() {
            "subscribe" => drop(operations.insert(id)),
            "complete" => drop(operations.remove(&id)),
            _ => {}
        }
    }
}

/// Ends the operations with an error that may be repeated, and the socket with 1001.
async fn end(down: &mut Downstream, operations: &BTreeSet<String>, code: &str, message: &str) {
    for id in operations {
        let error = json!({ "message": message, "extensions": { "code": code, "retryable": true } });
        let ended = json!({ "id": id, "type": "error", "payload": [error] });
        if down.send(Message::text(ended.to_string())).await.is_err() {
            return;
        }
    }
    close(down, 1001, code).await;
}

async fn close(down: &mut Downstream, code: u16, reason: &str) {
    let frame = CloseFrame { code, reason: reason.to_owned().into() };
    let _gone = down.send(Message::Close(Some(frame))).await;
}
