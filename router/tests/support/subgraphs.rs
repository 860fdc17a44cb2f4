//! Two real subgraphs.

use std::sync::{
    Arc,
    atomic::{AtomicI32, AtomicUsize, Ordering},
};

use async_graphql::{
    Context, Data, EmptyMutation, EmptySubscription, Error, ErrorExtensions, ID, Object, ObjectType, Schema, SimpleObject,
    Subscription, SubscriptionType,
    http::{WebSocketProtocols, WsMessage},
};
use async_trait::async_trait;
use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_router::SubgraphCall;
use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt, stream};
use http::HeaderMap;
use tokio::sync::watch;

use super::SECRET;

/// The state behind the live feed.
pub struct Live {
    version: watch::Sender<u64>,
    pub opened: AtomicUsize,
    pub open: Arc<AtomicUsize>,
    pub executions: AtomicI32,
    /// How many `slow` run now.
    pub running: Arc<AtomicUsize>,
}

impl Default for Live {
    fn default() -> Self {
        let (opened, executions) = (AtomicUsize::new(0), AtomicI32::new(0));
        Self { version: watch::channel(1).0, opened, open: Arc::default(), executions, running: Arc::default() }
    }
}

impl Live {
    pub fn change(&self) -> u64 {
        self.version.send_modify(|version| *version += 1);
        *self.version.borrow()
    }
}

struct Viewer(String);
struct Seen(Vec<String>);

#[derive(SimpleObject)]
struct SeatAvailability {
    trip_id: ID,
    version: String,
    kind: String,
}

pub struct CatalogQuery(Arc<Live>);

#[derive(SimpleObject)]
struct Trip {
    id: ID,
    name: String,
}

fn trip(id: ID) -> Trip {
    Trip { name: format!("Trip \u{2014} {} \"quoted\"", id.as_str()), id }
}

#[Object]
impl CatalogQuery {
    async fn trip(&self, id: ID) -> Option<Trip> {
        (id.as_str() != "none").then(|| trip(id))
    }

    async fn stations(&self) -> Vec<String> {
        self.0.executions.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        vec!["Gambir".into()]
    }

    async fn slow(&self, ms: u64) -> u64 {
        let _running = Open::new(self.0.running.clone());
        self.0.executions.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
        ms
    }

    async fn headers(&self, ctx: &Context<'_>) -> Vec<String> {
        ctx.data_unchecked::<Seen>().0.clone()
    }

    async fn fail(&self) -> async_graphql::Result<Option<i32>> {
        Err(Error::new("Something of ours broke.").extend_with(|_, extensions| {
            extensions.set("code", "INTERNAL");
            extensions.set("retryable", true);
        }))
    }

    async fn executions(&self) -> i32 {
        self.0.executions.load(Ordering::SeqCst)
    }

    #[graphql(entity)]
    async fn find_trip_by_id(&self, id: ID) -> Trip {
        trip(id)
    }
}

pub struct CatalogSubscription(Arc<Live>);

#[Subscription]
impl CatalogSubscription {
    async fn seat_availability(&self, trip_id: ID) -> impl Stream<Item = SeatAvailability> + use<> {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        let guard = Open::new(self.0.open.clone());
        let version = self.0.version.subscribe();
        stream::unfold((version, true, trip_id, guard), |(mut version, first, trip_id, guard)| async move {
            if !first {
                version.changed().await.ok()?;
            }
            let number = *version.borrow_and_update();
            let kind = if first { "SNAPSHOT" } else { "CHANGES" };
            let event = SeatAvailability { trip_id: trip_id.clone(), version: number.to_string(), kind: kind.into() };
            Some((event, (version, false, trip_id, guard)))
        })
    }
}

struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub fn catalog(live: Arc<Live>) -> Arc<Served<CatalogQuery, EmptyMutation, CatalogSubscription>> {
    let schema = Schema::build(CatalogQuery(live.clone()), EmptyMutation, CatalogSubscription(live)).enable_federation().finish();
    Arc::new(Served(schema))
}

pub struct AccountsQuery;
pub struct AccountsMutation;
pub struct AccountsSubscription;

struct User(String);
struct FanOf(ID);

#[Object(name = "User")]
impl User {
    async fn id(&self) -> ID {
        self.0.clone().into()
    }

    async fn name(&self) -> String {
        format!("Name of {}", self.0)
    }

    async fn favourite(&self) -> FanOf {
        FanOf("7".into())
    }
}

#[Object(name = "Trip")]
impl FanOf {
    async fn id(&self) -> &ID {
        &self.0
    }

    async fn fan(&self) -> User {
        User("fan".into())
    }
}

struct Booking(ID, String);

#[Object]
impl Booking {
    async fn id(&self) -> &ID {
        &self.0
    }

    async fn viewer(&self) -> &str {
        &self.1
    }

    async fn secret(&self) -> String {
        format!("secret of {}", self.1)
    }

    async fn trip(&self) -> FanOf {
        FanOf("9".into())
    }
}

fn viewer(ctx: &Context<'_>) -> String {
    ctx.data_unchecked::<Viewer>().0.clone()
}

#[Object]
impl AccountsQuery {
    async fn me(&self, ctx: &Context<'_>) -> User {
        User(viewer(ctx))
    }

    async fn whoami(&self, ctx: &Context<'_>) -> String {
        viewer(ctx)
    }

    async fn audit(&self) -> &str {
        "all"
    }

    #[graphql(entity)]
    async fn find_trip_by_id(&self, id: ID) -> FanOf {
        FanOf(id)
    }

    #[graphql(entity)]
    async fn find_user_by_id(&self, id: ID) -> User {
        User(id.to_string())
    }
}

#[Object]
impl AccountsMutation {
    async fn rename(&self, ctx: &Context<'_>, name: String) -> User {
        User(format!("{}-{name}", viewer(ctx)))
    }
}

#[Subscription]
impl AccountsSubscription {
    async fn booking_status(&self, ctx: &Context<'_>, booking_id: ID) -> impl Stream<Item = Booking> + use<> {
        let viewer = viewer(ctx);
        stream::iter([Booking(booking_id, viewer)]).chain(stream::pending())
    }
}

pub fn accounts() -> Arc<Served<AccountsQuery, AccountsMutation, AccountsSubscription>> {
    Arc::new(Served(Schema::build(AccountsQuery, AccountsMutation, AccountsSubscription).enable_federation().finish()))
}

#[allow(dead_code)]
type Unused = EmptySubscription;

/// A schema with the rules of a subgraph: only the router may call.
pub struct Served<Q, M, S>(Schema<Q, M, S>);

fn subject(authorization: Option<&str>) -> Viewer {
    let claims = authorization
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|token| URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok())
        .and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
    Viewer(claims.and_then(|claims| Some(claims["sub"].as_str()?.to_owned())).unwrap_or_else(|| "nobody".into()))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[async_trait]
impl<Q, M, S> SubgraphCall for Served<Q, M, S>
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    async fn execute(&self, headers: HeaderMap, body: Bytes) -> Bytes {
        assert_eq!(header(&headers, "x-berth-service"), Some(SECRET));
        let seen = ["x-request-id", "x-berth-client", "authorization", "cookie"]
            .iter()
            .map(|name| format!("{name}: {}", header(&headers, name).unwrap_or("-")))
            .collect();
        let request: async_graphql::Request = serde_json::from_slice(&body).expect("a request");
        let request = request.data(subject(header(&headers, "authorization"))).data(Seen(seen));
        serde_json::to_vec(&self.0.execute(request).await).expect("a response").into()
    }
}

/// Serves a schema on a free port, as a network subgraph would.
pub async fn serve<Q, M, S>(served: Arc<Served<Q, M, S>>) -> String
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    let app = Router::new().route("/graphql", post(answer).get(upgrade)).with_state(served);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/graphql", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

async fn answer<Q, M, S>(State(served): State<Arc<Served<Q, M, S>>>, headers: HeaderMap, body: Bytes) -> Response
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    ([("content-type", "application/json")], served.execute(headers, body).await).into_response()
}

async fn upgrade<Q, M, S>(State(served): State<Arc<Served<Q, M, S>>>, upgrade: WebSocketUpgrade) -> Response
where
    Q: ObjectType + 'static,
    M: ObjectType + 'static,
    S: SubscriptionType + 'static,
{
    let schema = served.0.clone();
    upgrade.protocols(["graphql-transport-ws"]).on_upgrade(move |socket| async move {
        let (mut sink, source) = socket.split();
        let input = source.take_while(|message| std::future::ready(message.is_ok())).filter_map(async |message| match message {
            Ok(ws::Message::Text(text)) => Some(text.as_bytes().to_vec()),
            _ => None,
        });
        let mut output = Box::pin(
            async_graphql::http::WebSocket::new(schema, Box::pin(input), WebSocketProtocols::GraphQLWS).on_connection_init(
                |payload: serde_json::Value| async move {
                    if payload["x-berth-service"].as_str() != Some(SECRET) {
                        return Err(Error::new("only the router may call"));
                    }
                    let mut data = Data::default();
                    data.insert(subject(payload["authorization"].as_str()));
                    Ok(data)
                },
            ),
        );
        while let Some(message) = output.next().await {
            let message = match message {
                WsMessage::Text(text) => ws::Message::Text(text.into()),
                WsMessage::Close(..) => ws::Message::Close(None),
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
    })
}
