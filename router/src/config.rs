//! What the app tells the front door.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

/// Seconds since 1970: the app's clock.
pub type NowSecs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The public half of the trusted Ed25519 key with this name (`kid`), base64url without padding. Asked for each request, so
/// that keys can change.
pub type FindKey = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The sessions that were ended while access tokens of theirs have time left.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Whether the session with this id (`sid` of a token) was ended. Asked for each request.
    fn has_ended(&self, session: &str) -> bool;
    /// Waits until it is ended. Safe to drop while it waits.
    async fn ended(&self, session: &str);
}

/// Every session lives as long as its tokens.
pub struct Unending;

#[async_trait]
impl Sessions for Unending {
    fn has_ended(&self, _: &str) -> bool {
        false
    }

    async fn ended(&self, _: &str) {
        std::future::pending::<()>().await;
    }
}

/// Everything the front door needs to know before it starts.
pub struct RouterConfig {
    /// Public address; port 0 takes a free port, reported once bound.
    pub listen: SocketAddr,
    /// The composed supergraph, with its `@join__` directives.
    pub supergraph_sdl: String,
    /// Where each subgraph of the supergraph is.
    pub subgraphs: Vec<Subgraph>,
    /// The keys that sign access tokens now.
    pub keys: FindKey,
    /// Required `iss` of an access token.
    pub jwt_issuer: String,
    /// Required `aud` of an access token.
    pub jwt_audience: String,
    /// The clock that ends access tokens.
    pub now_secs: NowSecs,
    /// What ends them earlier.
    pub sessions: Arc<dyn Sessions>,
    /// Sent to every subgraph as `x-berth-service`: as an HTTP header, and in the payload of
    /// `connection_init` on a subgraph's WebSocket (the embedded router sends no upgrade headers).
    pub service_secret: String,
    /// Under numbers made with this the embedded router keeps what belongs to a document. Random, and new at each start: who can
    /// foretell the numbers can make two documents with one number.
    pub document_key: [u8; 16],
    /// Serves the bundled explorer at `/graphiql`, and to browsers at `/graphql`.
    pub graphiql: bool,
    /// Answers `__schema` and `__type`.
    pub introspection: bool,
    /// Bounds of one request.
    pub limits: Limits,
    /// Number of ntex worker threads; as many as there are cores when absent.
    pub workers: Option<usize>,
    /// Origins that browsers may call from, such as `https://shop.example`. Empty: same origin only.
    /// Credentials (cookies) are never allowed: the graph reads only the Authorization header.
    pub allowed_origins: Vec<String>,
    /// How the public reaches the front door: `https://shop.example`.
    pub public_url: String,
    /// Beginnings of paths (`/dev`) for people at this machine: they answer only what is addressed to `localhost` or to the host
    /// of the public URL.
    pub home_paths: Vec<&'static str>,
    /// How many proxies stand before the front door, each of which adds the address that it sees to `X-Forwarded-For`. 0: none,
    /// and the header is not looked at.
    pub trusted_proxies: usize,
    /// Watches every request.
    pub observer: Arc<dyn Observe>,
}

/// One subgraph of the supergraph.
pub struct Subgraph {
    /// Its name in the supergraph, such as `inventory`.
    pub name: String,
    /// Its GraphQL endpoint, such as `http://127.0.0.1:4101/graphql`. Subscriptions use a WebSocket on the same path.
    pub url: String,
    /// Runs queries and mutations instead of the embedded router's own HTTP client.
    pub executor: Option<Arc<dyn SubgraphCall>>,
}

/// The way to a subgraph, in this process or another.
#[async_trait]
pub trait SubgraphCall: Send + Sync {
    /// Runs one query. `body` is byte for byte the JSON that a network subgraph would get, and the
    /// answer is the JSON that it would send back.
    async fn execute(&self, headers: http::HeaderMap, body: Bytes) -> Bytes;

    /// Runs one mutation: unlike a query it must not be sent twice.
    async fn execute_mutation(&self, headers: http::HeaderMap, body: Bytes) -> Bytes {
        self.execute(headers, body).await
    }

    /// Whether it may run on any runtime, because it holds no socket of one. Else it runs on the app's.
    fn runs_anywhere(&self) -> bool {
        false
    }
}

/// The answer of a subgraph that gives none: clients see `SERVICE_UNAVAILABLE`, which may be repeated.
pub const NO_ANSWER: &[u8] =
    br#"{"data":null,"errors":[{"message":"unavailable","extensions":{"code":"SUBGRAPH_REQUEST_TIMEOUT"}}]}"#;

/// Everything on the public port that is not GraphQL: webhooks, tickets, keys, health, pages.
#[async_trait]
pub trait PublicRoutes: Send + Sync {
    /// Answers one request. The peer's `std::net::SocketAddr` is in the request's extensions.
    async fn call(&self, request: http::Request<Bytes>) -> http::Response<Bytes>;
}

/// What is known of a request before it is answered.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its id: the client's own, or a new one.
    pub request_id: String,
    /// The client's W3C `traceparent`, as it came.
    pub trace_parent: Option<String>,
    /// `graphql`, `websocket` (an operation on a socket), `public`, or `health` (who watches the process).
    pub kind: &'static str,
}

/// Watches the requests at the door: the app's logs, traces and metrics.
pub trait Observe: Send + Sync {
    /// Runs the work of one request. `answer` tells the status in the end.
    fn observe<'a>(&self, asked: Asked, answer: LocalBoxFuture<'a, u16>) -> LocalBoxFuture<'a, ()>;
    /// The W3C `traceparent` for what the running work calls.
    fn trace_parent(&self) -> Option<String>;
    /// The public was told an error with this code, by the front door or by a subgraph.
    fn refused(&self, code: &str);
}

/// Watches nothing.
pub struct Unobserved;

impl Observe for Unobserved {
    fn observe<'a>(&self, _: Asked, answer: LocalBoxFuture<'a, u16>) -> LocalBoxFuture<'a, ()> {
        Box::pin(async move {
            let _status = answer.await;
        })
    }

    fn trace_parent(&self) -> Option<String> {
        None
    }

    fn refused(&self, _: &str) {}
}

/// Bounds of one public request; more is refused with a typed error.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Bytes of the query document.
    pub query_bytes: usize,
    /// Lexical tokens of the query document.
    pub tokens: usize,
    /// Nested selections.
    pub depth: usize,
    /// Aliases of one operation.
    pub aliases: usize,
    /// Fields at the root of one operation.
    pub root_fields: usize,
    /// Directives of one operation.
    pub directives: usize,
    /// Selections of a document with its fragments written out.
    pub selections: usize,
    /// Fields in one place of an answer, before those of one name are put together.
    pub selection_set: usize,
    /// Pairs of fields of one name in one place, over all places, and pairs of fragments.
    pub repeats: usize,
    /// Fragments spread inside each other.
    pub spreads: usize,
    /// Lists of introspection inside each other.
    pub introspection_lists: usize,
    /// Objects that an answer may hold, as the sizes of its pages say.
    pub cost: usize,
    /// Bytes of all request headers together.
    pub header_bytes: usize,
    /// Time until a query or mutation is answered.
    pub execution: Duration,
    /// Open `WebSocket` connections and open HTTP streams, each.
    pub live_clients: usize,
    /// Operations running at once on one WebSocket.
    pub operations_per_socket: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 * 1024,
            query_bytes: 16 * 1024,
            tokens: 2_000,
            depth: 12,
            aliases: 30,
            root_fields: 15,
            directives: 20,
            selections: 5_000,
            selection_set: 200,
            repeats: 5_000,
            spreads: 16,
            introspection_lists: 3,
            cost: 2_000,
            header_bytes: 32 * 1024,
            execution: Duration::from_secs(10),
            live_clients: 20_000,
            operations_per_socket: 20,
        }
    }
}

/// Why the front door could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The public address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The key set is not usable.
    #[error("the key set of the access tokens is unusable: {0}")]
    Keys(String),
    /// The embedded router refused its configuration or the supergraph.
    #[error("the embedded router did not start: {0}")]
    Engine(String),
    /// A file or thread could not be made.
    #[error("the operating system refused a resource")]
    System(#[from] std::io::Error),
    /// The thread of the front door ended without an answer.
    #[error("the front door ended unexpectedly")]
    Ended,
}
