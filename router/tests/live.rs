//! Subscriptions through the front door: WebSocket, server-sent events, multipart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::{sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use support::{
    Rig, Way, claims, now, signed,
    socket::{Received, Socket},
    token,
};

const SEATS: &str = "subscription { seatAvailability(tripId: \"1\") { version kind } }";

fn seats(message: &Value) -> (String, u64) {
    let event = &message["payload"]["data"]["seatAvailability"];
    let version = event["version"].as_str().and_then(|version| version.parse().ok());
    (event["kind"].as_str().unwrap_or_default().to_owned(), version.unwrap_or_else(|| panic!("no version: {message}")))
}

async fn eventually(what: &str, check: impl Fn() -> bool) {
    for _ in 0..100 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_queries_mutates_and_subscribes() {
    for way in [Way::InProcess, Way::Http] {
        let rig = Rig::start(way).await;
        let mut socket = Socket::ready(&rig, Some(&token("ann"))).await;
        socket.subscribe("q", "{ me { name favourite { name } } }").await;
        let answer = socket.message().await;
        assert_eq!((&answer["id"], &answer["type"]), (&json!("q"), &json!("next")));
        assert_eq!(answer["payload"]["data"]["me"]["name"], json!("Name of ann"));
        assert_eq!(socket.message().await, json!({ "id": "q", "type": "complete" }));
        socket.subscribe("m", "mutation { rename(name: \"x\") { id } }").await;
        assert_eq!(socket.message().await["payload"]["data"]["rename"]["id"], json!("ann-x"));
        assert_eq!(socket.message().await["type"], json!("complete"));
        socket.subscribe("s", "subscription { bookingStatus(bookingId: 5) { id viewer trip { name } } }").await;
        let booking = &socket.message().await["payload"]["data"]["bookingStatus"];
        assert_eq!(booking["viewer"], json!("ann"));
        assert!(booking["trip"]["name"].as_str().unwrap().contains('9'), "entity of another subgraph");
        socket.send(&json!({ "id": "s", "type": "complete" })).await;
        socket.send(&json!({ "type": "ping" })).await;
        assert_eq!(socket.message().await, json!({ "type": "pong" }));
        socket.subscribe("e", "{ nothing }").await;
        let refused = socket.message().await;
        assert_eq!((&refused["type"], refused["payload"].is_array()), (&json!("error"), true));
        assert!(refused["payload"][0]["extensions"]["code"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_follow_the_protocol() {
    let rig = Rig::start(Way::InProcess).await;
    let mut early = Socket::open(&rig).await;
    early.subscribe("1", SEATS).await;
    assert_eq!(early.next().await, Received::Closed(4401));
    let mut twice = Socket::ready(&rig, None).await;
    twice.init(None).await;
    assert_eq!(twice.next().await, Received::Closed(4429));
    let mut garbage = Socket::ready(&rig, None).await;
    garbage.send(&json!([1])).await;
    assert_eq!(garbage.next().await, Received::Closed(4400));
    let mut same = Socket::ready(&rig, None).await;
    same.subscribe("1", SEATS).await;
    assert_eq!(same.message().await["type"], json!("next"));
    same.subscribe("1", SEATS).await;
    assert_eq!(same.next().await, Received::Closed(4409));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_closes_the_socket() {
    let rig = Rig::start(Way::InProcess).await;
    let mut expired = claims("ann");
    expired["exp"] = json!(now() - 1);
    let mut socket = Socket::open(&rig).await;
    socket.init(Some(&signed("at+jwt", &expired))).await;
    assert_eq!(socket.next().await, Received::Closed(4403));
    let mut socket = Socket::open(&rig).await;
    socket.init(Some("nonsense")).await;
    assert_eq!(socket.next().await, Received::Closed(4401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_stream_ends_with_its_token() {
    let rig = Rig::start(Way::InProcess).await;
    let mut short = claims("ann");
    short["exp"] = json!(now() + 3);
    let mut socket = Socket::ready(&rig, Some(&signed("at+jwt", &short))).await;
    socket.subscribe("s", "subscription { bookingStatus(bookingId: 5) { id } }").await;
    assert_eq!(socket.message().await["type"], json!("next"));
    let end = socket.message().await;
    assert_eq!((&end["type"], &end["payload"][0]["extensions"]["code"]), (&json!("error"), &json!("TOKEN_EXPIRED")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_stream_over_http_ends_with_its_token() {
    let rig = Rig::start(Way::InProcess).await;
    let mut short = claims("ann");
    short["exp"] = json!(now() + 3);
    let token = signed("at+jwt", &short);
    let query = "subscription { bookingStatus(bookingId: 5) { id } }";
    let text = stream_text(&rig, query, "text/event-stream", Some(&token), "event: complete").await;
    assert!(text.contains("TOKEN_EXPIRED"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_never_share_a_private_stream() {
    let rig = Rig::start(Way::InProcess).await;
    let mut sockets = Vec::new();
    for number in 0..10 {
        let user = format!("user{number}");
        let mut socket = Socket::ready(&rig, Some(&token(&user))).await;
        socket.subscribe("s", "subscription { bookingStatus(bookingId: 5) { viewer secret } }").await;
        sockets.push((user, socket));
    }
    for (user, socket) in &mut sockets {
        let booking = &socket.message().await["payload"]["data"]["bookingStatus"];
        assert_eq!(booking, &json!({ "viewer": user, "secret": format!("secret of {user}") }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_of_one_feed_share_it_and_each_begins_with_a_snapshot() {
    let rig = Rig::with(Way::InProcess, |config| config.workers = Some(1)).await;
    let mut sockets = Vec::new();
    for number in 0..6 {
        let token = (number % 2 == 0).then(|| token(&format!("user{number}")));
        let mut socket = Socket::ready(&rig, token.as_deref()).await;
        socket.subscribe("live", SEATS).await;
        let (kind, _) = seats(&socket.message().await);
        assert_eq!(kind, "SNAPSHOT", "late or early, the first event is the whole map");
        sockets.push(socket);
        rig.live.change();
    }
    eventually("one upstream", || rig.live.open.load(Ordering::SeqCst) == 1).await;
    let last = rig.live.change();
    for socket in &mut sockets {
        let mut version = 0;
        while version < last {
            let (_, next) = seats(&socket.message().await);
            assert!(next > version, "{next} after {version}");
            version = next;
        }
    }
    drop(sockets);
    eventually("nobody watches", || rig.live.open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_has_a_bounded_number_of_operations() {
    let rig = Rig::start(Way::InProcess).await;
    let mut socket = Socket::ready(&rig, None).await;
    for number in 0..20 {
        socket.subscribe(&format!("s{number}"), SEATS).await;
    }
    socket.subscribe("more", SEATS).await;
    loop {
        let message = socket.message().await;
        if message["id"] == json!("more") {
            assert_eq!(message["payload"][0]["extensions"]["code"], json!("SUBSCRIPTION_LIMIT_EXCEEDED"));
            return;
        }
    }
}

async fn stream_text(rig: &Rig, query: &str, accept: &str, token: Option<&str>, until: &str) -> String {
    let mut request = rig.post(&json!({ "query": query }));
    request = request.header("accept", accept);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut request = request.build().unwrap();
    request.headers_mut().insert("accept", accept.parse().unwrap());
    let mut response = rig.client.execute(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    while !text.contains(until) {
        let chunk = tokio::time::timeout(Duration::from_secs(5), response.chunk()).await.expect("in time").unwrap();
        text.push_str(std::str::from_utf8(&chunk.expect("more")).unwrap());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_over_http() {
    let rig = Rig::start(Way::InProcess).await;
    let sse = stream_text(&rig, SEATS, "text/event-stream", None, "SNAPSHOT").await;
    assert!(sse.starts_with(":\n\nevent: next\ndata: {\"data\":{\"seatAvailability\""), "{sse}");
    let private = "subscription { bookingStatus(bookingId: 5) { viewer } }";
    let sse = stream_text(&rig, private, "text/event-stream", Some(&token("ann")), "}\n\n").await;
    assert!(sse.contains("\"viewer\":\"ann\""), "{sse}");
    let apollo = "multipart/mixed;subscriptionSpec=\"1.0\", application/json";
    for query in [SEATS, private] {
        let multipart = stream_text(&rig, query, apollo, Some(&token("ann")), "\"data\"").await;
        assert!(multipart.contains("{\"payload\":{\"data\""), "{multipart}");
        assert!(multipart.ends_with("\r\n--graphql"), "an event is whole when it is sent: {multipart}");
    }
    let sse = stream_text(&rig, "{ whoami }", "text/event-stream", None, "complete").await;
    assert!(sse.contains("\"whoami\":\"nobody\""), "{sse}");
    let plain = rig.query(SEATS, None).await;
    assert!(plain.1["errors"][0]["extensions"]["code"].is_string(), "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_closes_sockets() {
    let rig = Rig::start(Way::InProcess).await;
    let mut socket = Socket::ready(&rig, None).await;
    socket.subscribe("s", SEATS).await;
    assert_eq!(socket.message().await["type"], json!("next"));
    let Rig { router, .. } = rig;
    let stopped = tokio::spawn(router.stop());
    let closed = loop {
        match socket.next().await {
            Received::Message(_) => {}
            other => break other,
        }
    };
    assert!(matches!(closed, Received::Closed(_)), "{closed:?}");
    stopped.await.unwrap().unwrap();
}
