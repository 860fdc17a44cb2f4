//! Text messages over HTTP, to a small gateway that is down at first.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

#[path = "../../../migrations/src/shared.rs"]
mod shared;
#[path = "../../../migrations/src/shared_fleet.rs"]
mod shared_fleet;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use berth_kernel::{
    bus::Wake,
    clock::Clock,
    db::{Db, sql},
    mail::{Letter, Mail, Post},
    sms::{Sms, TextMessage},
};
use chrono::TimeDelta;
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use serde_json::{Value, json};

struct Tables;

impl MigratorTrait for Tables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(shared::Shared), Box::new(shared_fleet::SharedFleet)]
    }
}

/// What a gateway was sent: authorization, key of the message, body.
type Log = Arc<Mutex<Vec<(String, String, Value)>>>;

async fn take(State(log): State<Log>, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let mut log = log.lock();
    log.push((header("authorization"), header("idempotency-key"), body));
    if log.len() <= 2 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::ACCEPTED }
}

/// A gateway that refuses twice, then accepts.
async fn gateway() -> (String, Log) {
    let log = Log::default();
    let routes = Router::new().route("/messages", post(take)).with_state(Arc::clone(&log));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/messages", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, log)
}

struct World {
    db: Db,
    clock: Clock,
    post: Post,
    folder: tempfile::TempDir,
}

impl World {
    async fn new(sms: Sms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(&folder.path().join("t.sqlite")).await.unwrap();
        db.migrate::<Tables>().await.unwrap();
        let (clock, mail) = (Clock::system(), Mail::catcher(&folder.path().join("mail.jsonl")));
        let post = Post::new(Arc::new(mail), Arc::new(sms), clock.clone(), Wake::alone());
        Self { db, clock, post, folder }
    }

    async fn queue(&self, cause: &'static str, message: &TextMessage) {
        let (post, message) = (self.post.clone(), message.clone());
        let queued = self.db.write::<_, DbErr, _>(move |tx| Box::pin(async move { post.queue_sms(tx, cause, &message).await }));
        queued.await.unwrap();
    }

    async fn sent(&self) -> Vec<i32> {
        let rows = self.db.read().query_all_raw(sql(self.db.read(), "SELECT sent FROM letter", [])).await.unwrap();
        rows.iter().map(|row| row.try_get("", "sent").unwrap()).collect()
    }
}

fn hello() -> TextMessage {
    TextMessage { to: "+6281234567890".to_owned(), text: "123456 is your Berth code".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_tried_again_until_the_gateway_has_it() {
    let (url, log) = gateway().await;
    let world = World::new(Sms::gateway(&url, "a-bearer-token").unwrap()).await;
    world.queue("code 1", &hello()).await;
    world.queue("code 1", &hello()).await;
    for tries in 1..=3 {
        world.post.send_due(&world.db).await.unwrap();
        assert_eq!(log.lock().len(), tries, "not before its time");
        world.clock.advance(TimeDelta::seconds(10));
    }
    assert_eq!(world.sent().await, [1], "one cause, one message");
    world.post.send_due(&world.db).await.unwrap();
    let log = log.lock().clone();
    assert_eq!(log.len(), 3, "nothing after it was accepted");
    let (authorization, key, body) = &log[2];
    assert_eq!(authorization, "Bearer a-bearer-token");
    assert_eq!(body, &json!({ "to": "+6281234567890", "text": "123456 is your Berth code" }));
    assert!(!key.is_empty() && log.iter().all(|(_, other, _)| other == key), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_and_messages_share_a_queue() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sms.jsonl");
    let world = World::new(Sms::catcher(&file)).await;
    world.queue("a message", &hello()).await;
    let post = world.post.clone();
    let letter = Letter { to: "a@example.org".to_owned(), subject: "Hi".to_owned(), text: "x".to_owned(), html: String::new() };
    let queued = world.db.write::<_, DbErr, _>(move |tx| Box::pin(async move { post.queue(tx, "a letter", &letter).await }));
    queued.await.unwrap();
    world.post.send_due(&world.db).await.unwrap();
    let caught = Sms::catcher(&file).caught(Some("+6281234567890"));
    assert_eq!(caught.iter().map(|caught| &caught.message).collect::<Vec<_>>(), [&hello()]);
    assert!(Sms::catcher(&file).caught(Some("+62811")).is_empty());
    let letters = Mail::catcher(&world.folder.path().join("mail.jsonl")).caught(None);
    assert_eq!(letters.iter().map(|caught| caught.letter.to.as_str()).collect::<Vec<_>>(), ["a@example.org"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_nothing_is_queued() {
    let world = World::new(Sms::Off).await;
    assert!(!world.post.has_sms());
    world.queue("code 1", &hello()).await;
    assert!(world.sent().await.is_empty());
}
