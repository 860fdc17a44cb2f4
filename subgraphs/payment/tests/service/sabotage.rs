//! The checkers of this suite, seen to fail under each switch that breaks their promise.

use std::time::Duration;

use chrono::TimeDelta;

use crate::world::{Fault, World, eventually};

/// No poll comes to help: the notice itself must be worked on again.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_done_only_when_its_work_is() {
    let world = World::new().await;
    let (_, id) = world.pending().await;
    // The notice of the order itself has been worked on by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.fail(Fault::StatusUnanswered);
    assert_eq!(world.act(&id, "settle").await.0, 200);
    eventually("the look is not answered", || async { world.line.faults.lock().unwrap().is_empty() }).await;
    world.clock.advance(TimeDelta::seconds(5));
    world.reaches(&id, "PAID").await;
}

#[cfg(feature = "sabotage")]
#[test]
fn the_checkers_see_broken_promises() {
    let this = std::env::current_exe().unwrap();
    for (switch, test, words) in [
        ("skip_inbox", "webhooks::fifty_duplicates_are_one_change", "left: "),
        ("ack_early", "sabotage::a_notice_is_done_only_when_its_work_is", "reaches PAID"),
    ] {
        let run = std::process::Command::new(&this).args(["--exact", test]).env("BERTH_SABOTAGE", switch).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(!run.status.success() && said.contains(words), "{switch} was not seen: {said}");
    }
}
