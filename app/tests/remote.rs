//! The front door before subgraphs in other places: two replicas of one, behind their doors, on loopback listeners.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_graphql::{Context, EmptyMutation, ID, Object, Schema, SimpleObject, Subscription};
use async_trait::async_trait;
use axum::{Router, extract::Request, http::StatusCode, middleware, response::IntoResponse, routing::post};
use berth::remote::Subgraphs;
use berth_kernel::{
    auth::{AUDIENCE, ISSUER, SignKey, TokenSigner, TokenVerifier, Viewer},
    clock::Clock,
    server::{Door, behind_router},
    service::{ServiceKey, ServiceSigner, ServiceVerifier},
};
use berth_router::{Limits, PublicRoutes, RouterConfig, RunningRouter};
use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt, stream};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::watch};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use tokio_util::sync::CancellationToken;

const SEATS: &str = "subscription { seatAvailability(tripId: \"1\") { version kind } }";
const STATUS: &str = "subscription { bookingStatus(bookingId: 5) { id viewer } }";

struct Catalog;
struct Seats(Arc<watch::Sender<u64>>);
struct Accounts;
struct Rename(Arc<AtomicUsize>);
struct Statuses;

#[derive(SimpleObject)]
struct SeatAvailability {
    trip_id: ID,
    version: String,
    kind: String,
}

#[derive(SimpleObject)]
struct User {
    id: ID,
    name: String,
}

#[derive(SimpleObject)]
struct Booking {
    id: ID,
    viewer: String,
}

#[Object(name = "Query")]
impl Catalog {
    async fn stations(&self) -> Vec<String> {
        vec!["Gambir".into()]
    }
}

#[Subscription(name = "Subscription")]
impl Seats {
    async fn seat_availability(&self, trip_id: ID) -> impl Stream<Item = SeatAvailability> + use<> {
        stream::unfold((self.0.subscribe(), "SNAPSHOT"), move |(mut versions, kind)| {
            let trip_id = trip_id.clone();
            async move {
                if kind == "CHANGES" {
                    versions.changed().await.ok()?;
                }
                let version = versions.borrow_and_update().to_string();
                Some((SeatAvailability { trip_id, version, kind: kind.into() }, (versions, "CHANGES")))
            }
        })
    }
}

fn viewer(context: &Context<'_>) -> String {
    context.data_unchecked::<Viewer>().user_id().map_or_else(|| "nobody".to_owned(), |user| user.to_string())
}

#[Object(name = "Query")]
impl Accounts {
    async fn whoami(&self, context: &Context<'_>) -> String {
        viewer(context)
    }
}

#[Object(name = "Mutation")]
impl Rename {
    async fn rename(&self, name: String) -> User {
        self.0.fetch_add(1, Ordering::SeqCst);
        User { id: "1".into(), name }
    }
}

#[Subscription(name = "Subscription")]
impl Statuses {
    async fn booking_status(&self, context: &Context<'_>, booking_id: ID) -> impl Stream<Item = Booking> + use<> {
        let booking = Booking { id: booking_id, viewer: viewer(context) };
        stream::iter([booking]).chain(stream::pending())
    }
}

struct Nothing;

#[async_trait]
impl PublicRoutes for Nothing {
    async fn call(&self, _: http::Request<Bytes>) -> http::Response<Bytes> {
        http::Response::new(Bytes::new())
    }
}

/// What a replica is told, and what it saw.
#[derive(Clone, Default)]
struct Replica {
    url: String,
    stop: CancellationToken,
    busy: Arc<AtomicUsize>,
    /// The headers of each request.
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Replica {
    fn seen(&self) -> Vec<HeaderMap> {
        self.seen.lock().unwrap().clone()
    }

    /// Answers the next requests with 503.
    fn busy_for(&self, times: usize) {
        self.busy.store(times, Ordering::SeqCst);
    }

    async fn serve(mut self, routes: Router) -> Self {
        let (busy, seen) = (self.busy.clone(), self.seen.clone());
        let routes = routes.layer(middleware::from_fn(move |request: Request, next: middleware::Next| {
            seen.lock().unwrap().push(request.headers().clone());
            let refuse = busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            async move { if refuse { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { next.run(request).await } }
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.url = format!("http://{}", listener.local_addr().unwrap());
        let serving = axum::serve(listener, routes).with_graceful_shutdown(self.stop.clone().cancelled_owned());
        tokio::spawn(async move { serving.await });
        self
    }
}

struct World {
    keys: tempfile::TempDir,
    clock: Clock,
    access: SignKey,
    versions: Arc<watch::Sender<u64>>,
    renamed: Arc<AtomicUsize>,
}

impl World {
    fn new() -> Self {
        Self {
            keys: tempfile::tempdir().unwrap(),
            clock: Clock::system(),
            access: SignKey::generate(),
            versions: Arc::new(watch::channel(1).0),
            renamed: Arc::default(),
        }
    }

    fn tokens(&self) -> TokenVerifier {
        TokenVerifier::new(std::slice::from_ref(&self.access), self.clock.clone())
    }

    fn services(&self, name: &str) -> ServiceVerifier {
        ServiceVerifier::new(self.keys.path(), name, self.clock.clone())
    }

    async fn catalog(&self) -> Replica {
        let replica = Replica::default();
        let schema = Schema::build(Catalog, EmptyMutation, Seats(self.versions.clone())).finish();
        let door =
            Door::guarded(schema, Arc::new(|request, _| request), self.tokens(), self.services("catalog"), replica.stop.clone());
        replica.serve(door.routes()).await
    }

    async fn accounts(&self) -> Replica {
        let replica = Replica::default();
        let schema = Schema::build(Accounts, Rename(self.renamed.clone()), Statuses).finish();
        let prepare = Arc::new(|request: async_graphql::Request, viewer: &Viewer| request.data(viewer.clone()));
        let door = Door::guarded(schema, prepare, self.tokens(), self.services("accounts"), replica.stop.clone());
        let hooks = Router::new().route("/webhooks/{name}", post(|body: String| async move { format!("noted {body}") }));
        let hooks = Router::new().nest("/public", behind_router(hooks, self.services("accounts")));
        replica.serve(door.routes().merge(hooks)).await
    }

    async fn front(&self, catalog: &[&Replica], accounts: &[&Replica]) -> Front {
        let signer = ServiceSigner::new(ServiceKey::load_or_create(self.keys.path(), "router").unwrap(), self.clock.clone());
        let urls = |replicas: &[&Replica]| replicas.iter().map(|replica| replica.url.clone()).collect();
        let places = [("catalog", urls(catalog)), ("accounts", urls(accounts))];
        let subgraphs = Subgraphs::new(&signer, &places, CancellationToken::new()).await.unwrap();
        let config = RouterConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            supergraph_sdl: include_str!("../../router/tests/fixtures/supergraph.graphql").to_owned(),
            subgraphs: subgraphs.list(),
            keys: Arc::new({
                let key = self.access.clone();
                move |kid| (kid == key.kid()).then(|| key.public())
            }),
            jwt_issuer: ISSUER.to_owned(),
            jwt_audience: AUDIENCE.to_owned(),
            now_secs: Arc::new({
                let clock = self.clock.clone();
                move || u64::try_from(clock.now().timestamp()).unwrap()
            }),
            sessions: Arc::new(berth_router::Unending),
            service_secret: subgraphs.secret().to_owned(),
            document_key: [9; 16],
            graphiql: false,
            introspection: true,
            limits: Limits { execution: Duration::from_secs(4), ..Limits::default() },
            workers: Some(1),
            trusted_proxies: 0,
            observer: Arc::new(berth_router::Unobserved),
            allowed_origins: vec![],
            public_url: String::new(),
            home_paths: vec![],
        };
        let router = berth_router::start(config, Arc::new(Nothing), tokio::runtime::Handle::current()).await.unwrap();
        Front { router, subgraphs, client: reqwest::Client::new() }
    }

    fn token(&self) -> (String, String) {
        let user_id = uuid(7);
        let signed = TokenSigner::new(self.access.clone(), self.clock.clone()).sign(user_id, user_id, &["USER".to_owned()]);
        (user_id.to_string(), signed.unwrap().0)
    }
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

struct Front {
    router: RunningRouter,
    subgraphs: Subgraphs,
    client: reqwest::Client,
}

impl Front {
    fn request(&self, query: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/graphql", self.router.address());
        self.client.post(url).header("content-type", "application/json").body(json!({ "query": query }).to_string())
    }

    async fn query(&self, query: &str) -> Value {
        read(self.request(query)).await
    }

    async fn socket(&self, token: Option<&str>) -> Socket {
        let mut request = format!("ws://{}/graphql", self.router.address()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let mut socket = Socket(connect_async(request).await.unwrap().0);
        let payload = token.map_or(json!({}), |token| json!({ "Authorization": format!("Bearer {token}") }));
        socket.send(&json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(socket.message().await, json!({ "type": "connection_ack" }));
        socket
    }
}

async fn read(request: reqwest::RequestBuilder) -> Value {
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(&json!({ "id": id, "type": "subscribe", "payload": { "query": query } })).await;
    }

    /// The next message; a close as `{"closed": code}`.
    async fn message(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await.expect("in time");
            match next.expect("open").expect("whole") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => return json!({ "closed": frame.map_or(1005, |frame| frame.code.into()) }),
                _ => {}
            }
        }
    }
}

fn error(answer: &Value) -> (String, bool) {
    error_of(&answer["errors"][0])
}

/// The error that ended an operation, whichever way it came.
fn end(message: &Value) -> (String, bool) {
    let payload = &message["payload"];
    if payload.is_array() { error_of(&payload[0]) } else { error_of(&payload["errors"][0]) }
}

fn error_of(error: &Value) -> (String, bool) {
    let extensions = &error["extensions"];
    (extensions["code"].as_str().unwrap_or_default().to_owned(), extensions["retryable"].as_bool().unwrap_or_default())
}

fn restarting() -> (String, bool) {
    ("SERVICE_RESTARTING".to_owned(), true)
}

fn version(message: &Value) -> u64 {
    let version = &message["payload"]["data"]["seatAvailability"]["version"];
    version.as_str().unwrap_or_else(|| panic!("no version: {message}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_go_on_when_a_replica_stops() {
    let world = World::new();
    let (one, two, accounts) = (world.catalog().await, world.catalog().await, world.accounts().await);
    let front = world.front(&[&one, &two], &[&accounts]).await;
    for _ in 0..10 {
        assert_eq!(front.query("{ stations }").await, json!({ "data": { "stations": ["Gambir"] } }));
    }
    assert_eq!((one.seen().len(), two.seen().len()), (5, 5));
    one.stop.cancel();
    for _ in 0..20 {
        assert_eq!(front.query("{ stations }").await, json!({ "data": { "stations": ["Gambir"] } }));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    two.stop.cancel();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(error(&front.query("{ stations }").await), ("SERVICE_UNAVAILABLE".to_owned(), true));
    assert_eq!(front.query("{ whoami }").await["data"]["whoami"], "nobody", "the other subgraph is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_repeated_and_a_mutation_is_not() {
    let world = World::new();
    let (catalog, accounts) = (world.catalog().await, world.accounts().await);
    let front = world.front(&[&catalog], &[&accounts]).await;
    catalog.busy_for(2);
    assert_eq!(front.query("{ stations }").await["data"]["stations"], json!(["Gambir"]));
    assert_eq!(catalog.seen().len(), 3);
    accounts.busy_for(1);
    let refused = front.query("mutation { rename(name: \"x\") { id } }").await;
    assert_eq!(error(&refused), ("SERVICE_UNAVAILABLE".to_owned(), true));
    assert_eq!((accounts.seen().len(), world.renamed.load(Ordering::SeqCst)), (1, 0));
    let named = front.query("mutation Again { rename(name: \"x\") { id } }").await;
    assert_eq!(named["data"]["rename"]["id"], "1");
    assert_eq!((accounts.seen().len(), world.renamed.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_say_who_it_is_to_a_subgraph() {
    let world = World::new();
    let (catalog, accounts) = (world.catalog().await, world.accounts().await);
    let front = world.front(&[&catalog], &[&accounts]).await;
    let (user, token) = world.token();
    let lies = ["x-berth-service", "x-berth-timeout-ms", "x-user-id", "x-forwarded-for", "forwarded", "cookie", "x-anything"];
    let mut request = front.request("{ whoami }").bearer_auth(&token).header("x-request-id", "r1");
    for name in lies {
        request = request.header(name, "999999");
    }
    request = request.header("x-berth-client", "999999");
    assert_eq!(read(request).await["data"]["whoami"], json!(user));
    let mut hook = http::Request::post("/webhooks/sandbox?a=1").header("content-type", "text/plain").header("accept", "*/*");
    for name in lies {
        hook = hook.header(name, "999999");
    }
    let noted = front.subgraphs.forward("accounts", hook.body("this".into()).unwrap()).await;
    assert_eq!((noted.status().as_u16(), noted.body().as_ref()), (200, "noted this".as_bytes()));
    let allowed = "accept authorization content-length content-type host traceparent x-berth-client x-berth-service x-berth-timeout-ms x-request-id";
    let allowed: BTreeSet<&str> = allowed.split(' ').collect();
    let seen = accounts.seen();
    assert_eq!(seen.len(), 2);
    for headers in &seen {
        let others: Vec<_> = headers.keys().filter(|name| !allowed.contains(name.as_str())).collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(headers.values().all(|value| value != "999999"), "{headers:?}");
    }
    assert_eq!((&seen[0]["x-request-id"], &seen[0]["x-berth-client"]), (&"r1".parse().unwrap(), &"127.0.0.1".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_opens_for_the_router_only() {
    let world = World::new();
    let accounts = world.accounts().await;
    let client = reqwest::Client::new();
    for path in ["/graphql", "/public/webhooks/x"] {
        let bare = client.post(format!("{}{path}", accounts.url)).body("{}").send().await.unwrap();
        assert_eq!(bare.status(), 403);
        let bare: Value = serde_json::from_str(&bare.text().await.unwrap()).unwrap();
        assert_eq!(error(&bare), ("SERVICE_CREDENTIAL_MISSING".to_owned(), false));
    }
    let worker = ServiceSigner::new(ServiceKey::load_or_create(world.keys.path(), "worker").unwrap(), world.clock.clone());
    let request = client.post(format!("{}/graphql", accounts.url)).body("{}");
    let answer = request.header("x-berth-service", &*worker.credential("accounts")).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(error(&answer), ("SERVICE_CALLER_FORBIDDEN".to_owned(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_feed_ends_with_the_reason_and_goes_on_at_the_other_replica() {
    let world = World::new();
    let (one, two, accounts) = (world.catalog().await, world.catalog().await, world.accounts().await);
    let front = world.front(&[&one, &two], &[&accounts]).await;
    two.busy_for(usize::MAX);
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = front.socket(None).await;
        socket.subscribe("s", SEATS).await;
        assert_eq!(version(&socket.message().await), 1);
        sockets.push(socket);
    }
    two.busy_for(0);
    one.stop.cancel();
    for socket in &mut sockets {
        let message = socket.message().await;
        assert_eq!(end(&message), restarting(), "{message}");
        assert_eq!(socket.message().await, json!({ "id": "s", "type": "complete" }));
    }
    world.versions.send_replace(2);
    for socket in &mut sockets {
        socket.subscribe("s", SEATS).await;
        assert_eq!(version(&socket.message().await), 2);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.versions.send_replace(3);
    for socket in &mut sockets {
        assert_eq!(version(&socket.message().await), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_stream_ends_with_the_reason() {
    let world = World::new();
    let (catalog, one) = (world.catalog().await, world.accounts().await);
    let front = world.front(&[&catalog], &[&one]).await;
    let (user, token) = world.token();
    let mut socket = front.socket(Some(&token)).await;
    socket.subscribe("s", STATUS).await;
    assert_eq!(socket.message().await["payload"]["data"]["bookingStatus"]["viewer"], json!(user));
    let sse = front.request(STATUS).bearer_auth(&token).header("accept", "text/event-stream").send().await.unwrap();
    let mut sse = Box::pin(sse.bytes_stream());
    while !String::from_utf8_lossy(&sse.next().await.unwrap().unwrap()).contains("bookingStatus") {}
    one.stop.cancel();
    assert_eq!(end(&socket.message().await), restarting());
    let mut text = String::new();
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(Duration::from_secs(5), sse.next()).await {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("SERVICE_RESTARTING") && text.contains("\"retryable\":true"), "{text}");
    assert!(text.ends_with("event: complete\n\n") || text.ends_with("event: complete\ndata: \n\n"), "{text}");
    let mut late = front.socket(Some(&token)).await;
    late.subscribe("s", STATUS).await;
    assert_eq!(end(&late.message().await), ("SERVICE_UNAVAILABLE".to_owned(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_front_door_says_goodbye() {
    let world = World::new();
    let (catalog, accounts) = (world.catalog().await, world.accounts().await);
    let front = world.front(&[&catalog], &[&accounts]).await;
    let (_, token) = world.token();
    let mut socket = front.socket(Some(&token)).await;
    socket.subscribe("shared", SEATS).await;
    socket.message().await;
    socket.subscribe("own", STATUS).await;
    socket.message().await;
    let stopped = tokio::spawn(front.router.stop());
    let mut reasons = BTreeSet::new();
    let closed = loop {
        let message = socket.message().await;
        if let Some(code) = message["closed"].as_u64() {
            break code;
        }
        if end(&message) == restarting() {
            reasons.insert(message["id"].as_str().unwrap().to_owned());
        }
    };
    assert_eq!(closed, 1001);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    stopped.await.unwrap().unwrap();
}
