//! Live availability: what a subscriber of a trip is told, through the relay and the bus as in a running server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod arena;
mod world;

use std::{pin::Pin, sync::Arc, time::Duration};

use arena::{Arena, LEGS, SEATS};
use berth_contracts::event::{Envelope, Event, LegState, SeatChanged};
use berth_inventory::{
    availability::{Update, UpdateKind, Watch, WatchError},
    claim::SeatState::{self, Available, Held, Sold},
};
use chrono::TimeDelta;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use world::is_shared;

type Updates = Pin<Box<dyn Stream<Item = Result<Arc<Update>, WatchError>> + Send>>;

const PATIENCE: Duration = Duration::from_secs(5);

async fn running() -> Arena {
    let arena = Arena::open().await;
    arena.world.deps.start();
    arena
}

fn whole(arena: &Arena) -> Watch {
    Watch { trip: arena.trip.key(), from_stop: None, to_stop: None, since: None }
}

async fn watch(arena: &Arena, watch: Watch) -> Updates {
    Box::pin(arena.world.inventory.availability().watch(watch).await.unwrap())
}

async fn next(updates: &mut Updates) -> Arc<Update> {
    tokio::time::timeout(PATIENCE, updates.next()).await.expect("an update in time").unwrap().unwrap()
}

async fn silence(updates: &mut Updates) {
    let update = tokio::time::timeout(Duration::from_millis(300), updates.next()).await;
    assert!(update.is_err(), "{:?}", update.unwrap());
}

fn seats(arena: &Arena, update: &Update) -> Vec<(u16, SeatState)> {
    let number =
        |id: &str| berth_contracts::id::TripKey::decode_seat(id).map(|(trip, spot_no)| (trip == arena.trip.key(), spot_no));
    update
        .seats
        .iter()
        .map(|(id, state)| {
            (
                number(id)
                    .map(|(ours, spot_no)| {
                        assert!(ours);
                        spot_no
                    })
                    .unwrap(),
                *state,
            )
        })
        .collect()
}

fn changed(arena: &Arena, version: i64, spot_no: u16) -> Arc<Envelope> {
    let seat = SeatChanged { spot_no, from_leg: 0, to_leg: LEGS, state: LegState::Sold, expires_at: None };
    let key = arena.trip.key();
    let event = Event::SeatsChanged { template: key.template, day: key.day, version, seats: vec![seat] };
    Arc::new(Envelope { id: arena.world.clock.new_key(), at: arena.world.clock.now(), trace_parent: None, event })
}

#[tokio::test]
async fn first_a_snapshot_then_changes() {
    let arena = running().await;
    arena.hold(&[3], 0..LEGS).await.unwrap();
    let mut updates = watch(&arena, whole(&arena)).await;
    let first = next(&mut updates).await;
    assert_eq!((first.kind, first.version, first.seats.len()), (UpdateKind::Snapshot, 1, usize::from(SEATS)));
    assert_eq!(seats(&arena, &first)[2..5], [(2, Available), (3, Held), (4, Available)]);
    let hold = arena.hold(&[4, 5], 1..2).await.unwrap();
    let second = next(&mut updates).await;
    assert_eq!((second.kind, second.version), (UpdateKind::Changes, 2));
    assert_eq!(seats(&arena, &second), [(4, Held), (5, Held)]);
    arena.peer().commit_hold(hold.id, arena.user()).await.unwrap();
    let third = next(&mut updates).await;
    assert_eq!((seats(&arena, &third), third.version), (vec![(4, Sold), (5, Sold)], 3));
}

#[tokio::test]
async fn a_segment_hears_of_its_own_legs_only() {
    let arena = running().await;
    let segment = Watch { from_stop: Some(1), to_stop: Some(3), ..whole(&arena) };
    let mut updates = watch(&arena, segment).await;
    next(&mut updates).await;
    arena.hold(&[1], 3..5).await.unwrap();
    silence(&mut updates).await;
    arena.hold(&[1], 2..3).await.unwrap();
    let update = next(&mut updates).await;
    assert_eq!((seats(&arena, &update), update.version), (vec![(1, Held)], 2));
}

#[tokio::test]
async fn a_subscriber_resumes() {
    let arena = running().await;
    let mut updates = watch(&arena, whole(&arena)).await;
    let first = next(&mut updates).await;
    arena.hold(&[1], 0..1).await.unwrap();
    next(&mut updates).await;
    let hold = arena.hold(&[2], 0..1).await.unwrap();
    next(&mut updates).await;
    arena.holds().release(hold.user_id, hold.id).await.unwrap();
    let last = next(&mut updates).await;
    let resume = |since| Watch { since: Some(since), ..whole(&arena) };
    let missed = next(&mut watch(&arena, resume(first.version)).await).await;
    assert_eq!((missed.kind, missed.version), (UpdateKind::Changes, last.version));
    assert_eq!(seats(&arena, &missed), [(1, Held), (2, Available)]);
    let nothing = next(&mut watch(&arena, resume(last.version)).await).await;
    assert_eq!((nothing.kind, nothing.seats.len()), (UpdateKind::Changes, 0));
    for since in [-1, last.version + 1, i64::MIN, i64::MAX] {
        assert_eq!(next(&mut watch(&arena, resume(since)).await).await.kind, UpdateKind::Snapshot);
    }
    assert_eq!(arena.world.inventory.availability().feed_count(), 1);
}

#[tokio::test]
async fn a_gap_ends_in_a_snapshot() {
    let arena = Arena::open().await;
    let mut updates = watch(&arena, whole(&arena)).await;
    assert_eq!(next(&mut updates).await.version, 0);
    // Nothing relays here: two changes happen, and the bus brings only the second.
    arena.hold(&[1], 0..LEGS).await.unwrap();
    arena.hold(&[2], 0..LEGS).await.unwrap();
    arena.world.deps.bus.deliver(&changed(&arena, 2, 7)).await.unwrap();
    let update = next(&mut updates).await;
    assert_eq!((update.kind, update.version), (UpdateKind::Snapshot, 2));
    // The truth is the database's, not the event's.
    let states = seats(&arena, &update);
    assert_eq!((states[1].1, states[2].1, states[7].1), (Held, Held, Available));
    // What is known already is not told again.
    arena.world.deps.bus.deliver(&changed(&arena, 2, 7)).await.unwrap();
    silence(&mut updates).await;
}

#[tokio::test]
async fn events_out_of_order_need_no_snapshot() {
    let arena = Arena::open().await;
    let mut updates = watch(&arena, whole(&arena)).await;
    let mut version = next(&mut updates).await.version;
    for number in [3, 2, 2, 1, 3_u16] {
        arena.world.deps.bus.deliver(&changed(&arena, i64::from(number), number)).await.unwrap();
    }
    let mut sold = Vec::new();
    while version < 3 {
        let update = next(&mut updates).await;
        assert!(update.kind == UpdateKind::Changes && update.version > version, "{update:?}");
        version = update.version;
        sold.extend(seats(&arena, &update));
    }
    sold.sort_unstable();
    assert_eq!(sold, [(1, Sold), (2, Sold), (3, Sold)]);
}

/// The last event is lost, as with a bus that is gone: nothing follows that would show the gap.
#[tokio::test]
async fn a_lost_last_event_is_missed_within_two_seconds() {
    let arena = Arena::open().await;
    let mut updates = watch(&arena, whole(&arena)).await;
    next(&mut updates).await;
    let lost_at = std::time::Instant::now();
    arena.hold(&[1], 0..LEGS).await.unwrap();
    let update = next(&mut updates).await;
    println!("seen after {:?}", lost_at.elapsed());
    assert_eq!((update.kind, update.version), (UpdateKind::Snapshot, 1));
    assert_eq!(seats(&arena, &update)[1], (1, Held));
}

/// A client that saw a version elsewhere is not shown an older one here.
#[tokio::test]
async fn a_reconnecting_client_never_goes_back() {
    let arena = Arena::open().await;
    let replica = if is_shared() { arena.beside().await } else { return };
    let mut here = watch(&replica, whole(&replica)).await;
    assert_eq!(next(&mut here).await.version, 0);
    // No event of the other process reaches this one.
    arena.hold(&[1], 0..LEGS).await.unwrap();
    let resumed = next(&mut watch(&replica, Watch { since: Some(1), ..whole(&replica) }).await).await;
    assert_eq!((resumed.version, resumed.kind, resumed.seats.len()), (1, UpdateKind::Changes, 0));
    let caught_up = next(&mut here).await;
    assert_eq!((caught_up.version, caught_up.kind), (1, UpdateKind::Snapshot));
    // What this process retained is resumed here, whoever told of it first.
    arena.hold(&[2], 0..LEGS).await.unwrap();
    replica.world.deps.bus.deliver(&changed(&replica, 2, 2)).await.unwrap();
    assert_eq!(next(&mut here).await.version, 2);
    let resumed = next(&mut watch(&replica, Watch { since: Some(1), ..whole(&replica) }).await).await;
    assert_eq!((resumed.version, resumed.kind, seats(&replica, &resumed)), (2, UpdateKind::Changes, vec![(2, Sold)]));
}

#[tokio::test]
async fn a_burst_is_told_together() {
    let arena = Arena::open().await;
    let mut updates = watch(&arena, whole(&arena)).await;
    let mut version = next(&mut updates).await.version;
    for number in 0..400_u16 {
        arena.world.deps.bus.deliver(&changed(&arena, i64::from(number) + 1, number % SEATS)).await.unwrap();
    }
    let (mut told, mut sold) = (0, 0);
    while version < 400 && sold < SEATS {
        let update = next(&mut updates).await;
        assert!(update.version > version);
        version = update.version;
        sold += u16::try_from(update.seats.len()).unwrap();
        told += 1;
    }
    assert!(told < 20, "{told} updates");
    assert_eq!(sold, SEATS);
}

#[tokio::test]
async fn a_slow_reader_gets_a_snapshot() {
    let arena = Arena::open().await;
    let mut slow = watch(&arena, whole(&arena)).await;
    let mut quick = watch(&arena, whole(&arena)).await;
    next(&mut slow).await;
    let mut version = next(&mut quick).await.version;
    for number in 0..80_u16 {
        let mut event = (*changed(&arena, i64::from(number) + 1, number % SEATS)).clone();
        if let Event::SeatsChanged { seats, .. } = &mut event.event {
            seats[0].state = if (number / SEATS).is_multiple_of(2) { LegState::Sold } else { LegState::Free };
        }
        arena.world.deps.bus.deliver(&Arc::new(event)).await.unwrap();
        version = next(&mut quick).await.version.max(version);
    }
    assert_eq!(version, 80);
    let update = next(&mut slow).await;
    assert_eq!((update.kind, update.version), (UpdateKind::Snapshot, 80));
}

#[tokio::test]
async fn an_expiry_is_seen_by_the_sweep() {
    let arena = running().await;
    let mut updates = watch(&arena, whole(&arena)).await;
    next(&mut updates).await;
    arena.hold(&[1], 0..LEGS).await.unwrap();
    next(&mut updates).await;
    arena.world.clock.advance(TimeDelta::minutes(15));
    assert_eq!(arena.holds().expire_due().await.unwrap(), 1);
    let update = next(&mut updates).await;
    assert_eq!((seats(&arena, &update), update.version), (vec![(1, Available)], 2));
}

#[tokio::test]
async fn what_can_not_be_watched_is_refused() {
    let arena = Arena::open().await;
    let availability = arena.world.inventory.availability();
    let mut other = whole(&arena);
    other.trip.day += 4000;
    assert!(matches!(availability.watch(other).await.err(), Some(WatchError::NoTrip)));
    for (from_stop, to_stop) in [(Some(3), Some(3)), (Some(4), Some(1)), (None, Some(99)), (Some(LEGS), None)] {
        let watch = Watch { from_stop, to_stop, ..whole(&arena) };
        assert!(matches!(availability.watch(watch).await.err(), Some(WatchError::Segment(_))), "{from_stop:?} {to_stop:?}");
    }
}

#[tokio::test]
async fn the_graph_streams_it() {
    let arena = running().await;
    let schema = arena.world.inventory.schema();
    let subscription = "subscription($trip: ID!, $from: ID, $since: BigInt) {
        seatAvailability(tripId: $trip, fromStopId: $from, sinceVersion: $since) { tripId version kind seats { seatId state } } }";
    let run = |variables: serde_json::Value| {
        let request = async_graphql::Request::new(subscription).variables(async_graphql::Variables::from_json(variables));
        schema.execute_stream(request).map(|answer| serde_json::to_value(answer).unwrap())
    };
    let trip = arena.trip.key();
    let mut answers = Box::pin(run(json!({ "trip": trip.encode(), "from": trip.stop_id(1) })));
    let first = answers.next().await.unwrap();
    assert_eq!(first["data"]["seatAvailability"]["kind"], "SNAPSHOT", "{first}");
    assert_eq!(first["data"]["seatAvailability"]["seats"][0], json!({ "seatId": trip.seat_id(0), "state": "AVAILABLE" }));
    arena.hold(&[6], 1..2).await.unwrap();
    let second = answers.next().await.unwrap();
    let expected = json!({ "tripId": trip.encode(), "version": "1", "kind": "CHANGES", "seats": [{ "seatId": trip.seat_id(6), "state": "HELD" }] });
    assert_eq!(second["data"]["seatAvailability"], expected);
    let mut other = trip;
    other.day += 1;
    for (variables, code) in [
        (json!({ "trip": "trip_x" }), "INVALID_ID"),
        (json!({ "trip": trip.seat_id(1) }), "INVALID_ID"),
        (json!({ "trip": trip.encode(), "from": "nonsense" }), "INVALID_ID"),
        (json!({ "trip": trip.encode(), "from": other.stop_id(1) }), "INVALID_SEGMENT"),
        (json!({ "trip": trip.encode(), "from": trip.stop_id(LEGS) }), "INVALID_SEGMENT"),
        (json!({ "trip": berth_contracts::id::TripKey { day: 60_000, ..trip }.encode() }), "NOT_FOUND"),
    ] {
        let answer = Box::pin(run(variables.clone())).next().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{variables} {answer}");
    }
}
