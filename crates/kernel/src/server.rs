//! The door of a subgraph: one code path for requests from the same process and over HTTP, and WebSocket for subscriptions.
//! Only the router has the credential that opens it.

mod asked;
mod bundle;

use std::{any::TypeId, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{
    Data, Executor, Request, Response, ServerError,
    http::{WebSocket, WsMessage},
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        self, DefaultBodyLimit, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket as Socket},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response as HttpResponse},
    routing::post,
};
use futures_util::{
    FutureExt, SinkExt, StreamExt,
    stream::{self, BoxStream},
};
use subtle::ConstantTimeEq;
use tokio_util::sync::CancellationToken;

use asked::Asked;

pub use crate::service::SERVICE_HEADER;
use crate::{
    auth::{TokenError, TokenVerifier, Viewer},
    documents::Documents,
    peer::{self, Passed},
    service::{CredentialError, REFUSED_HEADER, ServiceVerifier},
    telemetry::Origin,
};

/// Who may call `/graphql` and `/public`.
const ROUTER_ONLY: &[&str] = &["router"];
/// Close code of a WebSocket whose server goes away.
const GOING_AWAY: u16 = 1001;
/// How long an ending WebSocket may take to send what is left.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// How long a request may take of which nobody says how long.
const EXECUTION: Duration = Duration::from_secs(10);
/// A request ends so long after its caller has stopped to wait: a mutation should not be cut at the last moment.
const LATER: Duration = Duration::from_secs(2);
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
    lock: Lock,
    cancel: CancellationToken,
    documents: Documents,
}

/// What opens a door.
#[derive(Clone)]
enum Lock {
    Secret(Arc<str>),
    Credentials(ServiceVerifier),
}

impl Lock {
    fn admit(&self, sent: Option<&str>) -> Result<(), CredentialError> {
        match self {
            Self::Credentials(services) => services.admit(sent, ROUTER_ONLY).map(drop),
            Self::Secret(secret) if sent.unwrap_or_default().as_bytes().ct_eq(secret.as_bytes()).into() => Ok(()),
            Self::Secret(_) => Err(CredentialError::Invalid),
        }
    }

    /// The service behind the door, where it is one of a fleet.
    fn service(&self) -> &str {
        match self {
            Self::Credentials(services) => services.service(),
            Self::Secret(_) => "all",
        }
    }
}

impl<E: Executor> Door<E> {
    /// A door before a schema that one shared secret opens.
    pub fn new(schema: E, prepare: Prepare, verifier: TokenVerifier, service_secret: &str) -> Self {
        let lock = Lock::Secret(service_secret.into());
        Self { schema, prepare, verifier, lock, cancel: CancellationToken::new(), documents: Documents::default() }
    }

    /// A door before a schema that the router's credential opens. When `cancel` is cancelled, live streams end with
    /// `SERVICE_RESTARTING` and `WebSocket`s close.
    pub fn guarded(
        schema: E,
        prepare: Prepare,
        verifier: TokenVerifier,
        services: ServiceVerifier,
        cancel: CancellationToken,
    ) -> Self {
        Self { schema, prepare, verifier, lock: Lock::Credentials(services), cancel, documents: Documents::default() }
    }

    /// Runs one request for the viewer of `authorization`; see [`Door::answer`].
    pub async fn execute(&self, authorization: Option<&str>, body: &[u8]) -> Vec<u8> {
        self.run(Passed::default().with_authorization(authorization), authorization, body).await
    }

    /// Runs one request (JSON of query, variables, operationName) with these headers; answers JSON. Asks nobody for a
    /// credential: who calls this is inside. A panic below becomes a masked error.
    pub async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
        self.run(Passed::of(headers), authorization(headers), body).await
    }

    async fn run(&self, passed: Passed, authorization: Option<&str>, body: &[u8]) -> Vec<u8> {
        let response = match (self.verifier.viewer(authorization), serde_json::from_slice::<Request>(body)) {
            (Err(error), _) => failed(&error.to_string(), error.code()),
            (_, Err(_)) => failed("the body is no GraphQL request", "BAD_REQUEST"),
            (Ok(viewer), Ok(request)) => {
                let asked = Asked::of(&request, viewer.user_id());
                let prepared = (self.prepare)(self.documents.parsed(request), &viewer).data(viewer);
                let span = tracing::info_span!("graph.request", otel.kind = "server");
                let until = passed.deadline(EXECUTION) + LATER;
                let executed = AssertUnwindSafe(passed.scope(span, async { asked.told(self.schema.execute(prepared).await) }))
                    .catch_unwind();
                match tokio::time::timeout_at(until.into(), executed).await {
                    Ok(executed) => executed.unwrap_or_else(|_| masked_panic()),
                    Err(_) => failed("it took too long", "GATEWAY_TIMEOUT"),
                }
            }
        };
        serde_json::to_vec(&coded(response)).unwrap_or_default()
    }

    /// `POST /graphql`, several of these in one `POST /graphql/bundle`, and `GET /graphql` with an upgrade to WebSocket
    /// (graphql-transport-ws).
    pub fn routes(self) -> Router {
        Router::new()
            .route("/graphql", post(answer::<E>).get(upgrade::<E>))
            .route(peer::bundle::PATH, post(bundle::answer::<E>))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(self)
    }
}

/// Puts routes behind a service's lock: only the router gets in, anybody else gets 403. For the service's public routes,
/// which the router forwards.
pub fn behind_router(routes: Router, services: ServiceVerifier) -> Router {
    routes.layer(middleware::from_fn(move |request: extract::Request, next: middleware::Next| {
        let services = services.clone();
        async move {
            match services.admit(credential(request.headers()), ROUTER_ONLY) {
                Ok(_) => {
                    let route = request.extensions().get::<extract::MatchedPath>().map_or("/", extract::MatchedPath::as_str);
                    let span = tracing::info_span!("public.request", otel.kind = "server", http.route = route);
                    Passed::of(request.headers()).scope(span, next.run(request)).await
                }
                Err(error) => forbidden(error),
            }
        }
    }))
}

/// The credential of a request.
pub(crate) fn credential(headers: &HeaderMap) -> Option<&str> {
    headers.get(SERVICE_HEADER).and_then(|value| value.to_str().ok())
}

pub(crate) fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}

/// An answer that is none: one error with a code, in the form of a GraphQL answer.
pub(crate) fn refusal(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    let error = serde_json::json!({ "message": message, "extensions": { "code": code, "retryable": false } });
    (status, Json(serde_json::json!({ "errors": [error] }))).into_response()
}

/// The answer to who has no good credential. A header tells when another replica may know better: nothing ran here.
pub(crate) fn forbidden(error: CredentialError) -> HttpResponse {
    let status = if error == CredentialError::Outcast { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::FORBIDDEN };
    let mut answer = refusal(status, error.code(), &error.to_string());
    if error.may_pass_elsewhere() {
        answer.headers_mut().insert(REFUSED_HEADER, HeaderValue::from_static(error.code()));
    }
    answer
}

async fn answer<E: Executor>(State(door): State<Door<E>>, headers: HeaderMap, body: Bytes) -> HttpResponse {
    if let Err(error) = door.lock.admit(credential(&headers)) {
        return forbidden(error);
    }
    let body = door.answer(&headers, &body).await;
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn upgrade<E: Executor>(State(door): State<Door<E>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> HttpResponse {
    let passed = Passed::of(&headers);
    let admitted = match credential(&headers) {
        None => false,
        sent => match door.lock.admit(sent) {
            Ok(()) => true,
            Err(error) => return forbidden(error),
        },
    };
    let viewer = door.verifier.viewer(authorization(&headers));
    upgrade.protocols(["graphql-transport-ws"]).on_upgrade(move |socket| talk(door, admitted, viewer, passed, socket))
}

async fn talk<E: Executor>(door: Door<E>, admitted: bool, viewer: Result<Viewer, TokenError>, passed: Passed, socket: Socket) {
    let (mut sink, stream) = socket.split();
    // Only text carries messages of the protocol: pings and pongs of the socket itself are the transport's.
    let incoming = stream.take_while(|message| std::future::ready(message.is_ok())).filter_map(|message| {
        let text = message.ok().filter(|message| matches!(message, Message::Text(_) | Message::Binary(_)));
        std::future::ready(text.map(Message::into_data))
    });
    let cancel = door.cancel.clone();
    let prepared = Prepared { schema: door.schema.clone(), prepare: door.prepare.clone(), cancel: cancel.clone() };
    let initialise = move |payload: serde_json::Value| {
        let text = |key: &str| payload.get(key).and_then(serde_json::Value::as_str);
        let admitted = admitted || door.lock.admit(text(SERVICE_HEADER)).is_ok();
        let sent = text("Authorization").or_else(|| text("authorization"));
        let origin = Origin::new(text("x-request-id"), text("traceparent"));
        let passed = if origin == Origin::default() { passed } else { passed.with_origin(origin) };
        let viewer = sent.map_or(viewer, |token| door.verifier.viewer(Some(token)));
        std::future::ready(match viewer {
            _ if !admitted => Err(async_graphql::Error::new("FORBIDDEN")),
            Ok(viewer) => Ok(session(viewer, passed.with_authorization(sent))),
            Err(error) => Err(async_graphql::Error::new(error.code())),
        })
    };
    let protocol = async_graphql::http::WebSocketProtocols::GraphQLWS;
    let mut outgoing = WebSocket::new(prepared, incoming, protocol).on_connection_init(initialise);
    let mut next = tokio::time::timeout(INIT_TIMEOUT, outgoing.next()).await.unwrap_or(None);
    while let Some(message) = next {
        let message = match message {
            WsMessage::Text(text) => Message::text(text),
            WsMessage::Close(code, reason) => close(code, reason),
        };
        if sink.send(message).await.is_err() {
            return;
        }
        next = tokio::select! {
            biased;
            next = outgoing.next() => next,
            () = ended(&cancel) => None,
        };
    }
    if cancel.is_cancelled() {
        let _gone = sink.send(close(GOING_AWAY, "the service is restarting".to_owned())).await;
    }
}

/// Some time after the service was told to stop: its streams have sent their last event by then.
async fn ended(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

fn close(code: u16, reason: String) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

fn session(viewer: Viewer, passed: Passed) -> Data {
    let mut data = Data::default();
    data.insert(viewer);
    data.insert(passed);
    data
}

fn of_session<T: Send + Sync + 'static>(session: Option<&Arc<Data>>) -> Option<&T> {
    session?.get(&TypeId::of::<T>())?.downcast_ref()
}

/// A schema whose subscriptions are prepared like its queries.
#[derive(Clone)]
struct Prepared<E> {
    schema: E,
    prepare: Prepare,
    cancel: CancellationToken,
}

impl<E> Prepared<E> {
    fn ready(&self, request: Request, session: Option<&Arc<Data>>) -> Request {
        (self.prepare)(request, of_session(session).unwrap_or(&Viewer(None)))
    }
}

impl<E: Executor> Executor for Prepared<E> {
    async fn execute(&self, request: Request) -> Response {
        let asked = Asked::of(&request, None);
        asked.told(coded(self.schema.execute(self.ready(request, None)).await))
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let user_id = of_session::<Viewer>(session.as_ref()).and_then(Viewer::user_id);
        let asked = Asked::of(&request, user_id);
        let request = self.ready(request, session.as_ref());
        let passed = of_session::<Passed>(session.as_ref()).cloned().unwrap_or_default();
        let events = self.schema.execute_stream(request, session).map(move |event| asked.told(coded(event))).boxed();
        let events = passed.scope_stream(events).take_until(self.cancel.clone().cancelled_owned());
        let cancel = self.cancel.clone();
        let last = stream::once(async move { cancel.is_cancelled().then(restarting) });
        events.chain(last.filter_map(std::future::ready)).boxed()
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

fn restarting() -> Response {
    let mut response = failed("The service is restarting. Subscribe again.", "SERVICE_RESTARTING");
    for error in &mut response.errors {
        error.extensions.get_or_insert_default().set("retryable", true);
    }
    response
}

fn masked_panic() -> Response {
    tracing::error!("graphql.panic");
    failed("the service can't answer now", "SERVICE_UNAVAILABLE")
}
