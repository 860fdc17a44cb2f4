//! What becomes of events and of the clock when a server behind them is another one, or slow.

use std::time::Duration;

use berth_kernel::{
    agreed_time::{self, AgreedTime},
    clock::Clock,
    db::Db,
    jobs::Background,
    outbox::Outbox,
    peer::Standing,
};
use chrono::TimeDelta;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::world::{Base, Fleet, Probe, eventually, paid};

/// What replication had not brought over when the master was lost, and the mark of another run that was filled.
async fn lose_the_newest(fleet: &Fleet) {
    let mut redis = fleet.redis().await;
    let stream = format!("{}:events:PaymentChanged", fleet.prefix);
    let () = redis::cmd("DEL").arg(&stream).query_async(&mut redis).await.unwrap();
    let marks: Vec<String> = redis::cmd("KEYS").arg(format!("{}:filled:*", fleet.prefix)).query_async(&mut redis).await.unwrap();
    assert_eq!(marks.len(), 1);
    let () = redis::cmd("SET").arg(&marks[0]).arg("another run").query_async(&mut redis).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_took_over_is_given_the_newest_events_again() {
    const EVENTS: usize = 40;
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    let outbox = Outbox::new(Clock::system());
    for _ in 0..EVENTS {
        base.append(&outbox, paid()).await;
    }
    tokio::spawn(outbox.clone().relay(base.db.clone(), fleet.process().await, fleet.background.clone()));
    eventually("all are in the stream", async || fleet.stream_length("PaymentChanged").await >= EVENTS).await;
    eventually("the outbox is empty", async || base.count("outbox").await == 0).await;
    lose_the_newest(&fleet).await;
    let probe = Probe::new(&base.db);
    fleet.process().await.register(probe.clone());
    eventually("all came again", async || probe.distinct() == EVENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stalls_moves_no_clock() {
    let Ok(url) = std::env::var("BERTH_TEST_POSTGRES_URL") else {
        eprintln!("skipped: BERTH_TEST_POSTGRES_URL names no PostgreSQL");
        return;
    };
    let wire = LateAnswers::before(&url).await;
    let db = Db::open_postgres(&wire.url, "public", 2).await.unwrap();
    let (machine, clock, background) = (Clock::system(), Clock::system(), Background::default());
    let time = AgreedTime::new(clock.clone(), Standing::default(), &background);
    assert!(time.hear(agreed_time::measure(&db, &machine).await.unwrap()));
    let before = clock.correction();
    assert!(before.abs() < TimeDelta::milliseconds(200), "PostgreSQL is on this machine: {before}");
    wire.delay.send_replace(Duration::from_millis(400));
    assert!(!time.hear(agreed_time::measure(&db, &machine).await.unwrap()), "stalled answers were believed");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(clock.correction(), before);
    background.stop();
}

/// A wire to PostgreSQL whose answers are late, while questions are not.
struct LateAnswers {
    url: String,
    delay: watch::Sender<Duration>,
}

impl LateAnswers {
    async fn before(url: &str) -> Self {
        let (head, rest) = url.rsplit_once('@').unwrap();
        let (target, path) = rest.split_once('/').unwrap();
        let (target, listener) = (target.to_owned(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("{head}@{}/{path}", listener.local_addr().unwrap());
        let (delay, of_answers) = watch::channel(Duration::ZERO);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.clone(), of_answers.clone()));
            }
        });
        Self { url, delay }
    }
}

async fn carry(client: TcpStream, target: String, delay: watch::Receiver<Duration>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = async {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut piece).await {
            let late = *delay.borrow();
            tokio::time::sleep(late).await;
            if to_client.write_all(&piece[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
    }
}
