//! A service's database, Redis behind a wire that can be cut, and a consumer that does what the test wants.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use berth_contracts::{
    Currency, Money,
    event::{Envelope, Event},
};
use berth_kernel::{
    bus::{Bus, Consumer, RedisSettings},
    clock::Clock,
    db::{Db, sql},
    jobs::Background,
    outbox::Outbox,
};
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use uuid::Uuid;

struct Tables;

impl MigratorTrait for Tables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(crate::shared::Shared),
            Box::new(crate::shared_fleet::SharedFleet),
            Box::new(crate::shared_letters::SharedLetters),
        ]
    }
}

/// A database with the shared tables: PostgreSQL where there is one, else SQLite.
pub struct Base {
    pub db: Db,
    _folder: tempfile::TempDir,
}

impl Base {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = match std::env::var("BERTH_TEST_POSTGRES_URL") {
            Ok(url) => Db::open_postgres(&url, &format!("bus_{}", fresh().simple()), 10).await.unwrap(),
            Err(_) => Db::open_sqlite(&folder.path().join("booking.sqlite")).await.unwrap(),
        };
        db.migrate::<Tables>().await.unwrap();
        Self { db, _folder: folder }
    }

    pub async fn count(&self, table: &str) -> i64 {
        let read = self.db.read();
        let row = read.query_one_raw(sql(read, &format!("SELECT COUNT(*) AS n FROM {table}"), [])).await.unwrap().unwrap();
        row.try_get("", "n").unwrap()
    }

    pub async fn append(&self, outbox: &Outbox, event: Event) {
        let inside = outbox.clone();
        let done: Result<(), DbErr> = self.db.write(move |tx| Box::pin(async move { inside.append(tx, &event).await })).await;
        done.unwrap();
        outbox.wake();
    }
}

/// An installation on a Redis: its processes have the prefix in common.
pub struct Fleet {
    pub url: String,
    pub prefix: String,
    pub background: Background,
}

impl Fleet {
    /// `None`, said aloud, where the tests have no Redis.
    pub fn new() -> Option<Self> {
        let Ok(url) = std::env::var("BERTH_TEST_REDIS_URL") else {
            eprintln!("skipped: BERTH_TEST_REDIS_URL names no Redis");
            return None;
        };
        Some(Self { url, prefix: format!("t{}", fresh().simple()), background: Background::default() })
    }

    pub fn settings(&self) -> RedisSettings {
        let retry_after = Duration::from_millis(300);
        RedisSettings { prefix: self.prefix.clone(), retry_after, ..RedisSettings::default() }
    }

    /// A process's bus, once it is connected.
    pub async fn process(&self) -> Bus {
        self.process_with(&self.url, self.settings(), &self.background).await
    }

    pub async fn process_with(&self, url: &str, settings: RedisSettings, background: &Background) -> Bus {
        let bus = Bus::redis(url, settings, background.clone()).unwrap();
        eventually("connected", async || bus.is_healthy()).await;
        bus
    }

    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// What FLUSHALL does, to this installation only.
    pub async fn lose_data(&self) -> usize {
        let mut redis = self.redis().await;
        let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{}:*", self.prefix)).query_async(&mut redis).await.unwrap();
        redis::cmd("DEL").arg(&keys).query_async(&mut redis).await.unwrap()
    }

    /// Messages in a stream.
    pub async fn stream_length(&self, kind: &str) -> usize {
        let mut redis = self.redis().await;
        redis::cmd("XLEN").arg(format!("{}:events:{kind}", self.prefix)).query_async(&mut redis).await.unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.background.stop();
    }
}

pub async fn eventually(what: &str, met: impl AsyncFn() -> bool) {
    for _ in 0..400 {
        if met().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 20 s: {what}");
}

/// A key that no other run of the tests has.
pub fn fresh() -> Uuid {
    Clock::system().new_key()
}

pub fn paid() -> Event {
    let id = fresh();
    let amount = Money::new(1, Currency::IDR);
    Event::PaymentChanged { payment_id: id, booking_id: id, user_id: id, status: "PAID".to_owned(), amount, booking_code: None }
}

pub fn seats(version: i64) -> Event {
    Event::SeatsChanged { template: Uuid::nil(), day: 1, version, seats: Vec::new() }
}

pub fn envelope(event: Event) -> Arc<Envelope> {
    let clock = Clock::system();
    Arc::new(Envelope { id: clock.new_key(), at: clock.now(), trace_parent: None, event })
}

/// A consumer of payments that remembers how often it was given each event.
pub struct Probe {
    pub db: Db,
    pub given: Mutex<HashMap<Uuid, usize>>,
    pub done: Mutex<HashMap<Uuid, usize>>,
    pub fails: AtomicBool,
    pub hangs: AtomicBool,
}

impl Probe {
    pub fn new(db: &Db) -> Arc<Self> {
        let (fails, hangs) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { db: db.clone(), given: Mutex::default(), done: Mutex::default(), fails, hangs })
    }

    pub fn distinct(&self) -> usize {
        self.done.lock().len()
    }

    pub fn times_given(&self, id: Uuid) -> usize {
        self.given.lock().get(&id).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Consumer for Probe {
    fn name(&self) -> &'static str {
        "test.probe"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["PaymentChanged"]
    }

    fn db(&self) -> &Db {
        &self.db
    }

    async fn handle(&self, event: &Envelope) -> Result<(), String> {
        *self.given.lock().entry(event.id).or_default() += 1;
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.fails.load(SeqCst) {
            return Err("it cannot be done".to_owned());
        }
        *self.done.lock().entry(event.id).or_default() += 1;
        Ok(())
    }
}

/// A wire to Redis that can be cut.
pub struct Wire {
    pub url: String,
    whole: watch::Sender<bool>,
}

impl Wire {
    pub async fn to(url: &str) -> Self {
        let target = url.trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (whole, is_whole) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *is_whole.borrow() {
                    tokio::spawn(carry(client, target.clone(), is_whole.clone()));
                }
            }
        });
        Self { url, whole }
    }

    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry(mut client: TcpStream, target: String, mut is_whole: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = is_whole.wait_for(|whole| !whole) => {}
    }
}
