//! Replicas that do not take a caller's credential, and what becomes of the caller.

use std::{sync::Arc, time::Duration};

use axum::Router;
use berth_contracts::peer::{BookingPeer, PeerError};
use berth_kernel::{
    agreed_time::AgreedTime,
    clock::Clock,
    jobs::Background,
    peer::{
        Line, Standing,
        client::Remote,
        server::{self, Desk},
        standing,
    },
    service::{ServiceSigner, ServiceVerifier},
};
use chrono::TimeDelta;

use crate::{
    ANN, Desk7, SEVEN,
    world::{World, serve},
};

/// A replica of booking in the installation of `world`, whose clock is off by so much.
async fn booking(world: &World, off: TimeDelta, standing: Standing) -> String {
    let known = ServiceVerifier::watched(world.keys.path(), "booking", Clock::shifted(off), standing);
    let desk = Desk::new(known.clone(), world.tokens());
    serve(Router::new().merge(server::booking(Arc::new(Desk7), desk)).merge(standing::routes(known))).await
}

fn signer(world: &World, off: TimeDelta) -> ServiceSigner {
    world.signer_by("payment", Clock::shifted(off))
}

fn remote(signer: ServiceSigner, urls: &[&String]) -> Remote {
    let urls: Vec<String> = urls.iter().map(|url| (*url).clone()).collect();
    Remote::new(signer, "booking", &urls).unwrap()
}

const RIGHT: TimeDelta = TimeDelta::zero();
const AHEAD: TimeDelta = TimeDelta::seconds(600);

#[tokio::test]
async fn a_replica_with_a_wrong_clock_or_foreign_keys_is_passed_over() {
    let world = World::new();
    let well = booking(&world, RIGHT, Standing::default()).await;
    let late = booking(&world, AHEAD, Standing::default()).await;
    let foreign = booking(&World::new(), RIGHT, Standing::default()).await;
    let remote = remote(signer(&world, RIGHT), &[&late, &foreign, &well]);
    for _ in 0..20 {
        remote.payable(ANN, SEVEN).await.expect("the third replica answers");
    }
}

#[tokio::test]
async fn who_is_refused_by_all_has_not_tried() {
    let world = World::new();
    let booking = booking(&world, RIGHT, Standing::default()).await;
    let remote = remote(signer(&world, AHEAD), &[&booking]);
    assert_eq!(remote.payable(ANN, SEVEN).await, Err(PeerError::LockedOut("booking".to_owned())));
}

#[tokio::test]
async fn an_outcast_learns_it_admits_nobody_and_holds_its_work() {
    let world = World::new();
    let well = booking(&world, RIGHT, Standing::default()).await;
    let (standing, background) = (Standing::default(), Background::default());
    let lost = signer(&world, AHEAD).with_standing(standing.clone());
    let own = booking(&world, RIGHT, standing.clone()).await;
    let line = Line::new(lost, "booking", std::slice::from_ref(&well)).unwrap();
    let time = AgreedTime::new(Clock::shifted(AHEAD), standing.clone(), &background);
    standing::follow(vec![line], standing.clone(), Clock::shifted(AHEAD), Some(time), &background).await;
    until(|| standing.is_outcast()).await;
    let problem = standing.problem().expect("a problem");
    assert!(problem.contains("SERVICE_CREDENTIAL_EXPIRED") && problem.contains("s ahead of the fleet's"), "{problem}");
    let remote = remote(signer(&world, RIGHT), &[&own, &well]);
    for _ in 0..4 {
        remote.payable(ANN, SEVEN).await.expect("the other replica answers");
    }
    background.stop();
}

#[tokio::test]
async fn who_some_accept_is_none_and_takes_the_time_from_them() {
    let world = World::new();
    let well = booking(&world, RIGHT, Standing::default()).await;
    let foreign = booking(&World::new(), RIGHT, Standing::default()).await;
    let (standing, background) = (Standing::default(), Background::default());
    // Within what credentials allow, and more than is fit to serve.
    let (machine, clock) = (Clock::shifted(TimeDelta::minutes(-3)), Clock::shifted(TimeDelta::minutes(-3)));
    let line = Line::new(world.signer_by("payment", machine.clone()), "booking", &[foreign, well]).unwrap();
    let time = AgreedTime::new(clock.clone(), standing.clone(), &background);
    standing::follow(vec![line], standing.clone(), machine, Some(time), &background).await;
    until(|| standing.off().is_some()).await;
    assert!((clock.now() - Clock::system().now()).abs() < TimeDelta::milliseconds(200), "the clock was corrected");
    assert!(standing.problem().is_some_and(|problem| problem.contains("180 s behind")), "{:?}", standing.problem());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!standing.is_outcast());
    background.stop();
}

/// What a stolen credential opens, and what not: docs/SECURITY.md says the same.
#[tokio::test]
async fn a_credential_that_is_sent_again_opens_its_callee_for_some_minutes_and_nothing_else() {
    let world = World::new();
    let stolen = world.signer("payment").credential("booking");
    let verifier = |audience: &str, minutes: i64| {
        ServiceVerifier::new(world.keys.path(), audience, Clock::shifted(TimeDelta::minutes(minutes)))
    };
    assert!(verifier("booking", 0).verify(&stolen).is_ok(), "again at the same callee: the network must not let it be seen");
    for other in ["user", "inventory", "payment"] {
        assert!(verifier(other, 0).verify(&stolen).is_err(), "{other} takes what was made for booking");
    }
    assert!(verifier("booking", 0).admit(Some(&stolen), &["router"]).is_err(), "what only the router may ask");
    assert!(verifier("booking", 8).verify(&stolen).is_err(), "a minute of life, and six for clocks");
}

async fn until(met: impl Fn() -> bool) {
    for _ in 0..100 {
        if met() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within 10 s");
}
