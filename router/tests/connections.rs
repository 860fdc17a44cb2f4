//! Connections that come to no end by themselves, and more of them than there may be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::{net::IpAddr, sync::atomic::Ordering, time::Duration};

use berth_router::RouterConfig;
use futures_util::future::join_all;
use support::{
    Rig, Way,
    raw::{End, Raw},
};
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_secs(4);

async fn impatient(change: impl FnOnce(&mut RouterConfig)) -> Rig {
    Rig::with(Way::InProcess, |config| {
        config.limits.arrival = Duration::from_secs(1);
        change(config);
    })
    .await
}

async fn ended(raw: Raw, what: &str) -> End {
    raw.end(SOON).await.unwrap_or_else(|| panic!("{what}: the connection is still open after {SOON:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_told_to_close_is_closed() {
    const EACH: usize = 25;
    let rig = Rig::with(Way::InProcess, |config| config.limits.live_clients = 4 * EACH).await;
    let cases = [
        ("4400", "graphql-transport-ws", vec!["nonsense"]),
        ("4401", "graphql-transport-ws", vec![r#"{"id":"1","type":"subscribe","payload":{"query":"{a}"}}"#]),
        ("4406", "nonsense", vec![]),
        ("4429", "graphql-transport-ws", vec![r#"{"type":"connection_init"}"#, r#"{"type":"connection_init"}"#]),
    ];
    let mut sockets = Vec::new();
    for (code, protocol, texts) in cases {
        for _ in 0..EACH {
            let mut raw = Raw::open(rig.router.address()).await;
            raw.upgrade(protocol).await;
            for text in &texts {
                raw.text(text).await;
            }
            sockets.push((code, raw));
        }
    }
    sleep(Duration::from_millis(500)).await;
    // Their places are free before they are closed.
    let mut next = Raw::open(rig.router.address()).await;
    next.upgrade("graphql-transport-ws").await;
    let open =
        join_all(sockets.into_iter().map(|(code, raw)| async move { raw.end(SOON).await.is_none().then_some(code) })).await;
    let open: Vec<_> = open.into_iter().flatten().collect();
    assert!(open.is_empty(), "{} of {} are open: {open:?}", open.len(), 4 * EACH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let rig = impatient(|_| {}).await;
    for path in ["/graphql", "/webhooks/payments/any", "/me/avatar"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: berth\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n");
        let mut silent = Raw::open(rig.router.address()).await;
        silent.send(head.as_bytes()).await;
        let end = ended(silent, path).await;
        assert!(end.heard.starts_with("HTTP/1.1 408") && end.heard.contains("REQUEST_TIMEOUT"), "{path}: {}", end.heard);
        assert!(end.after >= Duration::from_millis(900), "{path}: after {:?}", end.after);
        let mut slow = Raw::open(rig.router.address()).await;
        slow.send(head.as_bytes()).await;
        for _ in 0..3 {
            slow.send(b" ").await;
            sleep(Duration::from_millis(200)).await;
        }
        ended(slow, path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_slowly_but_at_the_least_rate_is_waited_for() {
    let rig = impatient(|config| config.limits.body_rate = 20).await;
    let body = format!(r#"{{"query":"{{ whoami }}","extensions":{{"x":"{}"}}}}"#, "y".repeat(60));
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: berth\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut raw = Raw::open(rig.router.address()).await;
    raw.send(head.as_bytes()).await;
    for part in body.as_bytes().chunks(25) {
        raw.send(part).await;
        sleep(Duration::from_millis(500)).await;
    }
    let end = ended(raw, "a slow body").await;
    assert!(end.heard.starts_with("HTTP/1.1 200"), "{}", end.heard);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let rig = impatient(|_| {}).await;
    for beginning in ["", "GET /graphql?query={whoami} HTTP/1.1\r\nhost: ber"] {
        let mut raw = Raw::open(rig.router.address()).await;
        raw.send(beginning.as_bytes()).await;
        ended(raw, beginning).await;
    }
    let mut drop_by_drop = Raw::open(rig.router.address()).await;
    let started = Instant::now();
    while started.elapsed() < SOON && tokio::io::AsyncWriteExt::write_all(&mut drop_by_drop.0, b"x").await.is_ok() {
        sleep(Duration::from_millis(200)).await;
    }
    assert!(started.elapsed() < SOON, "a byte now and then keeps a connection open");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_has_so_many_connections_and_all_together_so_many() {
    let rig = impatient(|config| {
        config.trusted_proxies = 0;
        config.private_clients = true;
        config.limits.arrival = Duration::from_secs(20);
        config.limits.connections = 8;
        config.limits.connections_of_client = 5;
    })
    .await;
    let connect = |ip: [u8; 4]| Raw::from(IpAddr::from(ip), rig.router.address());
    let mut greedy = join_all((0..5).map(|_| connect([127, 0, 0, 1]))).await;
    sleep(Duration::from_millis(100)).await;
    let end = ended(connect([127, 0, 0, 1]).await, "the sixth").await;
    assert!(end.heard.contains("503") && end.heard.contains("TOO_MANY_CONNECTIONS"), "{}", end.heard);
    let mut others = join_all((2..5).map(|last| connect([127, 0, 0, last]))).await;
    for other in &mut others {
        other.send(b"GET /any HTTP/1.1\r\nhost: berth\r\n\r\n").await;
        let mut start = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut other.0, &mut start).await.expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 202");
    }
    let end = ended(connect([127, 0, 0, 9]).await, "the ninth of all").await;
    assert!(end.heard.contains("TOO_MANY_CONNECTIONS"), "{}", end.heard);
    drop(greedy.pop());
    sleep(Duration::from_millis(300)).await;
    let mut next = connect([127, 0, 0, 1]).await;
    next.send(b"GET /any HTTP/1.1\r\nhost: berth\r\nconnection: close\r\n\r\n").await;
    assert!(ended(next, "the next").await.heard.starts_with("HTTP/1.1 202"), "a place that was given back is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_ended() {
    let rig = Rig::with(Way::Http, |config| config.limits.stall = Duration::from_secs(1)).await;
    let watch = "subscription { seatAvailability(tripId: 1) { version kind tripId } }";
    let body = serde_json::json!({ "query": watch }).to_string();
    for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let mut raw = Raw::from([127, 0, 0, 1].into(), rig.router.address()).await;
        raw.send(
            format!(
                "POST /graphql HTTP/1.1\r\nhost: berth\r\naccept: {accept}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
        .await;
        silence_is_ended(&rig, accept).await;
    }
    let mut socket = Raw::from([127, 0, 0, 1].into(), rig.router.address()).await;
    socket.upgrade("graphql-transport-ws").await;
    socket.text(r#"{"type":"connection_init"}"#).await;
    socket.text(&serde_json::json!({ "id": "1", "type": "subscribe", "payload": { "query": watch } }).to_string()).await;
    silence_is_ended(&rig, "websocket").await;
}

/// Changes go on until nobody watches any more.
async fn silence_is_ended(rig: &Rig, what: &str) {
    let started = Instant::now();
    while rig.live.open.load(Ordering::SeqCst) == 0 {
        assert!(started.elapsed() < SOON, "{what}: it never watched");
        sleep(Duration::from_millis(5)).await;
    }
    let started = Instant::now();
    while rig.live.open.load(Ordering::SeqCst) > 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}: it still watches");
        for _ in 0..50 {
            rig.live.change();
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(5)).await;
    }
}
