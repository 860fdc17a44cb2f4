//! Calls of a front door to a graph in another process, over real listeners on the loopback interface.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_graphql::{Context, EmptySubscription, Object, Schema};
use axum::{
    body::Body,
    extract::Request,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
};
use berth_kernel::{
    auth::Viewer,
    peer::{
        Answer, Call, Failure, Line, Repeat,
        bundle::{self, Bundler},
    },
    server::Door,
};
use futures_util::{StreamExt, future::join_all, stream};
use http::{HeaderMap, Method};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::world::{World, nobody, serve};

struct Query;

#[Object]
impl Query {
    async fn me(&self, context: &Context<'_>) -> Option<String> {
        context.data_unchecked::<Viewer>().user_id().map(|user_id| user_id.to_string())
    }

    async fn number(&self, number: i32, after_ms: Option<u64>) -> i32 {
        tokio::time::sleep(Duration::from_millis(after_ms.unwrap_or(0))).await;
        number
    }
}

struct Mutation(Arc<AtomicUsize>);

#[Object]
impl Mutation {
    async fn count(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// How a replica takes bundles.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Well,
    /// It is of an older release.
    NotAtAll,
    /// It does what they ask, answers one call, and is gone.
    BreaksOff,
    Silent,
}

struct Replica {
    url: String,
    bundles: Arc<AtomicUsize>,
    alone: Arc<AtomicUsize>,
    counted: Arc<AtomicUsize>,
}

impl Replica {
    /// Bundles, and calls that came alone.
    fn seen(&self) -> (usize, usize) {
        (self.bundles.load(Ordering::SeqCst), self.alone.load(Ordering::SeqCst))
    }
}

/// A service `inventory` with a graph.
impl World {
    fn bundler(&self, replicas: &[&str]) -> Bundler {
        let urls: Vec<String> = replicas.iter().map(|url| (*url).to_owned()).collect();
        Bundler::new(Line::new(self.signer("router"), "inventory", &urls).unwrap())
    }

    async fn graph(&self, manner: Manner) -> Replica {
        self.signer("router");
        let counted = Arc::new(AtomicUsize::new(0));
        let schema = Schema::new(Query, Mutation(counted.clone()), EmptySubscription);
        let (tokens, services) = (self.tokens(), self.services("inventory"));
        let door = Door::guarded(schema, Arc::new(|request, _| request), tokens, services, CancellationToken::new());
        let (bundles, alone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = (bundles.clone(), alone.clone());
        let moody = middleware::from_fn(move |request: Request, next: middleware::Next| {
            let is_bundle = request.uri().path() == bundle::PATH;
            let counter = if is_bundle { &seen.0 } else { &seen.1 };
            counter.fetch_add(1, Ordering::SeqCst);
            async move {
                match manner {
                    Manner::NotAtAll if is_bundle => StatusCode::NOT_FOUND.into_response(),
                    Manner::BreaksOff if is_bundle => broken_off(next.run(request).await).await,
                    Manner::Silent if is_bundle => std::future::pending().await,
                    _ => next.run(request).await,
                }
            }
        });
        let routes = door.routes().layer(moody);
        Replica { url: serve(routes).await, bundles, alone, counted }
    }
}

/// The first of the answers, then a connection that ends in the middle of the next.
async fn broken_off(response: Response) -> Response {
    let whole = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let length = u32::from_be_bytes(whole[4..8].try_into().unwrap());
    let first = whole.slice(..8 + usize::try_from(length).unwrap() + 3);
    let pieces = stream::iter([Ok(first)]).chain(stream::once(async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("gone"))
    }));
    Body::from_stream(pieces).into_response()
}

fn call(query: &str, repeat: Repeat) -> Call<'static> {
    let body = json!({ "query": query }).to_string().into();
    let deadline = Instant::now() + Duration::from_secs(3);
    Call { method: Method::POST, path: "/graphql", headers: HeaderMap::new(), body, repeat, deadline }
}

fn number(number: i32, after_ms: u64) -> Call<'static> {
    call(&format!("{{ number(number: {number}, afterMs: {after_ms}) }}"), Repeat::Safe)
}

fn said(answer: Result<Answer, Failure>) -> Value {
    serde_json::from_slice::<Value>(answer.expect("an answer").body()).expect("JSON")["data"].clone()
}

/// Each call got the answer to its own question.
fn assert_numbered(answers: Vec<Result<Answer, Failure>>, count: i32) {
    let expected: Vec<Value> = (0..count).map(|number| json!({ "number": number })).collect();
    assert_eq!(answers.into_iter().map(said).collect::<Vec<_>>(), expected);
}

async fn ask(bundler: &Bundler, calls: Vec<Call<'static>>) -> Vec<Result<Answer, Failure>> {
    join_all(calls.into_iter().map(|call| bundler.send(call))).await
}

#[tokio::test]
async fn calls_of_one_moment_travel_together_each_for_its_own_person() {
    let world = World::new();
    let replica = world.graph(Manner::Well).await;
    let people: Vec<Uuid> = (1..=20).map(Uuid::from_u128).collect();
    let me = |user_id: &Uuid| {
        let mut call = call("{ me }", Repeat::Safe);
        call.headers.insert("authorization", world.token(*user_id).parse().unwrap());
        call
    };
    let mut calls: Vec<Call> = people.iter().map(me).collect();
    calls.push(call("{ me }", Repeat::Safe));
    let answers = ask(&world.bundler(&[&replica.url]), calls).await;
    let mut expected: Vec<Value> = people.iter().map(|user_id| json!({ "me": user_id })).collect();
    expected.push(json!({ "me": null }));
    assert_eq!(answers.into_iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!(replica.seen(), (1, 0));
}

#[tokio::test]
async fn a_call_that_is_alone_goes_alone() {
    let world = World::new();
    let replica = world.graph(Manner::Well).await;
    let bundler = world.bundler(&[&replica.url]);
    for count in 0..3 {
        assert_eq!(said(bundler.send(number(count, 0)).await), json!({ "number": count }));
    }
    assert_eq!(replica.seen(), (0, 3));
}

#[tokio::test]
async fn a_slow_call_holds_up_nobody() {
    let world = World::new();
    let replica = world.graph(Manner::Well).await;
    let bundler = world.bundler(&[&replica.url]);
    let started = Instant::now();
    let timed = |number_: i32, after_ms| {
        let sent = bundler.send(number(number_, after_ms));
        async move { (said(sent.await), started.elapsed()) }
    };
    let [slow, quick, other] = [timed(1, 900), timed(2, 0), timed(3, 0)];
    let (slow, quick, other) = tokio::join!(slow, quick, other);
    assert_eq!((&slow.0, &quick.0, &other.0), (&json!({ "number": 1 }), &json!({ "number": 2 }), &json!({ "number": 3 })));
    assert!(
        slow.1 >= Duration::from_millis(900) && quick.1.max(other.1) < Duration::from_millis(600),
        "{slow:?} {quick:?} {other:?}"
    );
    assert_eq!(replica.seen(), (1, 0));
}

#[tokio::test]
async fn many_and_large_calls_take_as_many_requests_as_they_need() {
    let world = World::new();
    let replica = world.graph(Manner::Well).await;
    let large = |letter: i32| call(&format!("{{ number(number: {letter}) #{}\n }}", " ".repeat(150 * 1024)), Repeat::Safe);
    let calls = (0..100).map(|count| number(count, 0)).chain((100..103).map(large)).collect();
    let answers = ask(&world.bundler(&[&replica.url]), calls).await;
    assert_numbered(answers, 103);
    assert_eq!(replica.seen(), (1, 2));
}

#[tokio::test]
async fn a_service_that_knows_no_bundles_gets_every_call_alone() {
    let world = World::new();
    let replica = world.graph(Manner::NotAtAll).await;
    let calls = (0..4).map(|_| call("mutation { count }", Repeat::Unsent)).collect();
    assert!(ask(&world.bundler(&[&replica.url]), calls).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!((replica.seen(), replica.counted.load(Ordering::SeqCst)), ((1, 4), 4));
}

#[tokio::test]
async fn of_a_lost_bundle_only_what_may_be_repeated_is_repeated() {
    let world = World::new();
    let replica = world.graph(Manner::BreaksOff).await;
    let bundler = world.bundler(&[&replica.url]);
    let answers = ask(&bundler, (0..5).map(|_| call("mutation { count }", Repeat::Unsent)).collect()).await;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((answered, replica.counted.load(Ordering::SeqCst)), (1, 5), "{answers:?}");
    assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(|failure| *failure == Failure::Lost));
    let answers = ask(&bundler, (0..5).map(|count| number(count, 0)).collect()).await;
    assert_numbered(answers, 5);
    assert_eq!(replica.seen(), (2, 4));
}

#[tokio::test]
async fn a_replica_that_is_gone_or_silent_costs_no_answer() {
    let world = World::new();
    let well = world.graph(Manner::Well).await;
    let gone = nobody().await;
    for _ in 0..2 {
        let calls = (0..4).map(|_| call("mutation { count }", Repeat::Unsent)).collect();
        assert!(ask(&world.bundler(&[&gone, &well.url]), calls).await.into_iter().all(|answer| answer.is_ok()));
    }
    assert_eq!(well.counted.load(Ordering::SeqCst), 8);
    let silent = world.graph(Manner::Silent).await;
    let started = Instant::now();
    let answers = ask(&world.bundler(&[&silent.url, &well.url]), (0..4).map(|count| number(count, 0)).collect()).await;
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert!((1_400..2_500).contains(&started.elapsed().as_millis()), "half of the time: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_bundle_that_is_not_let_in_goes_to_the_other_replica_mutations_too() {
    let (world, other) = (World::new(), World::new());
    let (foreign, well) = (other.graph(Manner::Well).await, world.graph(Manner::Well).await);
    let bundler = world.bundler(&[&foreign.url, &well.url]);
    for round in 1..=3 {
        let answers = ask(&bundler, (0..4).map(|_| call("mutation { count }", Repeat::Unsent)).collect()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!((foreign.counted.load(Ordering::SeqCst), well.counted.load(Ordering::SeqCst)), (0, 4 * round));
    }
}

#[tokio::test]
async fn when_nobody_is_there_all_are_told() {
    let answers = ask(&World::new().bundler(&["http://127.0.0.1:9"]), (0..4).map(|count| number(count, 0)).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Failure::Unreachable | Failure::Open))), "{answers:?}");
}

#[tokio::test]
async fn only_the_router_may_send_bundles_and_only_whole_ones() {
    let world = World::new();
    let url = format!("{}{}", world.graph(Manner::Well).await.url, bundle::PATH);
    let status = async |credential: Option<&str>, body: Vec<u8>| {
        let mut request = reqwest::Client::new().post(&url).body(body);
        if let Some(credential) = credential {
            request = request.header("x-berth-service", credential);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let router = world.signer("router").credential("inventory");
    assert_eq!(status(None, vec![]).await, 403);
    assert_eq!(status(Some(&world.signer("booking").credential("inventory")), vec![]).await, 403);
    assert_eq!(status(Some(&router), vec![]).await, 200);
    for body in [vec![1], vec![0, 0, 0, 0, 0, 0, 0, 9, b'{'], vec![255; 8], [0, 0, 0, 1, 0, 0, 0, 0, b'?'].to_vec()] {
        assert_eq!(status(Some(&router), body).await, 400);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_bundle_or_none(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..64)) {
        let length = bytes.len();
        if let Some(calls) = bundle::open(bytes.into()) {
            prop_assert!(calls.iter().map(|(_, body)| 8 + body.len()).sum::<usize>() <= length);
        }
    }
}
