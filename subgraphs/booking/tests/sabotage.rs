//! Checkers of the saga's promises, each seen to fail when `BERTH_SABOTAGE` breaks its promise.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod world;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_contracts::event::{Envelope, Event};
use berth_kernel::{bus::Consumer, db::Db};
use uuid::Uuid;
use world::World;

/// Compares what is told with what is on disk at that moment.
struct Witness {
    world: Arc<World>,
    lies: Mutex<Vec<String>>,
}

fn rank(status: &str) -> usize {
    let course = ["PENDING_PAYMENT", "CONFIRMING", "CONFIRMED"];
    course.iter().position(|known| *known == status).unwrap_or_else(|| panic!("{status}"))
}

#[async_trait]
impl Consumer for Witness {
    fn name(&self) -> &'static str {
        "test.witness"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["BookingChanged"]
    }

    fn db(&self) -> &Db {
        &self.world.deps.db
    }

    async fn handle(&self, event: &Envelope) -> Result<(), String> {
        let Event::BookingChanged { booking_id, status, .. } = &event.event else { return Ok(()) };
        let stored = self.world.stored_state(*booking_id).await;
        // Late news is no lie.
        if rank(status) > rank(&stored) {
            self.lies.lock().expect("lock").push(format!("told {status} before it was true: the row says {stored}"));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_before_it_is_true() {
    let world = Arc::new(World::new().await);
    let witness = Arc::new(Witness { world: Arc::clone(&world), lies: Mutex::default() });
    world.deps.bus.register(Arc::clone(&witness) as _);
    let booked: Vec<Uuid> = vec![world.booked().await.1];
    for key in booked {
        world.payments.add(key, "PAID");
        // Several steps at once: all but one of each are rolled back, and a subscriber must never hear of those.
        let steps = (0..8).map(|_| world.bookings.step(key));
        for done in futures_util::future::join_all(steps).await {
            done.expect("steps");
        }
        world.publish().await;
    }
    assert_eq!(*witness.lies.lock().expect("lock"), Vec::<String>::new());
}

/// Runs a test of this package under each switch; it must fail, and say these words.
#[cfg(feature = "sabotage")]
#[test]
fn the_checkers_see_broken_promises() {
    let this = std::env::current_exe().expect("this test");
    for (switch, test, words) in [
        ("publish_early", "nothing_is_told_before_it_is_true", "before it was true"),
        ("skip_refund", "a_refund_moves_money", "left: "),
    ] {
        let run = std::process::Command::new(&this).args(["--exact", test]).env("BERTH_SABOTAGE", switch).output().expect("runs");
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(!run.status.success() && said.contains(words), "{switch} was not seen: {said}");
    }
}

#[tokio::test]
async fn a_refund_moves_money() {
    let world = World::new().await;
    let (id, key) = world.booked().await;
    world.clock.advance(chrono::TimeDelta::minutes(16));
    world.bookings.step(key).await.expect("expires");
    world.inventory.take_all();
    let payment = world.payments.add(key, "PAID");
    world.peer().payment_changed(key).await.expect("changed");
    world.settle().await;
    assert_eq!(world.status(&id).await, "REFUNDED");
    assert_eq!(world.payments.refund_of(payment).map(|(_, times)| times), Some(1));
}
