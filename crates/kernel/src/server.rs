//! The door of a subgraph: one code path for requests from the same process and over HTTP, and WebSocket for subscriptions.
//! Only the router (and a peer service) has the service secret that opens it.

use std::{any::TypeId, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{
    Data, Executor, Request, Response, ServerError,
    http::{WebSocket, WsMessage},
};
use axum::{
    Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket as Socket},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response as HttpResponse},
    routing::post,
};
use futures_util::{FutureExt, SinkExt, StreamExt, stream::BoxStream};
use subtle::ConstantTimeEq;

use crate::auth::{TokenError, TokenVerifier, Viewer};

/// Header that carries the service secret; on a WebSocket the key in the payload of `connection_init` does so as well,
/// because the embedded router sends no headers with its upgrade.
pub const SERVICE_HEADER: &str = "x-berth-service";
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a WebSocket may wait before it says who it is.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts what a request needs (loaders, holding the viewer) into it.
pub type Prepare = Arc<dyn Fn(Request, &Viewer) -> Request + Send + Sync>;

/// A schema behind its door.
#[derive(Clone)]
pub struct Door<E> {
    schema: E,
    prepare: Prepare,
    verifier: TokenVerifier,
    service_secret: Arc<str>,
}

impl<E: Executor> Door<E> {
    /// A door before a schema.
    pub fn new(schema: E, prepare: Prepare, verifier: TokenVerifier, service_secret: &str) -> Self {
        Self { schema, prepare, verifier, service_secret: service_secret.into() }
    }

    /// Runs one request (JSON of query, variables, operationName) for the viewer of `authorization`; answers JSON.
    /// A panic below becomes a masked error.
    pub async fn execute(&self, authorization: Option<&str>, body: &[u8]) -> Vec<u8> {
        let response = match (self.verifier.viewer(authorization), serde_json::from_slice::<Request>(body)) {
            (Err(error), _) => failed(&error.to_string(), error.code()),
            (_, Err(_)) => failed("the body is no GraphQL request", "BAD_REQUEST"),
            (Ok(viewer), Ok(request)) => {
                let prepared = (self.prepare)(request, &viewer).data(viewer);
                AssertUnwindSafe(self.schema.execute(prepared)).catch_unwind().await.unwrap_or_else(|_| masked_panic())
            }
        };
        serde_json::to_vec(&coded(response)).unwrap_or_default()
    }

    /// `POST /graphql`, and `GET /graphql` with an upgrade to WebSocket (graphql-transport-ws).
    pub fn routes(self) -> Router {
        Router::new()
            .route("/graphql", post(answer::<E>).get(upgrade::<E>))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(self)
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        self.knows(headers.get(SERVICE_HEADER).map(HeaderValue::as_bytes).unwrap_or_default())
    }

    fn knows(&self, secret: &[u8]) -> bool {
        secret.ct_eq(self.service_secret.as_bytes()).into()
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}

async fn answer<E: Executor>(State(door): State<Door<E>>, headers: HeaderMap, body: Bytes) -> HttpResponse {
    if !door.admits(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let body = door.execute(authorization(&headers), &body).await;
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn upgrade<E: Executor>(State(door): State<Door<E>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> HttpResponse {
    let admitted = door.admits(&headers);
    let viewer = door.verifier.viewer(authorization(&headers));
    upgrade.protocols(["graphql-transport-ws"]).on_upgrade(move |socket| talk(door, admitted, viewer, socket))
}

async fn talk<E: Executor>(door: Door<E>, admitted: bool, viewer: Result<Viewer, TokenError>, socket: Socket) {
    let (mut sink, stream) = socket.split();
    // Only text carries messages of the protocol: pings and pongs of the socket itself are the transport's.
    let incoming = stream.take_while(|message| std::future::ready(message.is_ok())).filter_map(|message| {
        let text = message.ok().filter(|message| matches!(message, Message::Text(_) | Message::Binary(_)));
        std::future::ready(text.map(Message::into_data))
    });
    let prepared = Prepared { schema: door.schema.clone(), prepare: door.prepare.clone() };
    let initialise = move |payload: serde_json::Value| {
        let text = |key: &str| payload.get(key).and_then(serde_json::Value::as_str);
        let admitted = admitted || text(SERVICE_HEADER).is_some_and(|secret| door.knows(secret.as_bytes()));
        let sent = text("Authorization").or_else(|| text("authorization"));
        let viewer = sent.map_or(viewer, |token| door.verifier.viewer(Some(token)));
        std::future::ready(match viewer {
            _ if !admitted => Err(async_graphql::Error::new("FORBIDDEN")),
            Ok(viewer) => Ok(session(viewer)),
            Err(error) => Err(async_graphql::Error::new(error.code())),
        })
    };
    let protocol = async_graphql::http::WebSocketProtocols::GraphQLWS;
    let mut outgoing = WebSocket::new(prepared, incoming, protocol).on_connection_init(initialise);
    let mut next = tokio::time::timeout(INIT_TIMEOUT, outgoing.next()).await.unwrap_or(None);
    while let Some(message) = next {
        let message = match message {
            WsMessage::Text(text) => Message::text(text),
            WsMessage::Close(code, reason) => Message::Close(Some(CloseFrame { code, reason: reason.into() })),
        };
        if sink.send(message).await.is_err() {
            return;
        }
        next = outgoing.next().await;
    }
}

fn session(viewer: Viewer) -> Data {
    let mut data = Data::default();
    data.insert(viewer);
    data
}

/// A schema whose subscriptions are prepared like its queries.
#[derive(Clone)]
struct Prepared<E> {
    schema: E,
    prepare: Prepare,
}

impl<E> Prepared<E> {
    fn ready(&self, request: Request, session: Option<&Arc<Data>>) -> Request {
        let viewer = session.and_then(|data| data.get(&TypeId::of::<Viewer>())).and_then(|any| any.downcast_ref::<Viewer>());
        (self.prepare)(request, viewer.unwrap_or(&Viewer(None)))
    }
}

impl<E: Executor> Executor for Prepared<E> {
    async fn execute(&self, request: Request) -> Response {
        coded(self.schema.execute(self.ready(request, None)).await)
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let request = self.ready(request, session.as_ref());
        self.schema.execute_stream(request, session).map(coded).boxed()
    }
}

/// Every error has a code: those of async-graphql's own checks have none.
fn coded(mut response: Response) -> Response {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", "BAD_REQUEST");
        }
    }
    response
}

fn failed(message: &str, code: &str) -> Response {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code);
    Response::from_errors(vec![error])
}

fn masked_panic() -> Response {
    tracing::error!("graphql.panic");
    failed("the service can't answer now", "SERVICE_UNAVAILABLE")
}
