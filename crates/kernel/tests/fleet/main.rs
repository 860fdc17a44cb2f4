//! Bus, outbox and letters between processes, on the PostgreSQL and the Redis that `BERTH_TEST_POSTGRES_URL` and
//! `BERTH_TEST_REDIS_URL` name. A process is here a bus, a relay or a post of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise"
)]

mod limits;
mod moved;
#[path = "../../../../migrations/src/shared.rs"]
mod shared;
#[path = "../../../../migrations/src/shared_fleet.rs"]
mod shared_fleet;
mod transactions;
mod world;

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use berth_contracts::event::Envelope;
use berth_kernel::{
    bus::{Bus, Consumer, Live, News, RedisSettings, Wake},
    clock::Clock,
    db::{Db, sql},
    dead,
    jobs::Background,
    mail::{Letter, Mail, Post},
    outbox::{self, Outbox},
    sms::Sms,
};
use sea_orm::{ConnectionTrait, DbErr};
use tokio::time::timeout;
use world::{Base, Fleet, Probe, Wire, envelope, eventually, paid, seats};

const SOON: Duration = Duration::from_secs(5);

/// The next event; what was missed is passed over.
async fn next_event(live: &mut Live) -> Arc<Envelope> {
    let event = async {
        loop {
            if let Some(News::Event(envelope)) = live.next().await {
                return envelope;
            }
        }
    };
    timeout(SOON, event).await.expect("no event came")
}

#[tokio::test(flavor = "multi_thread")]
async fn several_relays_deliver_every_event() {
    const EACH: usize = 200;
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    let probe = Probe::new(&base.db);
    fleet.process().await.register(probe.clone());
    // Two processes relay; the third died before it could.
    let outboxes: Vec<Outbox> = (0..3).map(|_| Outbox::new(Clock::system())).collect();
    for outbox in &outboxes[..2] {
        let bus = fleet.process().await;
        tokio::spawn(outbox.clone().relay(base.db.clone(), bus, fleet.background.clone()));
    }
    let write = |outbox: Outbox| {
        let base = &base;
        async move {
            for _ in 0..EACH {
                base.append(&outbox, paid()).await;
            }
        }
    };
    let [first, second, third] = [0, 1, 2].map(|at| write(outboxes[at].clone()));
    tokio::join!(first, second, third);
    eventually("all events are done", async || probe.distinct() == 3 * EACH).await;
    eventually("the outbox is empty", async || base.count("outbox").await == 0).await;
    assert_eq!(base.count("outbox_kept").await, i64::try_from(3 * EACH).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn live_views_hear_other_processes_and_know_when_they_missed_something() {
    let Some(fleet) = Fleet::new() else { return };
    let wire = Wire::to(&fleet.url).await;
    let (here, there) = (fleet.process().await, fleet.process_with(&wire.url, fleet.settings(), &fleet.background).await);
    let (mut near, mut far) = (here.live(), there.live());
    let first = envelope(seats(1));
    here.deliver(&first).await.unwrap();
    assert_eq!(next_event(&mut near).await.id, first.id);
    assert_eq!(next_event(&mut far).await.id, first.id);
    wire.cut();
    assert!(matches!(timeout(SOON, far.next()).await.unwrap(), Some(News::Missed)), "the wire is cut");
    eventually("the loss is known", async || !there.is_healthy()).await;
    here.deliver(&envelope(seats(2))).await.unwrap();
    wire.mend();
    eventually("it is back", async || there.is_healthy()).await;
    let third = envelope(seats(3));
    here.deliver(&third).await.unwrap();
    let mut heard = Vec::new();
    loop {
        match timeout(SOON, far.next()).await.unwrap() {
            Some(News::Event(event)) if event.id == third.id => break,
            other => heard.push(other),
        }
    }
    assert!(heard.iter().any(|news| matches!(news, Some(News::Missed))), "{heard:?}");
    // Nobody hears seats from a process that is cut off, so after its return it says so first.
    wire.cut();
    eventually("the loss is known", async || !there.is_healthy()).await;
    assert!(there.deliver(&envelope(seats(4))).await.is_err());
    wire.mend();
    eventually("it is back", async || there.is_healthy()).await;
    there.deliver(&envelope(seats(5))).await.unwrap();
    let missed = async { while !matches!(near.next().await, Some(News::Missed)) {} };
    timeout(SOON, missed).await.expect("the others learn that something was not said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_reaches_the_other_process() {
    let Some(fleet) = Fleet::new() else { return };
    let (here, there) = (fleet.process().await, fleet.process().await);
    let (caller, worker, stranger) = (here.wake("work"), there.wake("work"), there.wake("other work"));
    let begun = Instant::now();
    caller.notify();
    timeout(SOON, worker.wanted()).await.expect("the wake came");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    timeout(SOON, caller.wanted()).await.expect("its own process is woken too");
    assert!(timeout(Duration::from_millis(200), stranger.wanted()).await.is_err(), "only who was called");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_redis_is_filled_from_the_outbox() {
    const EVENTS: usize = 700;
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    let outbox = Outbox::new(Clock::system());
    for _ in 0..EVENTS {
        base.append(&outbox, paid()).await;
    }
    tokio::spawn(outbox.clone().relay(base.db.clone(), fleet.process().await, fleet.background.clone()));
    eventually("all are in the stream", async || fleet.stream_length("PaymentChanged").await == EVENTS).await;
    eventually("the outbox is empty", async || base.count("outbox").await == 0).await;
    assert!(fleet.lose_data().await >= 2, "the stream and the mark");
    let probe = Probe::new(&base.db);
    fleet.process().await.register(probe.clone());
    eventually("all came again", async || probe.distinct() == EVENTS).await;
    // And the consumer's group goes on after it lost its stream.
    fleet.lose_data().await;
    base.append(&outbox, paid()).await;
    eventually("the new one too", async || probe.distinct() == EVENTS + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_away_events_wait_and_then_arrive() {
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    let wire = Wire::to(&fleet.url).await;
    wire.cut();
    let bus = Bus::redis(&wire.url, fleet.settings(), fleet.background.clone()).unwrap();
    let mut live = bus.live();
    let probe = Probe::new(&base.db);
    bus.register(probe.clone());
    let outbox = Outbox::new(Clock::system());
    tokio::spawn(outbox.clone().relay(base.db.clone(), bus.clone(), fleet.background.clone()));
    for version in 0..50 {
        base.append(&outbox, paid()).await;
        base.append(&outbox, seats(version)).await;
    }
    let here = next_event(&mut live).await;
    assert_eq!(here.event.kind(), "SeatsChanged", "this process still sees its own seats");
    eventually("seats do not pile up", async || base.count("outbox").await == 50).await;
    assert!(!bus.is_healthy());
    assert_eq!(probe.distinct(), 0);
    wire.mend();
    eventually("all are done", async || probe.distinct() == 50).await;
    eventually("the outbox is empty", async || base.count("outbox").await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_dead_process_is_taken_over() {
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    let dies = Background::default();
    let (hanging, healthy) = (Probe::new(&base.db), Probe::new(&base.db));
    hanging.hangs.store(true, SeqCst);
    fleet.process_with(&fleet.url, fleet.settings(), &dies).await.register(hanging.clone());
    let event = envelope(paid());
    fleet.process().await.deliver(&event).await.unwrap();
    eventually("the first has it", async || hanging.times_given(event.id) == 1).await;
    dies.stop();
    fleet.process().await.register(healthy.clone());
    eventually("the second has done it", async || healthy.distinct() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_message_is_dead_after_eight_deliveries_and_can_be_replayed() {
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    let bus = fleet.process().await;
    let probe = Probe::new(&base.db);
    probe.fails.store(true, SeqCst);
    bus.register(probe.clone());
    let (poison, outbox) = (paid(), Outbox::new(Clock::system()));
    base.append(&outbox, poison).await;
    outbox::deliver_batch(&base.db, &bus).await.unwrap();
    eventually("it is dead", async || base.count("dead_letter").await == 1).await;
    let dead = dead::list(&base.db).await.unwrap();
    let [letter] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!((letter.kind.as_str(), letter.consumer.as_str()), ("PaymentChanged", "test.probe"));
    assert_eq!(letter.reason, "it cannot be done");
    let given: Vec<usize> = probe.given.lock().values().copied().collect();
    assert_eq!(given, [8]);
    tokio::time::sleep(fleet.settings().retry_after * 3).await;
    assert_eq!(probe.given.lock().values().copied().collect::<Vec<_>>(), [8], "dead is dead");

    probe.fails.store(false, SeqCst);
    assert_eq!(dead::replay(&base.db, Some(world::fresh())).await.unwrap(), 0);
    assert_eq!(dead::replay(&base.db, Some(letter.id)).await.unwrap(), 1);
    assert_eq!(outbox::deliver_batch(&base.db, &bus).await.unwrap(), 1);
    eventually("it is done", async || probe.distinct() == 1).await;
    assert!(dead::list(&base.db).await.unwrap().is_empty());
}

/// Counts in its database, once per event.
struct Counting(Db);

#[async_trait]
impl Consumer for Counting {
    fn name(&self) -> &'static str {
        "test.counting"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["PaymentChanged"]
    }

    fn db(&self) -> &Db {
        &self.0
    }

    async fn handle(&self, event: &Envelope) -> Result<(), String> {
        let id = event.id;
        let effect = self.0.write(move |tx| {
            Box::pin(async move {
                if outbox::first_time(tx, "test.counting", id, &Clock::system()).await? {
                    tx.execute_raw(sql(tx, "UPDATE effect SET n = n + 1", [])).await?;
                }
                Ok::<(), DbErr>(())
            })
        });
        effect.await.map_err(|error| error.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_has_no_second_effect_with_an_inbox() {
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    base.db.read().execute_unprepared("CREATE TABLE effect (n BIGINT NOT NULL)").await.unwrap();
    base.db.read().execute_unprepared("INSERT INTO effect (n) VALUES (0)").await.unwrap();
    for _ in 0..2 {
        fleet.process().await.register(Arc::new(Counting(base.db.clone())));
    }
    let bus = fleet.process().await;
    let events = [envelope(paid()), envelope(paid()), envelope(paid())];
    for _ in 0..20 {
        for event in &events {
            bus.deliver(event).await.unwrap();
        }
    }
    let consumed = async || {
        let groups: redis::streams::StreamInfoGroupsReply = redis::cmd("XINFO")
            .arg("GROUPS")
            .arg(format!("{}:events:PaymentChanged", fleet.prefix))
            .query_async(&mut fleet.redis().await)
            .await
            .unwrap();
        groups.groups.iter().all(|group| group.pending == 0 && group.lag == Some(0))
    };
    eventually("all 60 messages are done", consumed).await;
    let row = base.db.read().query_one_raw(sql(base.db.read(), "SELECT n FROM effect", [])).await.unwrap().unwrap();
    assert_eq!(row.try_get::<i64>("", "n").unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn trimming_leaves_what_is_not_done() {
    let Some(fleet) = Fleet::new() else { return };
    let base = Base::new().await;
    let often = Duration::from_millis(100);
    let settings = RedisSettings { keep_done: Duration::ZERO, trim_every: often, ..fleet.settings() };
    let bus = fleet.process_with(&fleet.url, settings, &fleet.background).await;
    let probe = Probe::new(&base.db);
    probe.hangs.store(true, SeqCst);
    let dies = Background::default();
    fleet.process_with(&fleet.url, fleet.settings(), &dies).await.register(probe.clone());
    let first = envelope(paid());
    bus.deliver(&first).await.unwrap();
    eventually("one is in hand", async || probe.times_given(first.id) == 1).await;
    for _ in 0..20 {
        bus.deliver(&envelope(paid())).await.unwrap();
    }
    tokio::time::sleep(often * 5).await;
    assert_eq!(fleet.stream_length("PaymentChanged").await, 21, "neither what is in hand nor what was not given out");
    dies.stop();
    let healthy = Probe::new(&base.db);
    fleet.process().await.register(healthy.clone());
    eventually("all are done", async || healthy.distinct() == 21).await;
    eventually("and trimmed", async || fleet.stream_length("PaymentChanged").await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_posts_send_each_letter_once() {
    const LETTERS: usize = 60;
    let (base, folder) = (Base::new().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("mail.jsonl");
    let post = || Post::new(Arc::new(Mail::catcher(&file)), Arc::new(Sms::Off), Clock::system(), Wake::alone());
    let (one, other) = (post(), post());
    for number in 0..LETTERS {
        let letter = Letter {
            to: format!("{number}@example.org"),
            subject: "Hello".to_owned(),
            text: "x".repeat(4000),
            html: String::new(),
        };
        let queue = one.clone();
        let queued: Result<(), DbErr> =
            base.db.write(move |tx| Box::pin(async move { queue.queue(tx, &format!("cause {number}"), &letter).await })).await;
        queued.unwrap();
    }
    if base.db.has_one_writer() {
        // SQLite belongs to one process.
        one.send_due(&base.db).await.unwrap();
    } else {
        let (first, second) = tokio::join!(one.send_due(&base.db), other.send_due(&base.db));
        first.and(second).unwrap();
    }
    // A third process reads what the two wrote.
    let caught = Mail::catcher(&file).caught(None);
    let to: HashSet<&str> = caught.iter().map(|caught| caught.letter.to.as_str()).collect();
    assert_eq!((caught.len(), to.len()), (LETTERS, LETTERS));
    one.send_due(&base.db).await.unwrap();
    assert_eq!(Mail::catcher(&file).caught(None).len(), LETTERS);
}
