//! Calls between processes, over real listeners on the loopback interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bundles;
mod standing;
mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::{extract::Request, http::StatusCode, middleware, response::IntoResponse};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_contracts::{
    Money,
    peer::{BookingPeer, Payable, PeerError, PeerResult},
};
use berth_kernel::{
    auth::SignKey,
    clock::Clock,
    peer::{
        Passed,
        client::Remote,
        server::{self, Desk},
    },
    service::{CredentialError, ServiceKey, ServiceSigner, ServiceVerifier},
};
use chrono::TimeDelta;
use http::HeaderMap;
use serde_json::json;
use uuid::Uuid;

use self::world::{World, nobody, serve};

/// A service `booking` behind its desk.
impl World {
    fn desk(&self) -> Desk {
        Desk::new(self.services("booking"), self.tokens())
    }

    /// A replica of booking, and the requests it saw.
    async fn replica(&self, manner: Manner) -> Replica {
        let seen = Arc::new(AtomicUsize::new(0));
        let counted = seen.clone();
        let moody = middleware::from_fn(move |request: Request, next: middleware::Next| {
            let count = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                match manner {
                    Manner::Well => next.run(request).await,
                    Manner::BusyFor(times) if count >= times => next.run(request).await,
                    Manner::BusyFor(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                    Manner::Silent => std::future::pending().await,
                }
            }
        });
        let routes = server::booking(Arc::new(Desk7), self.desk()).layer(moody);
        Replica { url: serve(routes).await, seen }
    }

    fn remote(&self, urls: &[&str]) -> Remote {
        remote(self.signer("payment"), urls)
    }
}

fn remote(signer: ServiceSigner, urls: &[&str]) -> Remote {
    let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
    Remote::new(signer, "booking", &urls).unwrap()
}

#[derive(Clone, Copy)]
enum Manner {
    Well,
    BusyFor(usize),
    Silent,
}

struct Replica {
    url: String,
    seen: Arc<AtomicUsize>,
}

impl Replica {
    fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// Booking 7 exists; booking 0 makes it panic; nothing else is found.
struct Desk7;

const SEVEN: Uuid = Uuid::from_u128(7);
const ANN: Uuid = Uuid::from_u128(1);
const BEN: Uuid = Uuid::from_u128(2);

#[async_trait]
impl BookingPeer for Desk7 {
    async fn payable(&self, user_id: Uuid, booking_id: Uuid) -> PeerResult<Payable> {
        assert_ne!(booking_id, Uuid::nil(), "the test asked for a panic");
        if booking_id != SEVEN {
            return Err(PeerError::NotFound);
        }
        let total = Money::from_major(50_000, berth_contracts::Currency::IDR).unwrap();
        Ok(Payable { booking_id, user_id, code: "SEVEN".into(), total, status: "PENDING_PAYMENT".into(), pay_until: None })
    }

    async fn payment_started(&self, _: Uuid) -> PeerResult<Payable> {
        Err(PeerError::Unavailable("the database is away".into()))
    }

    async fn payment_changed(&self, _: Uuid) -> PeerResult<()> {
        Ok(())
    }
}

fn unavailable<T: std::fmt::Debug>(answer: PeerResult<T>) -> String {
    match answer {
        Err(PeerError::Unavailable(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_peer_answers_and_refuses_as_in_process() {
    let world = World::new();
    let replica = world.replica(Manner::Well).await;
    let remote = world.remote(&[&replica.url]);
    assert_eq!(remote.payable(ANN, SEVEN).await, Desk7.payable(ANN, SEVEN).await);
    assert_eq!(remote.payable(ANN, ANN).await, Err(PeerError::NotFound));
    assert_eq!(remote.payment_changed(SEVEN).await, Ok(()));
    assert_eq!(replica.seen(), 3);
    assert_eq!(remote.payment_started(SEVEN).await, Err(PeerError::Unavailable("the database is away".into())));
    assert_eq!(replica.seen(), 4, "a typed answer is not asked for again");
    unavailable(remote.payable(ANN, Uuid::nil()).await);
    assert_eq!(replica.seen(), 5, "a panic is no reason to repeat");
}

#[tokio::test]
async fn the_user_travels_along_and_others_are_not_shown() {
    let world = World::new();
    let replica = world.replica(Manner::Well).await;
    let remote = world.remote(&[&replica.url]);
    let passed = |token: String| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", token.parse().unwrap());
        Passed::of(&headers)
    };
    let ask = || remote.payable(ANN, SEVEN);
    assert!(passed(world.token(ANN)).scope(tracing::Span::none(), ask()).await.is_ok());
    assert_eq!(passed(world.token(BEN)).scope(tracing::Span::none(), ask()).await, Err(PeerError::NotFound));
    let foreign = World::new();
    assert!(unavailable(passed(foreign.token(ANN)).scope(tracing::Span::none(), ask()).await).contains("401"));
    let old = passed(world.token(ANN));
    world.clock.advance(TimeDelta::minutes(10));
    assert!(unavailable(old.scope(tracing::Span::none(), ask()).await).contains("401"));
}

#[tokio::test]
async fn a_busy_peer_is_asked_twice_more_at_most() {
    let world = World::new();
    let soon = world.replica(Manner::BusyFor(2)).await;
    assert!(world.remote(&[&soon.url]).payable(ANN, SEVEN).await.is_ok());
    assert_eq!(soon.seen(), 3);
    let never = world.replica(Manner::BusyFor(100)).await;
    assert!(unavailable(world.remote(&[&never.url]).payable(ANN, SEVEN).await).contains("503"));
    assert_eq!(never.seen(), 3);
}

#[tokio::test]
async fn a_silent_peer_costs_the_deadline_and_the_callers_own_is_shorter() {
    let world = World::new();
    let silent = world.replica(Manner::Silent).await;
    let remote = world.remote(&[&silent.url]).with_limit(Duration::from_millis(400));
    let started = Instant::now();
    unavailable(remote.payable(ANN, SEVEN).await);
    assert!((400..1_500).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert_eq!(silent.seen(), 1, "late is late");
    let mut headers = HeaderMap::new();
    headers.insert("x-berth-timeout-ms", "100".parse().unwrap());
    let started = Instant::now();
    unavailable(Passed::of(&headers).scope(tracing::Span::none(), remote.payable(ANN, SEVEN)).await);
    assert!((100..390).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_silent_replica_costs_half_of_the_time() {
    let world = World::new();
    let (silent, well) = (world.replica(Manner::Silent).await, world.replica(Manner::Well).await);
    let remote = world.remote(&[&silent.url, &well.url]).with_limit(Duration::from_secs(1));
    remote.payable(ANN, SEVEN).await.unwrap();
    assert_eq!((silent.seen(), well.seen()), (1, 1));
}

#[tokio::test]
async fn replicas_take_turns_and_one_that_is_gone_is_passed_over() {
    let world = World::new();
    let (one, two) = (world.replica(Manner::Well).await, world.replica(Manner::Well).await);
    let remote = world.remote(&[&one.url, &two.url]);
    for _ in 0..10 {
        remote.payable(ANN, SEVEN).await.unwrap();
    }
    assert_eq!((one.seen(), two.seen()), (5, 5));
    let gone = nobody().await;
    let remote = world.remote(&[&gone, &two.url]);
    let started = Instant::now();
    for _ in 0..10 {
        remote.payable(ANN, SEVEN).await.unwrap();
    }
    assert_eq!(two.seen(), 15);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_breaker_opens_after_five_failures_and_closes_when_the_peer_is_well() {
    let world = World::new();
    let replica = world.replica(Manner::BusyFor(6)).await;
    let remote = world.remote(&[&replica.url]);
    unavailable(remote.payable(ANN, SEVEN).await);
    assert_eq!(replica.seen(), 3);
    unavailable(remote.payable(ANN, SEVEN).await);
    assert_eq!(replica.seen(), 5, "the fifth failure opened it: the sixth request was not sent");
    assert!(unavailable(remote.payable(ANN, SEVEN).await).contains("for a while"));
    assert_eq!(replica.seen(), 5);
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    unavailable(remote.payable(ANN, SEVEN).await);
    assert_eq!(replica.seen(), 6, "half open: one request, which failed");
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    remote.payable(ANN, SEVEN).await.unwrap();
    remote.payable(ANN, SEVEN).await.unwrap();
    assert_eq!(replica.seen(), 8, "closed again");
}

async fn status(url: &str, credential: Option<&str>) -> (u16, String) {
    let mut request = reqwest::Client::new().post(format!("{url}/peer/payable")).json(&json!({
        "user_id": ANN, "booking_id": SEVEN
    }));
    if let Some(credential) = credential {
        request = request.header("x-berth-service", credential);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: serde_json::Value = answer.json().await.unwrap();
    (status, body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(code: &str) -> (u16, String) {
    (403, code.to_owned())
}

#[tokio::test]
async fn only_services_with_a_good_credential_get_in() {
    let world = World::new();
    let payment = world.signer("payment");
    let url = world.replica(Manner::Well).await.url;
    let (good, elsewhere) = (payment.credential("booking"), payment.credential("inventory"));
    assert_eq!(status(&url, Some(&good)).await.0, 200);
    assert_eq!(status(&url, None).await, refused("SERVICE_CREDENTIAL_MISSING"));
    assert_eq!(status(&url, Some(&elsewhere)).await, refused("SERVICE_CREDENTIAL_INVALID"));
    let router = world.signer("router").credential("booking");
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    assert_eq!(status(&url, Some(&router)).await, refused("SERVICE_CALLER_FORBIDDEN"));
    let forger = World::new().signer("payment").credential("booking");
    assert_eq!(status(&url, Some(&forger)).await, refused("SERVICE_CREDENTIAL_INVALID"));
    for header in [json!({ "alg": "none", "typ": "service+jwt" }), json!({ "alg": "HS256", "typ": "service+jwt" })] {
        let rest = good.split_once('.').unwrap().1;
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        assert_eq!(status(&url, Some(&forged)).await, refused("SERVICE_CREDENTIAL_INVALID"));
    }
    let user = world.token(ANN);
    assert_eq!(status(&url, user.strip_prefix("Bearer ")).await, refused("SERVICE_CREDENTIAL_INVALID"));
    world.clock.advance(TimeDelta::minutes(8));
    assert_eq!(status(&url, Some(&good)).await, refused("SERVICE_CREDENTIAL_EXPIRED"));
    assert_eq!(status(&url, Some(&payment.credential("booking"))).await.0, 200, "renewed");
}

#[test]
fn clocks_may_be_five_minutes_apart_and_not_more_than_seven() {
    let world = World::new();
    for (minutes, known) in
        [(-5, Ok(())), (0, Ok(())), (5, Ok(())), (-8, Err(CredentialError::Expired)), (8, Err(CredentialError::Expired))]
    {
        let credential = world.signer("worker").credential("user");
        let there = ServiceVerifier::new(world.keys.path(), "user", Clock::shifted(TimeDelta::minutes(minutes)));
        assert_eq!(there.verify(&credential).map(drop), known, "{minutes} minutes");
    }
}

#[test]
fn a_caller_that_comes_later_becomes_known() {
    let world = World::new();
    let verifier = ServiceVerifier::new(world.keys.path(), "user", world.clock.clone());
    let credential = world.signer("booking").credential("user");
    assert_eq!(verifier.verify(&credential).as_deref(), Ok("booking"));
    let another = World::new();
    let stranger = another.signer("worker").credential("user");
    assert_eq!(verifier.verify(&stranger), Err(CredentialError::Invalid));
}

#[test]
fn processes_that_start_together_agree_on_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let made: Vec<(String, Vec<u8>)> = std::thread::scope(|scope| {
        let start = || {
            let key = SignKey::load_or_create(&folder.path().join("access.pem")).unwrap();
            let sealer = berth_kernel::seal::Sealer::load_or_create(&folder.path().join("data.key")).unwrap();
            ServiceKey::load_or_create(folder.path(), "user").unwrap();
            (key.public(), sealer.hash("same", "secret").into_bytes())
        };
        let started: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|keys| *keys == made[0]), "{made:?}");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "no drafts are left: {names:?}");
}
