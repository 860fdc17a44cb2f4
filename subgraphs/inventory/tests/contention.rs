//! Many people, few seats: nobody shares a seat, nobody gets half of what they asked for, and what the database says at
//! the end is what a simple model says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod arena;
mod world;

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arena::{Arena, LEGS, SEATS, lost};
use berth_contracts::peer::CommitOutcome;
use berth_inventory::{
    InventoryConfig,
    claim::SeatState,
    hold::{Hold, HoldStatus, Refusal},
    holds::HoldError,
};
use berth_kernel::{db::sql, random};
use chrono::TimeDelta;
use proptest::prelude::*;
use sea_orm::ConnectionTrait;
use uuid::Uuid;
use world::is_shared;

/// What one person saw: a hold from the answer that gave it to the moment before it was given back.
struct Span {
    hold_id: Uuid,
    seats: Vec<u16>,
    legs: Range<u16>,
    from: Instant,
    to: Option<Instant>,
}

/// Spans of different holds that share a seat × leg at one time.
fn overlaps(spans: &[Span]) -> usize {
    let mut count = 0;
    for (index, a) in spans.iter().enumerate() {
        for b in &spans[index + 1..] {
            let same_time = a.to.is_none_or(|end| b.from < end) && b.to.is_none_or(|end| a.from < end);
            let same_leg = a.legs.start < b.legs.end && b.legs.start < a.legs.end;
            let same_seat = a.seats.iter().any(|seat| b.seats.contains(seat));
            count += usize::from(same_time && same_leg && same_seat && a.hold_id != b.hold_id);
        }
    }
    count
}

fn below(limit: u16) -> u16 {
    u16::from_be_bytes(random::bytes()) % limit
}

fn wish() -> (Vec<u16>, Range<u16>) {
    let mut seats: Vec<u16> = (0..=below(3)).map(|_| below(SEATS)).collect();
    seats.sort_unstable();
    seats.dedup();
    let from = below(LEGS);
    (seats, from..from + 1 + below(LEGS - from))
}

/// 64 people fight for 20 seats over 5 legs: some give back, some buy, some walk away. In two processes where they can share a
/// database.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_shares_a_seat() {
    let mut config = InventoryConfig::default();
    config.hold.max_active = u32::MAX;
    let arena = Arc::new(Arena::with(config.clone()).await);
    let mut processes = vec![Arc::clone(&arena)];
    if is_shared() {
        processes.push(Arc::new(arena.beside_with(config).await));
    }
    let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
    let until = Instant::now() + Duration::from_secs(3);
    let people = (0..64).map(|number: usize| {
        let (arena, spans) = (Arc::clone(&processes[number % processes.len()]), Arc::clone(&spans));
        tokio::spawn(async move {
            while Instant::now() < until {
                fight(&arena, &spans).await;
            }
        })
    });
    for person in people.collect::<Vec<_>>() {
        person.await.unwrap();
    }
    let spans = std::mem::take(&mut *spans.lock().unwrap());
    println!("{} holds", spans.len());
    assert!(spans.len() > 50, "only {} holds", spans.len());
    assert_eq!(overlaps(&spans), 0, "a seat was held twice");
    // What was never given back is still there, leg by leg.
    for leg in 0..LEGS {
        let taken = arena.leg(leg).await.into_iter().filter(|state| *state != SeatState::Available).count();
        let kept = spans.iter().filter(|span| span.to.is_none() && span.legs.contains(&leg)).map(|span| span.seats.len());
        assert_eq!(taken, kept.sum::<usize>(), "leg {leg}");
    }
}

async fn fight(arena: &Arena, spans: &Mutex<Vec<Span>>) {
    let (seats, legs) = wish();
    let hold = match arena.hold(&seats, legs.clone()).await {
        Ok(hold) => hold,
        Err(refused) => {
            assert!(lost(&refused).iter().all(|seat| seats.contains(seat)));
            return;
        }
    };
    let from = Instant::now();
    assert_eq!(hold.items.iter().map(|item| item.spot_no).collect::<Vec<_>>(), seats);
    let mut span = Span { hold_id: hold.id, seats, legs, from, to: None };
    match below(100) {
        // A few buy; nobody gets those seats again.
        0 => assert_eq!(arena.peer().commit_hold(hold.id, arena.user()).await, Ok(CommitOutcome::Committed)),
        1..=2 => {}
        _ => {
            tokio::time::sleep(Duration::from_millis(u64::from(below(20)))).await;
            span.to = Some(Instant::now());
            arena.holds().release(hold.user_id, hold.id).await.unwrap();
        }
    }
    spans.lock().unwrap().push(span);
}

/// The checker must see a claim without its guard.
#[cfg(feature = "sabotage")]
#[test]
fn the_checker_sees_a_missing_guard() {
    for (sabotage, test, words) in [
        ("claim_guard", "nobody_shares_a_seat", "left: "),
        ("ignore_expiry", "a_dead_hold_is_no_obstacle", "SeatsUnavailable"),
        ("skip_fence", "the_fence_is_counted", "left: "),
    ] {
        let this = std::env::current_exe().unwrap();
        let run = std::process::Command::new(this).args(["--exact", test]).env("BERTH_SABOTAGE", sabotage).output().unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(!run.status.success() && said.contains(words), "{sabotage} was not seen: {said}");
    }
}

#[tokio::test]
async fn a_dead_hold_is_no_obstacle() {
    let arena = Arena::open().await;
    arena.hold(&[1], 0..LEGS).await.unwrap();
    arena.world.clock.advance(TimeDelta::minutes(15));
    arena.hold(&[1], 0..LEGS).await.unwrap();
}

#[tokio::test]
async fn the_fence_is_counted() {
    let arena = Arena::open().await;
    let late = arena.hold(&[1], 0..LEGS).await.unwrap();
    arena.world.clock.advance(TimeDelta::minutes(15));
    arena.hold(&[1], 2..3).await.unwrap();
    assert_eq!(arena.peer().commit_hold(late.id, arena.user()).await, Ok(CommitOutcome::Gone));
}

/// One wants A then B, the other B then A: each gets both or none, and neither waits for the other for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opposite_orders_do_not_lock_each_other() {
    let arena = Arc::new(Arena::open().await);
    let mut other = arena.request(&[], 0..LEGS);
    other.trip.day += 1;
    other.select = berth_inventory::hold::Selection::Exact(vec![(other.trip, 1)]);
    let (a, b) = (arena.request(&[1], 0..LEGS), other);
    let rivals = [vec![a.clone(), b.clone()], vec![b, a]].map(|requests| {
        let arena = Arc::clone(&arena);
        tokio::spawn(async move {
            let (user, mut won) = (arena.user(), 0);
            for _ in 0..100 {
                if let Ok(hold) = arena.place(user, requests.clone()).await {
                    assert_eq!(hold.items.len(), 2);
                    arena.holds().release(user, hold.id).await.unwrap();
                    won += 1;
                }
            }
            won
        })
    });
    let mut won = 0;
    for rival in rivals {
        won += tokio::time::timeout(Duration::from_mins(1), rival).await.unwrap().unwrap();
    }
    assert!(won > 0);
    assert_eq!(arena.state(1, 0..LEGS).await, SeatState::Available);
}

/// Two calls of one person at once can't both be the fourth hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_under_races() {
    let arena = Arena::open().await;
    let user = arena.user();
    let tries = (0..SEATS).map(|seat| arena.place(user, vec![arena.request(&[seat], 0..LEGS)]));
    let placed = futures_util::future::join_all(tries).await.into_iter().flatten().count();
    assert_eq!(placed, 4);
}

/// The same from two processes; and a call that is repeated at the other process while it runs has one effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_and_keys_hold_across_processes() {
    let here = Arena::open().await;
    let there = if is_shared() { here.beside().await } else { return };
    for round in 0..10 {
        let user = here.user();
        let tries = (0..SEATS).map(|seat| {
            let arena = if seat % 2 == 0 { &here } else { &there };
            arena.place(user, vec![arena.request(&[seat], 0..LEGS)])
        });
        let placed: Vec<Hold> = futures_util::future::join_all(tries).await.into_iter().flatten().collect();
        assert_eq!(placed.len(), 4, "round {round}");
        for hold in placed {
            there.holds().release(user, hold.id).await.unwrap();
        }
        let (user, key) = (here.user(), format!("round {round}"));
        let repeats = (0..8).map(|number| {
            let arena = if number % 2 == 0 { &here } else { &there };
            arena.place_as(user, vec![arena.request(&[1, 2], 0..LEGS)], &key)
        });
        let answers: Vec<Hold> = futures_util::future::join_all(repeats).await.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().all(|hold| hold.id == answers[0].id), "round {round}");
        here.holds().release(user, answers[0].id).await.unwrap();
    }
}

/// At the deadline one process sells, the other sweeps and gives the seats to somebody else: one of them has the seats in
/// the end, and whoever was told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sale_races_the_sweep_and_a_rival() {
    const ROUNDS: u16 = 12;
    let here = Arena::open().await;
    let there = if is_shared() { here.beside().await } else { return };
    let (mut sold, mut taken) = (0, 0);
    // A quarter of an hour each: the train leaves after five hours.
    for seat in 0..ROUNDS {
        let late = here.hold(&[seat], 0..LEGS).await.unwrap();
        for arena in [&here, &there] {
            arena.world.clock.advance(TimeDelta::minutes(15));
        }
        let (peer, booking, wanted) = (here.peer(), here.user(), [seat]);
        let (committed, swept, swept_too, rival) = tokio::join!(
            peer.commit_hold(late.id, booking),
            there.holds().expire_due(),
            here.holds().expire_due(),
            there.hold(&wanted, 0..LEGS),
        );
        assert!(swept.unwrap() + swept_too.unwrap() <= 1, "seat {seat} was swept twice");
        match (committed.unwrap(), rival) {
            (CommitOutcome::Committed, Err(refused)) => {
                assert_eq!((lost(&refused), here.state(seat, 0..LEGS).await), (vec![seat], SeatState::Sold));
                sold += 1;
            }
            (CommitOutcome::Gone, Ok(hold)) => {
                assert_eq!(here.state(seat, 0..LEGS).await, SeatState::Held);
                there.holds().release(hold.user_id, hold.id).await.unwrap();
                taken += 1;
            }
            other => panic!("seat {seat}: {other:?}"),
        }
    }
    println!("{sold} sold, {taken} taken by the rival");
    assert_eq!(sold + taken, ROUNDS);
}

#[derive(Debug, Clone)]
enum Step {
    Place { user: usize, seats: Vec<u16>, legs: Range<u16> },
    Release(usize),
    Commit(usize),
    Extend(usize),
    Wait(i64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let legs = (0..LEGS, 1..=LEGS).prop_map(|(from, length)| from..(from + length).min(LEGS));
    let seats = proptest::collection::btree_set(0_u16..6, 1..3).prop_map(|seats| seats.into_iter().collect());
    prop_oneof![
        6 => (0_usize..3, seats, legs).prop_map(|(user, seats, legs)| Step::Place { user, seats, legs }),
        2 => (0_usize..20).prop_map(Step::Release),
        2 => (0_usize..20).prop_map(Step::Commit),
        1 => (0_usize..20).prop_map(Step::Extend),
        2 => (1_i64..11).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
    ]
}

/// A hold as a simple program would keep it.
struct ModelHold {
    id: Uuid,
    user: Uuid,
    seats: Vec<u16>,
    legs: Range<u16>,
    expires_ms: i64,
    created_ms: i64,
    extended: bool,
    status: HoldStatus,
}

/// Who has a seat × leg: index of the hold.
type Cells = HashMap<(u16, u16), usize>;

struct Model {
    holds: Vec<ModelHold>,
    cells: Cells,
}

impl Model {
    fn now(arena: &Arena) -> i64 {
        arena.world.clock.now().timestamp_millis()
    }

    fn is_live(&self, holder: usize, now: i64) -> bool {
        let hold = &self.holds[holder];
        hold.status == HoldStatus::Committed || (hold.status == HoldStatus::Active && hold.expires_ms > now)
    }

    /// Whether each seat × leg is free, dead, or this hold's own.
    fn may_take(&self, seats: &[u16], legs: &Range<u16>, own: Option<usize>, now: i64) -> bool {
        seats.iter().all(|&seat| {
            legs.clone()
                .all(|leg| self.cells.get(&(seat, leg)).is_none_or(|&holder| Some(holder) == own || !self.is_live(holder, now)))
        })
    }

    fn take(&mut self, holder: usize) {
        let ModelHold { seats, legs, .. } = &self.holds[holder];
        for &seat in seats {
            for leg in legs.clone() {
                self.cells.insert((seat, leg), holder);
            }
        }
    }

    fn let_go(&mut self, holder: usize, status: HoldStatus) {
        self.holds[holder].status = status;
        self.cells.retain(|_, owner| *owner != holder);
    }

    fn active_of(&self, user: Uuid, now: i64) -> usize {
        (0..self.holds.len())
            .filter(|&index| {
                self.holds[index].user == user && self.holds[index].status == HoldStatus::Active && self.is_live(index, now)
            })
            .count()
    }
}

async fn follow(arena: &Arena, steps: Vec<Step>) {
    let users: Vec<Uuid> = (0..3).map(|_| arena.user()).collect();
    let mut model = Model { holds: Vec::new(), cells: Cells::new() };
    for step in steps {
        walk(arena, &mut model, &users, step).await;
        let now = Model::now(arena);
        for leg in 0..LEGS {
            for (seat, state) in (0..).zip(arena.leg(leg).await) {
                let expected = match model.cells.get(&(seat, leg)) {
                    Some(&holder) if model.holds[holder].status == HoldStatus::Committed => SeatState::Sold,
                    Some(&holder) if model.is_live(holder, now) => SeatState::Held,
                    _ => SeatState::Available,
                };
                assert_eq!(state, expected, "seat {seat} leg {leg}");
            }
        }
    }
}

async fn walk(arena: &Arena, model: &mut Model, users: &[Uuid], step: Step) {
    let now = Model::now(arena);
    match step {
        Step::Place { user, seats, legs } => {
            let user = users[user];
            let placed = arena.place(user, vec![arena.request(&seats, legs.clone())]).await;
            match placed {
                Ok(Hold { id, expires_at, created_at, .. }) => {
                    assert!(model.may_take(&seats, &legs, None, now) && model.active_of(user, now) < 4);
                    let (expires_ms, created_ms) = (expires_at.timestamp_millis(), created_at.timestamp_millis());
                    let status = HoldStatus::Active;
                    model.holds.push(ModelHold { id, user, seats, legs, expires_ms, created_ms, extended: false, status });
                    model.take(model.holds.len() - 1);
                }
                Err(Refusal::HoldLimit(_)) => assert!(model.active_of(user, now) >= 4),
                Err(Refusal::SeatsUnavailable(_)) => assert!(!model.may_take(&seats, &legs, None, now)),
                Err(other) => panic!("{other:?}"),
            }
        }
        Step::Wait(minutes) => arena.world.clock.advance(TimeDelta::minutes(minutes)),
        Step::Sweep => {
            arena.holds().expire_due().await.unwrap();
            for index in 0..model.holds.len() {
                if model.holds[index].status == HoldStatus::Active && !model.is_live(index, now) {
                    model.let_go(index, HoldStatus::Expired);
                }
            }
        }
        Step::Release(index) | Step::Commit(index) | Step::Extend(index) if index >= model.holds.len() => {}
        Step::Release(index) => {
            let (id, user) = (model.holds[index].id, model.holds[index].user);
            let released = arena.holds().release(user, id).await;
            match model.holds[index].status {
                HoldStatus::Committed => assert!(matches!(released, Err(HoldError::Refused(_)))),
                HoldStatus::Active => {
                    let status = if model.is_live(index, now) { HoldStatus::Released } else { HoldStatus::Expired };
                    assert_eq!(released.unwrap().stored_status, status);
                    model.let_go(index, status);
                }
                ended => assert_eq!(released.unwrap().stored_status, ended),
            }
        }
        Step::Commit(index) => {
            let outcome = arena.peer().commit_hold(model.holds[index].id, model.holds[index].user).await.unwrap();
            let hold = &model.holds[index];
            let possible = match hold.status {
                HoldStatus::Committed => true,
                HoldStatus::Released => false,
                HoldStatus::Active | HoldStatus::Expired => model.may_take(&hold.seats, &hold.legs, Some(index), now),
            };
            assert_eq!(outcome, if possible { CommitOutcome::Committed } else { CommitOutcome::Gone });
            if possible {
                model.holds[index].status = HoldStatus::Committed;
                model.take(index);
            } else if model.holds[index].status != HoldStatus::Released {
                // What was refused once is refused for ever: its money went back.
                model.let_go(index, HoldStatus::Released);
            }
        }
        Step::Extend(index) => {
            let live = model.is_live(index, now);
            let hold = &mut model.holds[index];
            let until = arena.world.clock.now() + TimeDelta::minutes(30);
            let deadline = arena.peer().extend_hold(hold.id, until).await.unwrap().timestamp_millis();
            if hold.status == HoldStatus::Active && live && !hold.extended {
                let cap = hold.created_ms + TimeDelta::hours(2).num_milliseconds();
                assert!((deadline - until.timestamp_millis().min(cap).max(hold.expires_ms)).abs() == 0);
                (hold.expires_ms, hold.extended) = (deadline, true);
            }
            assert_eq!(deadline, hold.expires_ms);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() })]

    /// Random lives of holds end where the model ends.
    #[test]
    fn holds_live_as_the_model_says(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { follow(&Arena::open().await, steps).await });
    }
}

/// Every claim belongs to a hold's item, and every item of a live hold has all of its claims.
#[tokio::test]
async fn claims_and_items_agree() {
    let arena = Arena::open().await;
    let kept = arena.hold(&[1, 2], 0..3).await.unwrap();
    let ended = arena.hold(&[5], 1..4).await.unwrap();
    arena.holds().release(ended.user_id, ended.id).await.unwrap();
    let db = arena.world.deps.db.read();
    let text = "SELECT COUNT(*) AS claims FROM seat_claim c JOIN hold_item i ON i.hold_id = c.hold_id AND i.occurrence_id = c.occurrence_id \
                AND i.spot_no = c.spot_no AND c.leg_no >= i.from_stop AND c.leg_no < i.to_stop WHERE c.hold_id = $1";
    let row = db.query_one_raw(sql(db, text, [kept.id.into()])).await.unwrap().unwrap();
    assert_eq!(row.try_get::<i64>("", "claims").unwrap(), 6);
    let row = db.query_one_raw(sql(db, "SELECT COUNT(*) AS claims FROM seat_claim", [])).await.unwrap().unwrap();
    assert_eq!(row.try_get::<i64>("", "claims").unwrap(), 6);
}
