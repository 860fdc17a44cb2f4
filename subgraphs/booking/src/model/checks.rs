//! The properties, and the runs: the model as it is, and mutated ones that must be seen to fail.

use stateright::{Checker, Model, Property};

use super::{Act, CALLS, Claim, LAST_TICK, Mutation, Order, Saga, Worker, World, key, model};
use crate::booking::State;

/// Rounds in which everything that can go on goes on; a booking needs a dozen.
const ROUNDS: usize = 64;

impl Model for Saga {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![Self::start()]
    }

    fn actions(&self, world: &World, acts: &mut Vec<Act>) {
        acts.push(Act::Tick);
        for who in 0..self.customers {
            acts.extend([Act::PlaceHold(who), Act::Book(who), Act::StartPayment(who), Act::Pay(who)]);
            acts.extend((0..self.workers).map(|worker| Act::Die(who, worker)));
            if self.provider_apart {
                acts.extend([Act::TakeBack(who), Act::Cancel(who)]);
            }
        }
        acts.extend(self.work_left(world));
    }

    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        Some(self.after(world, act)).filter(|next| next != world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1: a seat is sold once", |_: &Self, world: &World| world.is_sold_once()),
            Property::always("I5: money ends in tickets or goes back", |saga: &Self, world: &World| {
                !saga.rests(world) || Saga::is_settled(world)
            }),
            Property::always("I7: late money", |saga: &Self, world: &World| !saga.rests(world) || world.late_money_is_just()),
            Property::always("it comes to rest after every crash", |saga: &Self, world: &World| {
                !world.has_crashed() || saga.comes_to_rest(world)
            }),
            Property::sometimes("tickets", |saga: &Self, world: &World| {
                saga.rests(world) && world.desks.iter().any(|desk| desk.tickets)
            }),
            Property::sometimes("a refund", |saga: &Self, world: &World| {
                saga.rests(world) && world.desks.iter().any(|desk| desk.order == Order::Returned)
            }),
        ]
    }
}

impl Saga {
    /// What goes on without customers, clock and accidents.
    fn work_left(&self, world: &World) -> Vec<Act> {
        let mut acts: Vec<Act> = Vec::with_capacity(16);
        for who in 0..self.customers {
            let sent = CALLS.into_iter().filter(|call| world.desks[who].network[*call as usize]);
            acts.extend(sent.map(|call| Act::Deliver(who, call)));
            acts.extend((0..self.workers).map(|worker| Act::Work(who, worker)));
            if self.provider_apart {
                acts.extend([Act::Look(who), Act::Submit(who)]);
            }
        }
        acts
    }

    /// Whether nothing is left to do.
    fn rests(&self, world: &World) -> bool {
        let idle = world.desks.iter().all(|desk| desk.workers.iter().all(|worker| *worker == Worker::Idle));
        idle && self.work_left(world).into_iter().all(|act| self.after(world, act) == *world)
    }

    /// All workers have died: the reconciler alone brings it to a good end.
    fn comes_to_rest(&self, world: &World) -> bool {
        let mut world = *world;
        world.tick = LAST_TICK;
        for _ in 0..ROUNDS {
            for act in self.work_left(&world) {
                world = self.after(&world, act);
            }
            if self.rests(&world) {
                return Self::is_settled(&world);
            }
        }
        false
    }

    /// I5, and that no seat stays sold for nothing.
    fn is_settled(world: &World) -> bool {
        world.desks.iter().enumerate().all(|(who, desk)| {
            let sold = world.claim == Claim::Sold(who);
            let paid = desk.order == Order::Settled;
            // Money taken back after the sale was decided contradicts tickets: people are told.
            let contradicts = || desk.row.is_some_and(|row| row.booking(who).contradicts(&desk.till(who)));
            sold == desk.tickets && (paid == desk.tickets || (desk.taken_back && desk.tickets && contradicts()))
        })
    }
}

impl World {
    fn has_crashed(&self) -> bool {
        self.desks.iter().any(|desk| desk.row.is_some())
            && self.desks.iter().all(|desk| desk.workers.iter().all(|worker| *worker == Worker::Idle))
    }

    fn is_sold_once(&self) -> bool {
        self.desks.iter().filter(|desk| desk.tickets).count() <= 1
            && self.desks.iter().enumerate().all(|(who, desk)| !desk.tickets || self.claim == Claim::Sold(who))
    }

    /// I7: both paid: exactly one has tickets, the other the money. One paid and nobody else wanted the seat: tickets.
    fn late_money_is_just(&self) -> bool {
        let kept = |state| matches!(state, State::Cancelled | State::RefundPending | State::Refunded);
        let cancelled = self.desks.iter().any(|desk| desk.row.is_some_and(|row| !row.paid && kept(row.state)));
        let paid = self.desks.iter().filter(|desk| matches!(desk.order, Order::Settled | Order::Returned)).count();
        let wanted = self.desks.iter().filter(|desk| desk.ever_held).count();
        let tickets = self.desks.iter().filter(|desk| desk.tickets).count();
        let taken_back = self.desks.iter().any(|desk| desk.taken_back);
        cancelled || taken_back || paid < wanted || tickets == usize::from(paid > 0)
    }
}

fn check(saga: Saga) -> impl Checker<Saga> {
    saga.checker().threads(2).spawn_bfs().join()
}

fn holds(name: &str, saga: Saga) {
    let run = check(saga);
    println!("{name}: {} states, {} of them different, depth {}", run.state_count(), run.unique_state_count(), run.max_depth());
    run.assert_properties();
}

fn fails(saga: Saga, property: &'static str) {
    let run = check(saga);
    assert!(run.discovery(property).is_some(), "the mutated model keeps {property:?}: the check is blind");
}

#[test]
fn two_customers_one_seat() {
    holds("two customers, one worker each", model(Mutation::None, 2, 1, false));
}

#[test]
fn several_workers_on_one_booking() {
    holds("one customer, two workers, money taken back", model(Mutation::None, 1, 2, true));
}

#[test]
fn without_its_fence_a_seat_is_sold_twice() {
    fails(model(Mutation::SkipFence, 2, 1, false), "I1: a seat is sold once");
}

#[test]
fn without_memory_of_gone_both_late_payers_lose() {
    fails(model(Mutation::ForgetGone, 2, 1, false), "I7: late money");
}

#[test]
fn without_refunds_money_is_kept() {
    fails(model(Mutation::SkipRefund, 2, 1, false), "I5: money ends in tickets or goes back");
}

#[test]
fn without_giving_back_a_seat_stays_sold_for_nothing() {
    fails(model(Mutation::SkipGiveBack, 1, 1, true), "I5: money ends in tickets or goes back");
}

#[test]
fn without_revisions_a_late_worker_does_harm() {
    fails(model(Mutation::SkipRevision, 1, 2, true), "I5: money ends in tickets or goes back");
}

#[test]
fn customers_have_keys_of_their_own() {
    assert_ne!(key(0), key(1));
}
