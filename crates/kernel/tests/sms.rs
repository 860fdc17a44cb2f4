//! Text messages over HTTP, to a small gateway that is down at first, refuses, or says that it has too much to do; and how long what is not
//! taken is kept. Letters go the same way (tests/tests/letters.rs).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

#[path = "../../../migrations/src/shared.rs"]
mod shared;
#[path = "../../../migrations/src/shared_fleet.rs"]
mod shared_fleet;
#[path = "../../../migrations/src/shared_letters.rs"]
mod shared_letters;

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
    mail::{Letter, Mail},
    post::{
        Life, Post,
        desk::{self, Resent},
    },
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
        vec![Box::new(shared::Shared), Box::new(shared_fleet::SharedFleet), Box::new(shared_letters::SharedLetters)]
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

/// A gateway that always answers this.
async fn answering(status: StatusCode) -> String {
    let routes = Router::new().route("/messages", post(move || async move { status }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/messages", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// A row of the queue.
#[derive(Debug)]
struct Row {
    sent: i32,
    attempts: i64,
    next_ms: i64,
    body: String,
    answer: Option<String>,
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
        self.queue_for(cause, Life::News, message).await;
    }

    async fn queue_for(&self, cause: &'static str, life: Life, message: &TextMessage) {
        let (post, message) = (self.post.clone(), message.clone());
        let queued = self.db.write(move |tx| Box::pin(async move { post.queue_sms(tx, cause, life, &message).await }));
        queued.await.unwrap();
    }

    /// What the post does by itself now and then.
    async fn turn(&self) {
        self.post.send_due(&self.db).await.unwrap();
        self.post.make_rounds(&self.db, "test").await.unwrap();
    }

    async fn row(&self, cause: &str) -> Row {
        let text = "SELECT sent, attempts, next_attempt_at_ms, body, answer FROM letter WHERE cause = $1";
        let row = self.db.read().query_one_raw(sql(self.db.read(), text, [cause.into()])).await.unwrap().unwrap();
        Row {
            sent: row.try_get("", "sent").unwrap(),
            attempts: row.try_get("", "attempts").unwrap(),
            next_ms: row.try_get("", "next_attempt_at_ms").unwrap(),
            body: row.try_get("", "body").unwrap(),
            answer: row.try_get("", "answer").unwrap(),
        }
    }

    async fn change(&self, text: &'static str) {
        let done =
            self.db.write::<_, DbErr, _>(move |tx| Box::pin(async move { tx.execute_raw(sql(tx, text, [])).await.map(|_| ()) }));
        done.await.unwrap();
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
    let queued =
        world.db.write::<_, DbErr, _>(move |tx| Box::pin(async move { post.queue(tx, "a letter", Life::Paper, &letter).await }));
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
    let world = World::new(Sms::off()).await;
    assert!(!world.post.has_sms());
    world.queue("code 1", &hello()).await;
    assert!(world.sent().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_absent_gateway_ends_by_its_age_and_not_by_its_tries() {
    let world = World::new(Sms::gateway("http://127.0.0.1:9/messages", "a-bearer-token").unwrap()).await;
    let ends = world.clock.now() + TimeDelta::minutes(15);
    world.queue_for("a code", Life::Code(ends), &hello()).await;
    world.queue_for("news", Life::News, &hello()).await;
    world.queue_for("a paper", Life::Paper, &hello()).await;
    for (after, codes, news, papers) in [
        (TimeDelta::minutes(14), 0, 0, 0),
        (TimeDelta::minutes(2), 2, 0, 0),
        (TimeDelta::hours(24), 2, 2, 0),
        (TimeDelta::hours(48), 2, 2, 2),
    ] {
        for _ in 0..20 {
            world.clock.advance(after / 20);
            world.turn().await;
        }
        let states = [world.row("a code").await.sent, world.row("news").await.sent, world.row("a paper").await.sent];
        assert_eq!(states, [codes, news, papers], "after another {after}");
    }
    let (code, paper) = (world.row("a code").await, world.row("a paper").await);
    assert_eq!((code.attempts, paper.attempts), (0, 0), "the gateway's absence is no try of theirs");
    assert!(code.body.is_empty() && paper.body.contains("+6281234567890"), "{code:?} {paper:?}");
    assert!(paper.answer.unwrap().contains("can't be reached"));
    world.clock.advance(TimeDelta::days(13));
    world.turn().await;
    assert!(!world.row("a paper").await.body.is_empty());
    world.clock.advance(TimeDelta::days(2));
    world.turn().await;
    assert!(world.row("a paper").await.body.is_empty(), "kept for 14 days");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_has_too_much_to_do_is_asked_every_hour() {
    let world = World::new(Sms::gateway(&answering(StatusCode::TOO_MANY_REQUESTS).await, "a-bearer-token").unwrap()).await;
    world.queue_for("a paper", Life::Paper, &hello()).await;
    for tries in 1..=30 {
        world.turn().await;
        let row = world.row("a paper").await;
        let wait = row.next_ms - world.clock.now().timestamp_millis();
        assert_eq!((row.sent, row.attempts), (0, tries), "{row:?}");
        assert!(wait <= 3_600_000, "{wait}");
        world.clock.advance(TimeDelta::milliseconds(wait.max(0) + 1));
    }
    assert_eq!(world.row("a paper").await.answer.as_deref(), Some("the SMS gateway answered HTTP 429"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_the_gateway_refuses_is_given_up_kept_and_sent_again() {
    let world = World::new(Sms::gateway(&answering(StatusCode::UNPROCESSABLE_ENTITY).await, "a-bearer-token").unwrap()).await;
    world.queue("news", &hello()).await;
    world.turn().await;
    let row = world.row("news").await;
    assert!(row.sent == 2 && row.body.contains("+6281234567890"), "{row:?}");
    let listed = desk::list(&world.db, true).await.unwrap();
    assert_eq!(listed.iter().map(|letter| (letter.channel, letter.kind.as_str())).collect::<Vec<_>>(), [("sms", "news")]);
    assert_eq!(desk::resend(&world.db, None).await.unwrap(), Resent { due: 1, forgotten: 0 });
    assert_eq!(world.row("news").await.sent, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_an_older_program_go_on() {
    let world = World::new(Sms::gateway("http://127.0.0.1:9/messages", "a-bearer-token").unwrap()).await;
    world.queue("old", &hello()).await;
    world.queue("odd", &hello()).await;
    world.change("UPDATE letter SET kind = '', gives_up_at_ms = NULL, attempts = 12").await;
    world.change("UPDATE letter SET body = 'no letter' WHERE cause = 'odd'").await;
    world.turn().await;
    assert_eq!((world.row("old").await.sent, world.row("odd").await.sent), (0, 2), "one that can't be read stops nobody");
    world.clock.advance(TimeDelta::hours(71));
    world.turn().await;
    assert_eq!(world.row("old").await.sent, 0);
    world.clock.advance(TimeDelta::hours(2));
    world.turn().await;
    assert_eq!(world.row("old").await.sent, 2, "it lives as long as a paper");
}
