//! Which part answers a request, and what every answer carries.

use std::{
    cell::{Cell, RefCell},
    hash::{BuildHasher, Hasher, RandomState},
    rc::Rc,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hive_router::background_tasks::CancellationToken;
use http::{Method, StatusCode};
use ntex::{
    http::{
        ConnectionType, Response,
        header::{self, HeaderValue},
    },
    web::{self, DefaultError, HttpRequest, WebRequest, WebResponse},
};
use tokio::runtime::Handle;

use crate::{
    auth::TokenVerifier,
    client,
    config::{Asked, Limits, Observe, PublicRoutes},
    engine::Engine,
    graphiql,
    headers::Signature,
    hosts::Home,
    http_graphql,
    live::Feeds,
    public,
    refusal::{Json, Told},
    websocket, wire,
};

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub engine: Engine,
    pub tokens: Arc<TokenVerifier>,
    pub routes: Arc<dyn PublicRoutes>,
    pub runtime: Handle,
    pub limits: Arc<Limits>,
    pub graphiql: bool,
    pub allowed_origins: Arc<[String]>,
    pub home: Arc<Home>,
    /// The public reaches us by HTTPS.
    pub https: bool,
    pub trusted_proxies: usize,
    pub observer: Arc<dyn Observe>,
    /// Cancelled when the service stops: sockets close, and an answer is the last one on its connection.
    pub stopping: CancellationToken,
}

/// One worker's front door.
pub(crate) struct Door {
    shared: Shared,
    /// Feeds that this worker passes on to its clients.
    pub feeds: RefCell<Feeds>,
    /// Open sockets of this worker.
    pub sockets: Cell<usize>,
    ended: wire::Ended,
}

impl std::ops::Deref for Door {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Door {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, feeds: RefCell::default(), sockets: Cell::new(0), ended: wire::Ended::default() }
    }

    /// Answers any request on the public port.
    pub(crate) async fn answer(self: Rc<Self>, request: WebRequest<DefaultError>) -> Result<WebResponse, web::Error> {
        let request_id = request_id(&request);
        if request.path() == "/graphql" && is_socket(&request) {
            return self.socket(request, request_id).await;
        }
        let observer = self.observer.clone();
        let asked = asked(&request, &request_id);
        let mut answered = None;
        let answer = async {
            let response = self.respond(request, &request_id).await;
            let status = response.status().as_u16();
            answered = Some(response);
            status
        };
        observer.observe(asked, Box::pin(answer)).await;
        answered.ok_or_else(|| web::error::ErrorInternalServerError("the request was not run").into())
    }

    async fn respond(self: Rc<Self>, mut request: WebRequest<DefaultError>, request_id: &str) -> WebResponse {
        let signature = self.signature(&request, request_id);
        let fit = self.ended.check(&request).and_then(|()| self.home.check(&request));
        let is_last = wire::is_last(&mut request) || fit.is_err();
        if is_last {
            self.ended.note(&request);
        }
        let (request, mut response) = match fit {
            Ok(()) => self.clone().served(request, request_id).await,
            Err(refusal) => plain(request, refusal.response(Json::Plain, request_id)),
        };
        self.count(&response);
        signature.put(&mut response);
        if is_last || self.stopping.is_cancelled() {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        WebResponse::new(response, request)
    }

    async fn served(self: Rc<Self>, request: WebRequest<DefaultError>, request_id: &str) -> (HttpRequest, Response) {
        match request.path() {
            // Only what is asked for with a token or a body of its own kind is announced by browsers.
            "/graphql" | "/me/avatar" if is_preflight(&request) => plain(request, Response::new(StatusCode::NO_CONTENT)),
            "/graphql" => http_graphql::answer(&self, request, request_id).await,
            path if graphiql::serves(path) => {
                let response = if self.graphiql { graphiql::asset(path) } else { Response::new(StatusCode::NOT_FOUND) };
                plain(request, response)
            }
            _ => public::answer(&self, request, request_id).await,
        }
    }

    fn signature<'r>(&self, request: &WebRequest<DefaultError>, request_id: &'r str) -> Signature<'r> {
        Signature {
            request_id,
            origin: self.allowed_origin(request),
            // An answer of the graph may hold the tokens of a new session.
            private: request.path() == "/graphql" || request.headers().contains_key(header::AUTHORIZATION),
            https: self.https,
        }
    }

    async fn socket(self: Rc<Self>, request: WebRequest<DefaultError>, request_id: String) -> Result<WebResponse, web::Error> {
        let client = client::address(&request, self.trusted_proxies);
        let signature = self.signature(&request, &request_id);
        let (request, _) = request.into_parts();
        let mut response = websocket::accept(self.clone(), request.clone(), client, request_id.clone()).await?;
        self.count(&response);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            signature.put(&mut response);
        }
        Ok(WebResponse::new(response, request))
    }

    /// Counts a refusal of the door itself.
    fn count(&self, response: &Response) {
        if let Some(told) = response.extensions().get::<Told>() {
            self.observer.refused(told.0);
        }
    }

    /// The request's origin, when pages of it may read our answers.
    fn allowed_origin(&self, request: &WebRequest<DefaultError>) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        let name = origin.to_str().ok()?;
        self.allowed_origins.iter().any(|allowed| allowed == name).then(|| origin.clone())
    }
}

fn asked(request: &WebRequest<DefaultError>, request_id: &str) -> Asked {
    let trace_parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let kind = match request.path() {
        "/graphql" => "graphql",
        "/livez" | "/readyz" | "/health" | "/readiness" | "/metrics" => "health",
        _ => "public",
    };
    Asked { request_id: request_id.to_owned(), trace_parent, kind }
}

fn plain(request: WebRequest<DefaultError>, response: Response) -> (HttpRequest, Response) {
    (request.into_parts().0, response)
}

fn is_socket(request: &WebRequest<DefaultError>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    *request.method() == Method::GET && upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

fn is_preflight(request: &WebRequest<DefaultError>) -> bool {
    *request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The client's own request id when it is a plain word, else a new one.
fn request_id(request: &WebRequest<DefaultError>) -> String {
    request
        .headers()
        .get("x-request-id")
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty() && id.len() <= 128 && id.bytes().all(is_plain))
        .map_or_else(new_request_id, str::to_owned)
}

/// Unlike any other: a number of this process and a count.
fn new_request_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}{:08x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
