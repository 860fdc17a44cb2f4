//! Placing, ending and selling holds, one thing at a time, on a real database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod arena;
mod world;

use arena::{Arena, lost, refusal};
use berth_contracts::peer::{CommitOutcome, HoldState, PeerError};
use berth_inventory::{
    InventoryConfig,
    claim::SeatState::{Available, Held, Sold},
    hold::{HoldStatus, Refusal},
};
use chrono::TimeDelta;

const SECOND: TimeDelta = TimeDelta::seconds(1);

fn code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Invalid { code, .. } => code,
        Refusal::NotFound { .. } => "NOT_FOUND",
        Refusal::SaleClosed { .. } => "SALE_CLOSED",
        Refusal::SeatsUnavailable(_) => "SEATS_UNAVAILABLE",
        Refusal::HoldLimit(_) => "HOLD_LIMIT",
        Refusal::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
        Refusal::InvalidTransition(_) => "INVALID_TRANSITION",
    }
}

#[tokio::test]
async fn a_hold_keeps_its_seats_on_its_legs_only() {
    let arena = Arena::open().await;
    let hold = arena.hold(&[3, 4], 1..3).await.unwrap();
    assert_eq!((hold.items.len(), hold.total.amount_minor), (2, hold.items[0].price.amount_minor * 2));
    assert_eq!(hold.expires_at - hold.created_at, TimeDelta::minutes(15));
    assert_eq!((arena.state(3, 1..3).await, arena.state(3, 0..5).await), (Held, Held));
    assert_eq!((arena.state(3, 0..1).await, arena.state(4, 3..5).await), (Available, Available));
    // The same seat to somebody else where it is free.
    arena.hold(&[3], 0..1).await.unwrap();
    arena.hold(&[3], 3..5).await.unwrap();
    let refused = arena.hold(&[2, 3, 4, 5], 2..4).await.unwrap_err();
    assert_eq!(lost(&refused), [3, 4]);
    // All or nothing: 2 and 5 stayed free.
    assert_eq!((arena.state(2, 0..5).await, arena.state(5, 0..5).await), (Available, Available));
}

#[tokio::test]
async fn nonsense_is_refused_before_anything_changes() {
    let arena = Arena::open().await;
    let user = arena.user();
    let mut wrong_trip = arena.request(&[1], 0..1);
    wrong_trip.trip.day += 400;
    let other_day = arena.world.trip("Express 1", "2026-12-11");
    let mut wrong_seat = arena.request(&[1], 0..1);
    wrong_seat.select = berth_inventory::hold::Selection::Exact(vec![(other_day.key(), 1)]);
    let mut wrong_class = arena.best(1, 0..1);
    wrong_class.select = berth_inventory::hold::Selection::Best { count: 1, travel_class: Some("royal".into()) };
    let cases = [
        (vec![], "INVALID_SEAT_COUNT"),
        (vec![arena.request(&[], 0..1)], "INVALID_SEAT_COUNT"),
        (vec![arena.request(&[0, 1, 2, 3, 4, 5, 6, 7, 8], 0..1)], "INVALID_SEAT_COUNT"),
        (vec![arena.best(0, 0..1)], "INVALID_SEAT_COUNT"),
        (vec![arena.best(9, 0..1)], "INVALID_SEAT_COUNT"),
        (vec![arena.best(-3, 0..1)], "INVALID_SEAT_COUNT"),
        (vec![arena.request(&[1, 1], 0..1)], "DUPLICATE_SEAT"),
        (vec![arena.request(&[1], 0..3), arena.request(&[1], 2..4)], "DUPLICATE_SEAT"),
        (vec![arena.request(&[99], 0..1)], "INVALID_SEAT"),
        (vec![wrong_seat], "INVALID_SEAT"),
        (vec![wrong_class], "UNKNOWN_CLASS"),
        (vec![arena.request(&[1], 2..2)], "INVALID_SEGMENT"),
        (vec![arena.reversed(&[1])], "INVALID_SEGMENT"),
        (vec![arena.request(&[1], 0..9)], "INVALID_SEGMENT"),
        (vec![wrong_trip], "NOT_FOUND"),
    ];
    for (requests, expected) in cases {
        let refused = arena.place(user, requests.clone()).await.unwrap_err();
        assert_eq!(code(&refused), expected, "{requests:?}");
    }
    for key in ["", &"k".repeat(129)] {
        let refused = arena.place_as(user, vec![arena.request(&[1], 0..1)], key).await.unwrap_err();
        assert_eq!(code(&refused), "INVALID_IDEMPOTENCY_KEY");
    }
    assert_eq!(arena.version().await, 0);
}

#[tokio::test]
async fn the_sale_ends_when_the_train_leaves_the_stop() {
    let arena = Arena::open().await;
    let clock = &arena.world.clock;
    clock.advance(arena.trip.departure(1).unwrap() - clock.now() - SECOND);
    arena.hold(&[1], 1..2).await.unwrap();
    clock.advance(SECOND);
    assert_eq!(code(&arena.hold(&[2], 1..2).await.unwrap_err()), "SALE_CLOSED");
    arena.hold(&[2], 2..3).await.unwrap();
}

#[tokio::test]
async fn a_person_has_so_many_holds_and_no_more() {
    let arena = Arena::open().await;
    let user = arena.user();
    let mut holds = Vec::new();
    for seat in 0..4 {
        holds.push(arena.place(user, vec![arena.request(&[seat], 0..5)]).await.unwrap());
    }
    let fifth = || arena.place(user, vec![arena.request(&[9], 0..5)]);
    assert_eq!(code(&fifth().await.unwrap_err()), "HOLD_LIMIT");
    assert_eq!(arena.state(9, 0..5).await, Available);
    arena.holds().release(user, holds[0].id).await.unwrap();
    fifth().await.unwrap();
    assert_eq!(code(&fifth().await.unwrap_err()), "SEATS_UNAVAILABLE");
    // Expired ones do not count.
    arena.world.clock.advance(TimeDelta::minutes(15));
    fifth().await.unwrap();
}

#[tokio::test]
async fn a_hold_ends_at_its_deadline_without_any_sweeper() {
    let arena = Arena::open().await;
    let first = arena.hold(&[7], 0..5).await.unwrap();
    arena.world.clock.advance(TimeDelta::minutes(15) - SECOND);
    assert_eq!(lost(&arena.hold(&[7], 0..5).await.unwrap_err()), [7]);
    arena.world.clock.advance(SECOND + SECOND);
    let second = arena.hold(&[7], 0..5).await.unwrap();
    let seen = arena.holds().find(first.user_id, first.id).await.unwrap().unwrap();
    assert_eq!(seen.status(arena.world.clock.now()), HoldStatus::Expired);
    // To release what is over is answered with how it is, before and after the sweeper, whether a booking has it or not.
    let tied = arena.hold(&[8], 0..5).await.unwrap();
    arena.peer().attach_hold(tied.id, arena.user()).await.unwrap();
    arena.world.clock.advance(TimeDelta::minutes(15));
    for _ in ["before", "after"] {
        let over = arena.holds().release(tied.user_id, tied.id).await.unwrap();
        assert_eq!(over.stored_status, HoldStatus::Expired);
    }
    arena.world.clock.advance(-TimeDelta::minutes(15));
    // The sweeper then takes nothing from the second.
    assert_eq!(arena.holds().expire_due().await.unwrap(), 1);
    assert_eq!(arena.state(7, 0..5).await, Held);
    assert_eq!(arena.peer().commit_hold(first.id, arena.user()).await, Ok(CommitOutcome::Gone));
    assert_eq!(arena.peer().commit_hold(second.id, arena.user()).await, Ok(CommitOutcome::Committed));
}

#[tokio::test]
async fn the_same_key_gives_the_same_hold() {
    let arena = Arena::open().await;
    let (user, other) = (arena.user(), arena.user());
    let requests = vec![arena.request(&[1, 2], 0..5)];
    let tries = (0..8).map(|_| arena.place_as(user, requests.clone(), "k"));
    let holds = futures_util::future::join_all(tries).await;
    let ids: Vec<_> = holds.into_iter().map(|hold| hold.unwrap().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(arena.version().await, 1);
    let conflict = arena.place_as(user, vec![arena.request(&[3], 0..5)], "k").await.unwrap_err();
    assert_eq!(code(&conflict), "IDEMPOTENCY_CONFLICT");
    // Keys are each person's own, and a refusal does not use one up.
    assert_eq!(code(&arena.place_as(other, requests.clone(), "k").await.unwrap_err()), "SEATS_UNAVAILABLE");
    arena.holds().release(user, ids[0]).await.unwrap();
    let others = arena.place_as(other, requests.clone(), "k").await.unwrap();
    assert_ne!(others.id, ids[0]);
    // Even when the train has left, a repeat is answered with the first answer.
    arena.world.clock.advance(TimeDelta::hours(20));
    assert_eq!(arena.place_as(other, requests, "k").await.unwrap().id, others.id);
    // A day later the key is free, swept or not: the call is judged by itself.
    arena.world.clock.advance(TimeDelta::hours(5));
    let fresh = arena.place_as(user, vec![arena.request(&[3], 0..5)], "k").await.unwrap_err();
    assert_ne!(code(&fresh), "IDEMPOTENCY_CONFLICT");
}

#[tokio::test]
async fn a_release_frees_the_seats_once() {
    let arena = Arena::open().await;
    let hold = arena.hold(&[1, 2], 0..2).await.unwrap();
    let foreign = arena.holds().release(arena.user(), hold.id).await.map_err(refusal).unwrap_err();
    assert_eq!(code(&foreign), "NOT_FOUND");
    let released = arena.holds().release(hold.user_id, hold.id).await.unwrap();
    assert_eq!((released.stored_status, arena.version().await), (HoldStatus::Released, 2));
    assert_eq!(arena.state(1, 0..5).await, Available);
    arena.hold(&[1], 0..2).await.unwrap();
    let again = arena.holds().release(hold.user_id, hold.id).await.unwrap();
    assert_eq!((again.stored_status, arena.state(1, 0..2).await), (HoldStatus::Released, Held));
    // Peers may repeat, and may name what is not there.
    assert_eq!(arena.peer().release_hold(hold.id).await, Ok(()));
    assert_eq!(arena.peer().release_hold(arena.user()).await, Ok(()));
}

#[tokio::test]
async fn a_hold_is_sold_to_one_booking() {
    let arena = Arena::open().await;
    let (booking, other) = (arena.user(), arena.user());
    let hold = arena.hold(&[1, 2], 0..5).await.unwrap();
    let peer = arena.peer();
    assert_eq!(peer.hold(other, hold.id).await, Err(PeerError::NotFound));
    let copy = peer.hold(hold.user_id, hold.id).await.unwrap();
    assert_eq!((copy.state, copy.seats.len(), copy.seats[0].seat.as_str()), (HoldState::Active, 2, "1B"));
    assert_eq!((copy.seats[0].from.stop_index, copy.seats[0].to.stop_index), (0, 5));
    assert_eq!(peer.attach_hold(hold.id, booking).await.map(|copy| copy.hold_id), Ok(hold.id));
    assert!(peer.attach_hold(hold.id, booking).await.is_ok());
    assert_eq!(peer.attach_hold(hold.id, other).await, Err(PeerError::NotFound));
    assert_eq!(peer.commit_hold(hold.id, other).await, Err(PeerError::NotFound));
    // Its owner can't pull the seats from under the booking.
    let pulled = arena.holds().release(hold.user_id, hold.id).await.map_err(refusal).unwrap_err();
    assert_eq!(code(&pulled), "INVALID_TRANSITION");
    for _ in 0..2 {
        assert_eq!(peer.commit_hold(hold.id, booking).await, Ok(CommitOutcome::Committed));
    }
    assert_eq!((arena.state(1, 0..1).await, arena.state(2, 4..5).await), (Sold, Sold));
    // Sold seats are not given back by releases, nor by time.
    assert_eq!(peer.release_hold(hold.id).await, Ok(()));
    arena.world.clock.advance(TimeDelta::hours(1));
    assert_eq!(arena.holds().expire_due().await.unwrap(), 0);
    assert_eq!(arena.state(1, 0..5).await, Sold);
    assert_eq!(peer.commit_hold(arena.user(), booking).await, Err(PeerError::NotFound));
}

#[tokio::test]
async fn an_extension_moves_the_deadline_once() {
    let arena = Arena::open().await;
    let hold = arena.hold(&[1], 0..5).await.unwrap();
    let minutes = |count| hold.created_at + TimeDelta::minutes(count);
    assert_eq!(arena.peer().extend_hold(hold.id, minutes(40)).await, Ok(minutes(40)));
    assert_eq!(arena.peer().extend_hold(hold.id, minutes(60)).await, Ok(minutes(40)));
    arena.world.clock.advance(TimeDelta::minutes(39));
    assert_eq!(lost(&arena.hold(&[1], 0..5).await.unwrap_err()), [1]);
    assert_eq!(arena.holds().expire_due().await.unwrap(), 0);
    arena.world.clock.advance(TimeDelta::minutes(1));
    let late = arena.hold(&[1], 0..5).await.unwrap();
    let capped = late.created_at + TimeDelta::hours(2);
    assert_eq!(arena.peer().extend_hold(late.id, late.created_at + TimeDelta::hours(9)).await, Ok(capped));
    assert_eq!(arena.peer().extend_hold(arena.user(), minutes(1)).await, Err(PeerError::NotFound));
}

#[tokio::test]
async fn late_money_gets_the_same_seats_or_none() {
    let arena = Arena::open().await;
    let peer = arena.peer();
    let swept = arena.hold(&[1, 2], 0..5).await.unwrap();
    let unswept = arena.hold(&[3], 0..5).await.unwrap();
    let half_taken = arena.hold(&[5, 6], 0..5).await.unwrap();
    arena.world.clock.advance(TimeDelta::minutes(16));
    arena.hold(&[6], 2..3).await.unwrap();
    // Still there, though late: the fence decides, not the clock.
    assert_eq!(peer.commit_hold(unswept.id, arena.user()).await, Ok(CommitOutcome::Committed));
    assert_eq!(arena.holds().expire_due().await.unwrap(), 2);
    assert_eq!((arena.state(5, 0..5).await, arena.state(6, 0..5).await), (Available, Held));
    assert_eq!(peer.commit_hold(swept.id, arena.user()).await, Ok(CommitOutcome::Committed));
    assert_eq!((arena.state(1, 0..5).await, arena.state(2, 0..5).await), (Sold, Sold));
    assert_eq!(peer.commit_hold(half_taken.id, arena.user()).await, Ok(CommitOutcome::Gone));
    assert_eq!(arena.state(5, 0..5).await, Available);
    // Nobody gets a seat of a train that has left.
    let too_late = arena.hold(&[9], 0..1).await.unwrap();
    arena.world.clock.advance(TimeDelta::hours(8));
    arena.holds().expire_due().await.unwrap();
    assert_eq!(peer.commit_hold(too_late.id, arena.user()).await, Ok(CommitOutcome::Gone));
}

#[tokio::test]
async fn the_best_seats_are_side_by_side() {
    let arena = Arena::open().await;
    let user = arena.user();
    let spots = |hold: &berth_inventory::hold::Hold| hold.items.iter().map(|item| item.spot_no).collect::<Vec<_>>();
    let first = arena.place(user, vec![arena.best(2, 0..5)]).await.unwrap();
    let second = arena.place(user, vec![arena.best(2, 0..5)]).await.unwrap();
    assert_eq!((spots(&first), spots(&second)), (vec![0, 1], vec![2, 3]));
    // Chosen seats and ours in one hold do not collide, nor do two choices of ours.
    let mixed = arena.place(user, vec![arena.best(2, 0..3), arena.best(1, 2..4), arena.request(&[4], 0..5)]).await.unwrap();
    assert_eq!(mixed.items.len(), 4);
    arena.place(arena.user(), vec![arena.best(8, 0..5)]).await.unwrap();
    let refused = arena.place(arena.user(), vec![arena.best(8, 0..5)]).await.unwrap_err();
    let Refusal::SeatsUnavailable(missing) = &refused else { panic!("{refused:?}") };
    let alternatives = arena.holds().alternatives(missing, 3).await.unwrap();
    assert_eq!(alternatives.len(), 3);
}

#[tokio::test]
async fn a_hold_spans_trips_or_does_not_happen() {
    let arena = Arena::open().await;
    let mut next_day = arena.request(&[], 0..5);
    next_day.trip.day += 1;
    next_day.select = berth_inventory::hold::Selection::Exact(vec![(next_day.trip, 1)]);
    let both = arena.hold(&[2], 0..5).await.unwrap();
    let requests = vec![next_day.clone(), arena.request(&[1], 0..5)];
    let hold = arena.place(arena.user(), requests.clone()).await.unwrap();
    assert_eq!(hold.trips().len(), 2);
    let refused = arena.place(arena.user(), vec![next_day, arena.request(&[2, 3], 0..5)]).await.unwrap_err();
    assert_eq!(lost(&refused).len(), 2);
    arena.holds().release(both.user_id, both.id).await.unwrap();
    arena.holds().release(hold.user_id, hold.id).await.unwrap();
    arena.place(arena.user(), requests).await.unwrap();
}

#[tokio::test]
async fn limits_are_settings() {
    let mut config = InventoryConfig::default();
    config.hold.max_active = 1;
    config.hold.max_seats = 2;
    config.hold.ttl = SECOND;
    let arena = Arena::with(config).await;
    let user = arena.user();
    let hold = arena.place(user, vec![arena.request(&[1, 2], 0..5)]).await.unwrap();
    assert_eq!(hold.expires_at - hold.created_at, SECOND);
    assert_eq!(code(&arena.place(user, vec![arena.request(&[3], 0..5)]).await.unwrap_err()), "HOLD_LIMIT");
    assert_eq!(code(&arena.place(user, vec![arena.request(&[3, 4, 5], 0..5)]).await.unwrap_err()), "INVALID_SEAT_COUNT");
}

#[tokio::test]
async fn what_a_booking_gives_back_is_free_for_good() {
    let arena = Arena::open().await;
    let peer = arena.peer();
    let (booking, other) = (arena.user(), arena.user());
    let sold = arena.hold(&[1, 2], 0..3).await.unwrap();
    peer.attach_hold(sold.id, booking).await.unwrap();
    assert_eq!(peer.commit_hold(sold.id, booking).await, Ok(CommitOutcome::Committed));
    assert_eq!(peer.give_back(sold.id, other).await, Err(PeerError::NotFound), "only its own booking gives seats back");
    assert_eq!(arena.state(1, 0..3).await, Sold);
    let before = arena.version().await;
    for _ in 0..3 {
        assert_eq!(peer.give_back(sold.id, booking).await, Ok(()));
    }
    assert_eq!((arena.state(1, 0..3).await, arena.version().await), (Available, before + 1), "told once");
    // A step that was overtaken comes now: it gets nothing, whether or not the seats are free.
    assert_eq!(peer.commit_hold(sold.id, booking).await, Ok(CommitOutcome::Gone));
    let next = arena.hold(&[1, 2], 0..3).await.unwrap();
    assert_eq!(peer.give_back(sold.id, booking).await, Ok(()));
    assert_eq!((peer.commit_hold(next.id, other).await, arena.state(2, 0..3).await), (Ok(CommitOutcome::Committed), Sold));
    assert_eq!(peer.give_back(sold.id, booking).await, Ok(()));
    assert_eq!(arena.state(2, 0..3).await, Sold, "nobody else's seats");
    assert_eq!(peer.give_back(arena.user(), booking).await, Ok(()), "an unknown hold");
}

#[tokio::test]
async fn what_was_never_sold_is_given_back_for_good_as_well() {
    let arena = Arena::open().await;
    let (peer, booking) = (arena.peer(), arena.user());
    for late in [false, true] {
        let hold = arena.hold(&[5], 0..2).await.unwrap();
        peer.attach_hold(hold.id, booking).await.unwrap();
        if late {
            arena.world.clock.advance(TimeDelta::minutes(15));
            arena.holds().expire_due().await.unwrap();
        }
        assert_eq!(peer.give_back(hold.id, booking).await, Ok(()));
        assert_eq!((arena.state(5, 0..2).await, peer.commit_hold(hold.id, booking).await), (Available, Ok(CommitOutcome::Gone)));
    }
}
