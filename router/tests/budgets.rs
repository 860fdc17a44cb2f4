//! Clients that ask for more work than they may, and work that ends with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use berth_router::{Budgets, Client};
use serde_json::json;
use support::{
    Rig, Way, code, read,
    socket::{Received, Socket},
    token,
};

const WAIT: Duration = Duration::from_millis(1_234);

/// Remembers who asked, and refuses while it is told to.
#[derive(Default)]
struct Book {
    closed: AtomicBool,
    asked: Mutex<Vec<Client>>,
    settled: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Budgets for Book {
    async fn take(&self, client: &Client, _: Duration) -> Result<(), Duration> {
        self.asked.lock().unwrap().push(client.clone());
        if self.closed.load(Ordering::SeqCst) { Err(WAIT) } else { Ok(()) }
    }

    fn settle(&self, _: &Client, _: Duration, used: Duration) {
        self.settled.lock().unwrap().push(used);
    }
}

async fn rig() -> (Rig, Arc<Book>) {
    let book = Arc::new(Book::default());
    let budgets = book.clone();
    (Rig::with(Way::InProcess, |config| config.budgets = budgets).await, book)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_must_wait_is_told_so_on_every_way_in() {
    let (rig, book) = rig().await;
    book.closed.store(true, Ordering::SeqCst);
    let body = json!({ "query": "{ slow(ms: 1) }" });
    let watch = json!({ "query": "subscription { seatAvailability(tripId: 1) { version kind } }" });
    let get = rig.client.get(rig.url("/graphql?query=%7Bslow(ms:1)%7D")).header("accept", "application/json");
    let stream = |accept: &str| rig.post(&watch).header("accept", accept.to_owned());
    let ways = [
        ("POST", rig.post(&body)),
        ("GET", get),
        ("SSE", stream("text/event-stream")),
        ("multipart", stream("multipart/mixed;subscriptionSpec=1.0, application/json")),
    ];
    for (way, request) in ways {
        let answer = request.try_clone().expect("a copy").send().await.expect("an answer");
        assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"2".parse().unwrap()), "{way}");
        let (_, body) = read(request).await;
        let extensions = &body["errors"][0]["extensions"];
        assert_eq!((code(&body), &extensions["retryAfterMs"]), ("RATE_LIMITED", &json!(1_234)), "{way}: {body}");
        assert_eq!(extensions["retryable"], json!(true), "{way}");
    }
    let mut socket = Socket::ready(&rig, None).await;
    socket.subscribe("1", "{ slow(ms: 1) }").await;
    let message = socket.message().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], json!("RATE_LIMITED"), "{message}");
    assert_eq!(message["payload"][0]["extensions"]["retryAfterMs"], json!(1_234), "{message}");
    book.closed.store(false, Ordering::SeqCst);
    socket.subscribe("2", "{ slow(ms: 1) }").await;
    assert!(matches!(socket.next().await, Received::Message(message) if message["payload"]["data"]["slow"] == json!(1)));
    assert_eq!(rig.live.executions.load(Ordering::SeqCst), 1, "what was refused did not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_an_address_then_an_account() {
    let (rig, book) = rig().await;
    let body = json!({ "query": "{ whoami }" });
    let from = |forwarded: &str| rig.post(&body).header("x-forwarded-for", forwarded.to_owned());
    read(from("6.6.6.6, 203.0.113.9")).await;
    read(from("2001:db8:1:2::7").bearer_auth(token("ann"))).await;
    read(from("10.0.0.7")).await;
    let mut asked = book.asked.lock().unwrap().clone();
    asked.dedup();
    let asked: Vec<_> = asked
        .iter()
        .map(|client| (client.network.map(|network| network.to_string()), client.account.as_deref().map(str::to_owned)))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(asked, [(text("203.0.113.9"), None), (text("2001:db8:1:2::/64"), text("ann")), (None, None)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_settled_by_what_it_took_however_it_ends() {
    let (rig, book) = rig().await;
    read(rig.post(&json!({ "query": "{ slow(ms: 300) }" }))).await;
    let settled = book.settled.lock().unwrap().clone();
    assert_eq!(settled.len(), 1);
    assert!(settled[0] < Duration::from_millis(250), "waiting is no work: {settled:?}");
    read(rig.post(&json!({ "query": "{ nothing }" }))).await;
    let gone = tokio::time::timeout(Duration::from_millis(300), rig.query("{ slow(ms: 5000) }", None)).await;
    assert!(gone.is_err());
    until(|| book.settled.lock().unwrap().len() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_when_its_client_leaves() {
    let (rig, _) = rig().await;
    let gone = tokio::time::timeout(Duration::from_millis(500), rig.query("{ slow(ms: 30000) }", None)).await;
    assert!(gone.is_err());
    assert_eq!(rig.live.executions.load(Ordering::SeqCst), 1, "it ran");
    until(|| rig.live.running.load(Ordering::SeqCst) == 0).await;
    let mut socket = Socket::ready(&rig, None).await;
    socket.subscribe("1", "{ slow(ms: 30000) }").await;
    until(|| rig.live.running.load(Ordering::SeqCst) == 1).await;
    socket.send(&json!({ "id": "1", "type": "complete" })).await;
    until(|| rig.live.running.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_at_its_limit() {
    let rig = Rig::with(Way::InProcess, |config| config.limits.execution = Duration::from_millis(500)).await;
    let (_, body) = rig.query("{ slow(ms: 30000) }", None).await;
    assert!(matches!(code(&body), "GATEWAY_TIMEOUT" | "SERVICE_UNAVAILABLE"), "{body}");
    until(|| rig.live.running.load(Ordering::SeqCst) == 0).await;
}

async fn until(done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(3), "it does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
