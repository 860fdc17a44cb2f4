//! The saga as a model, checked over every order of events (`stateright`): two customers and one seat; booking's workers die at any
//! moment and leave requests in a network that delivers them never, once or (those that move seats) often, in any order; holds expire,
//! money comes late or is taken back. The real [`Booking::course`] and [`Booking::moved`] decide; the other services are retold.
//! Checked in every reachable state: I1 (a seat is never sold to two). Checked in every state that has come to rest: I5 (money that
//! came ends in tickets or has gone back, never both) and I7 (of payers after the deadline one gets the free seat, the other
//! the money). Checked from every state in which all workers have just died: the rest is reached without a hand.

use berth_contracts::{Currency, Money, peer::PaymentCopy};
use berth_kernel::auth::SignKey;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    booking::{Booking, State, Status},
    config::BookingConfig,
    contact::Contact,
    course::{Course, Till},
    repayment::{Reason, Repayment},
};

mod checks;

const PRICE: Money = Money::new(15_000_000, Currency::IDR);
const NOTHING: Money = Money::new(0, Currency::IDR);
/// Customers, and workers of each, in the largest model.
const AT_MOST: usize = 2;
const CALLS: [Call; 5] = [Call::Commit, Call::Release, Call::GiveBack, Call::Refund, Call::Close];
/// The last tick of the clock; a hold lives one tick.
const LAST_TICK: u8 = 2;

/// A guard that a mutated model leaves out, to see the checks fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutation {
    None,
    /// Inventory sells without looking whose the claim is.
    SkipFence,
    /// What was answered "gone" may be sold by a repeat of the request.
    ForgetGone,
    /// The refund is called done, and nobody asks the provider.
    SkipRefund,
    /// Clean-up leaves sold seats sold.
    SkipGiveBack,
    /// Rows are written whatever their revision.
    SkipRevision,
}

/// What the model plays, and how much of it.
struct Saga {
    mutation: Mutation,
    /// Customers who want the one seat.
    customers: usize,
    /// Workers of booking, each as in a process of its own.
    workers: usize,
    /// Whether payment and provider are two, which learn of each other late, the provider may take money back by itself, and
    /// customers cancel. Otherwise they are one, so that two customers can be played to the end.
    provider_apart: bool,
    config: BookingConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Claim {
    Free,
    Held(usize),
    Sold(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Hold {
    None,
    Active { until: u8 },
    Committed,
    Released,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Order {
    None,
    /// Waits for the payer, or has lapsed: money can come either way.
    Open,
    Closed,
    Settled,
    Returned,
}

/// What of a booking's row can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row {
    state: State,
    until: u8,
    paid: bool,
    cleanup: bool,
    revision: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Call {
    Commit,
    Release,
    GiveBack,
    Refund,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    Gone,
    Pending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Local {
    Confirm,
    Expire,
    GiveUp,
    Owe,
    CloseRefund,
}

/// Where a worker is with its step. All of it is lost when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Decided(Row, Local),
    Waits(Row, Call),
    Told(Row, Call, Answer),
}

/// One customer, and what every service has on disk about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "a state is a list of facts")]
struct Desk {
    hold: Hold,
    row: Option<Row>,
    tickets: bool,
    /// To go back; `true`: has gone.
    owed: Option<bool>,
    /// The payment's status, as payment believes it.
    payment: &'static str,
    refund_asked: bool,
    order: Order,
    taken_back: bool,
    ever_held: bool,
    workers: [Worker; AT_MOST],
    /// Requests under way, by [`Call`]. Those that move seats never leave: each may arrive again.
    network: [bool; CALLS.len()],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    tick: u8,
    claim: Claim,
    desks: [Desk; AT_MOST],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Act {
    Tick,
    PlaceHold(usize),
    Book(usize),
    StartPayment(usize),
    Pay(usize),
    TakeBack(usize),
    Cancel(usize),
    /// Payment looks at the provider.
    Look(usize),
    /// Payment tells the provider of a refund.
    Submit(usize),
    /// A worker goes on by one step.
    Work(usize, usize),
    /// A worker dies, or gives up waiting for an answer.
    Die(usize, usize),
    /// A request arrives, for the first time or again.
    Deliver(usize, Call),
}

fn instant(tick: u8) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(i64::from(tick))
}

fn key(customer: usize) -> Uuid {
    Uuid::from_u128(customer as u128 + 1)
}

impl Row {
    /// The row as the saga reads it.
    fn booking(self, customer: usize) -> Booking {
        Booking {
            id: key(customer),
            code: String::new(),
            user_id: key(customer),
            hold_id: key(customer),
            contact: Contact { email: String::new(), phone: None, address: None, locale: berth_contracts::Locale::En },
            total: PRICE,
            created_at: instant(0),
            expires_at: instant(self.until),
            state: self.state,
            state_since: instant(0),
            revision: i64::from(self.revision),
            attention: false,
            late: false,
            paid_by: self.paid.then(|| key(customer)),
            cleanup_due: self.cleanup,
            attempts: 0,
            next_attempt_at: None,
        }
    }

    fn status(self, customer: usize, tick: u8) -> Status {
        self.booking(customer).status(instant(tick))
    }
}

impl Desk {
    fn till(&self, customer: usize) -> Till {
        let payment = |status: &str| PaymentCopy {
            payment_id: key(customer),
            status: status.to_owned(),
            amount: PRICE,
            refunded: if status == "REFUNDED" { PRICE } else { NOTHING },
            paid_at: None,
        };
        let repayment = |done| Repayment {
            payment_id: key(customer),
            booking_id: key(customer),
            reason: Reason::SeatsGone,
            amount: PRICE,
            done,
        };
        Till {
            payments: Some(self.payment).filter(|status| !status.is_empty()).map(payment).into_iter().collect(),
            repayments: self.owed.map(repayment).into_iter().collect(),
        }
    }
}

impl Saga {
    fn start() -> World {
        let desk = Desk {
            hold: Hold::None,
            row: None,
            tickets: false,
            owed: None,
            payment: "",
            refund_asked: false,
            order: Order::None,
            taken_back: false,
            ever_held: false,
            workers: [Worker::Idle; AT_MOST],
            network: [false; CALLS.len()],
        };
        World { tick: 0, claim: Claim::Free, desks: [desk; AT_MOST] }
    }

    /// What follows an act; the same world when it can't happen now.
    fn after(&self, world: &World, act: Act) -> World {
        let mut next = *world;
        match act {
            Act::Tick => next.tick = LAST_TICK.min(world.tick + 1),
            Act::PlaceHold(who) => next.place_hold(who),
            Act::Deliver(who, call) => self.deliver(&mut next, who, call),
            Act::Work(who, worker) => self.work(&mut next, who, worker),
            Act::Die(who, worker) => next.desks[who].workers[worker] = Worker::Idle,
            Act::Book(who) | Act::StartPayment(who) | Act::Cancel(who) => next.ask(who, act),
            Act::Pay(who) if !self.provider_apart => {
                next.desks[who].money(act);
                next.desks[who].money(Act::Look(who));
            }
            Act::Pay(who) | Act::TakeBack(who) | Act::Look(who) | Act::Submit(who) => next.desks[who].money(act),
        }
        next
    }

    /// One step of one worker, as `saga` makes it.
    fn work(&self, world: &mut World, who: usize, worker: usize) {
        let now = instant(world.tick);
        let desk = &mut world.desks[who];
        let goes_on = match desk.workers[worker] {
            Worker::Idle => desk.row.map_or(Worker::Idle, |row| self.decide(desk, who, row, now)),
            Worker::Decided(row, local) => {
                let (state, paid, cleanup) = match local {
                    Local::Confirm => (State::Confirming, true, false),
                    Local::Expire => (State::Expired, row.paid, true),
                    Local::GiveUp => (State::RefundPending, row.paid, true),
                    Local::Owe if row.state == State::Cancelled => (State::RefundPending, row.paid, row.cleanup),
                    Local::Owe => (row.state, row.paid, row.cleanup),
                    Local::CloseRefund => (State::Refunded, row.paid, row.cleanup),
                };
                let written = self.write(desk, who, row, Row { state, paid, cleanup, ..row });
                if written && local == Local::Owe {
                    desk.owed = desk.owed.or(Some(false));
                }
                Worker::Idle
            }
            waits @ Worker::Waits(..) => waits,
            Worker::Told(row, call, answer) => self.told(desk, who, row, (call, answer)),
        };
        if let Worker::Waits(_, call) = goes_on
            && goes_on != desk.workers[worker]
        {
            desk.network[call as usize] = true;
        }
        desk.workers[worker] = goes_on;
    }

    /// What the row and the payments ask for now, by the real course.
    fn decide(&self, desk: &Desk, who: usize, row: Row, now: DateTime<Utc>) -> Worker {
        match row.booking(who).course(&desk.till(who), &self.config, now) {
            Course::Confirm { .. } => Worker::Decided(row, Local::Confirm),
            Course::Expire => Worker::Decided(row, Local::Expire),
            Course::GiveUp => Worker::Decided(row, Local::GiveUp),
            Course::Owe(_) => Worker::Decided(row, Local::Owe),
            Course::CloseRefund => Worker::Decided(row, Local::CloseRefund),
            Course::Sell => Worker::Waits(row, Call::Commit),
            Course::GiveBack(_) => Worker::Waits(row, Call::Refund),
            Course::CleanUp => clean_up(row),
            Course::Rest(_) => Worker::Idle,
        }
    }

    /// What a worker does with an answer.
    fn told(&self, desk: &mut Desk, who: usize, row: Row, answer: (Call, Answer)) -> Worker {
        match answer {
            (Call::Commit, Answer::Done) => {
                if self.write(desk, who, row, Row { state: State::Confirmed, cleanup: true, ..row }) {
                    desk.tickets = true;
                }
            }
            (Call::Commit, _) => {
                self.write(desk, who, row, Row { state: State::RefundPending, cleanup: true, ..row });
            }
            (Call::Refund, Answer::Done) => {
                if self.write(desk, who, row, row) {
                    desk.owed = Some(true);
                }
            }
            (Call::Refund, _) if row.cleanup => return clean_up(row),
            (Call::Refund, _) => {}
            (Call::Release | Call::GiveBack, _) => return Worker::Waits(row, Call::Close),
            (Call::Close, _) => {
                self.write(desk, who, row, Row { cleanup: false, ..row });
            }
        }
        Worker::Idle
    }

    /// Writes a row if nobody has since it was read; transitions as the real booking allows them.
    fn write(&self, desk: &mut Desk, who: usize, read: Row, next: Row) -> bool {
        let stale = desk.row.is_none_or(|row| row.revision != read.revision) && self.mutation != Mutation::SkipRevision;
        let moves = next.state == read.state || read.booking(who).moved(next.state, instant(0)).is_ok();
        assert!(moves, "an unknown transition from {read:?} to {next:?}");
        if !stale {
            desk.row = Some(Row { revision: read.revision + 1, ..next });
        }
        !stale
    }

    /// The effect of a request at inventory or payment, and its answer to who still waits for it.
    fn deliver(&self, world: &mut World, who: usize, call: Call) {
        if matches!(call, Call::Refund | Call::Close) {
            world.desks[who].network[call as usize] = false;
        }
        let answer = match call {
            Call::Commit => self.commit_hold(world, who),
            Call::Release | Call::GiveBack => {
                self.free(world, who, call);
                Answer::Done
            }
            Call::Refund => self.refund(&mut world.desks[who]),
            Call::Close => {
                let desk = &mut world.desks[who];
                if desk.payment == "PENDING" && desk.order == Order::Open {
                    desk.order = Order::Closed;
                    if !self.provider_apart {
                        desk.money(Act::Look(who));
                    }
                }
                Answer::Done
            }
        };
        for worker in &mut world.desks[who].workers {
            if let Worker::Waits(row, waited) = *worker
                && waited == call
            {
                *worker = Worker::Told(row, call, answer);
            }
        }
    }

    fn commit_hold(&self, world: &mut World, who: usize) -> Answer {
        match world.desks[who].hold {
            Hold::Committed => return Answer::Done,
            Hold::None | Hold::Released => return Answer::Gone,
            Hold::Active { .. } => {}
        }
        if !world.may_claim(who) && self.mutation != Mutation::SkipFence {
            if self.mutation != Mutation::ForgetGone {
                world.desks[who].hold = Hold::Released;
            }
            return Answer::Gone;
        }
        world.desks[who].hold = Hold::Committed;
        world.claim = Claim::Sold(who);
        Answer::Done
    }

    fn free(&self, world: &mut World, who: usize, call: Call) {
        let sold = world.desks[who].hold == Hold::Committed;
        if sold && (call == Call::Release || self.mutation == Mutation::SkipGiveBack) {
            return;
        }
        world.desks[who].hold = Hold::Released;
        if matches!(world.claim, Claim::Held(owner) | Claim::Sold(owner) if owner == who) {
            world.claim = Claim::Free;
        }
    }

    fn refund(&self, desk: &mut Desk) -> Answer {
        if desk.payment == "REFUNDED" || self.mutation == Mutation::SkipRefund {
            return Answer::Done;
        }
        desk.refund_asked |= desk.payment == "PAID";
        if !self.provider_apart {
            desk.money(Act::Submit(0));
            desk.money(Act::Look(0));
        }
        Answer::Pending
    }
}

fn clean_up(row: Row) -> Worker {
    match row.state {
        State::Cancelled => Worker::Waits(row, Call::Release),
        State::RefundPending | State::Refunded => Worker::Waits(row, Call::GiveBack),
        _ => Worker::Waits(row, Call::Close),
    }
}

impl World {
    /// Whether the seat is this customer's, or free for anybody: an expired hold is no obstacle.
    fn may_claim(&self, who: usize) -> bool {
        match self.claim {
            Claim::Free => true,
            Claim::Held(owner) => owner == who || matches!(self.desks[owner].hold, Hold::Active { until } if until <= self.tick),
            Claim::Sold(_) => false,
        }
    }

    fn place_hold(&mut self, who: usize) {
        if self.tick < LAST_TICK && self.desks[who].hold == Hold::None && self.may_claim(who) {
            self.claim = Claim::Held(who);
            self.desks[who].ever_held = true;
            self.desks[who].hold = Hold::Active { until: self.tick + 1 };
        }
    }

    /// What the customer asks of booking and payment.
    fn ask(&mut self, who: usize, act: Act) {
        let tick = self.tick;
        let desk = &mut self.desks[who];
        match (act, desk.hold, desk.row) {
            (Act::Book(_), Hold::Active { until }, None) if tick < until => {
                let (state, revision) = (State::PendingPayment, 0);
                desk.row = Some(Row { state, until, paid: false, cleanup: false, revision });
            }
            (Act::StartPayment(_), _, Some(row))
                if row.status(who, tick) == Status::PendingPayment && desk.payment.is_empty() =>
            {
                (desk.payment, desk.order) = ("PENDING", Order::Open);
            }
            (Act::Cancel(_), _, Some(row)) if row.status(who, tick) == Status::PendingPayment => {
                let (state, revision) = (State::Cancelled, row.revision + 1);
                desk.row = Some(Row { state, cleanup: true, revision, ..row });
            }
            _ => {}
        }
    }
}

impl Desk {
    /// What the payer, the provider and payment do about money. Late truth from the provider wins.
    fn money(&mut self, act: Act) {
        match (act, self.order) {
            (Act::Pay(_), Order::Open | Order::Closed) => self.order = Order::Settled,
            (Act::TakeBack(_), Order::Settled) if !self.tickets => {
                (self.order, self.payment, self.taken_back) = (Order::Returned, "REFUNDED", true);
            }
            (Act::Look(_), Order::Closed) if self.payment == "PENDING" => self.payment = "CANCELLED",
            (Act::Look(_), Order::Settled) if self.payment != "REFUNDED" => self.payment = "PAID",
            (Act::Look(_), Order::Returned) => self.payment = "REFUNDED",
            (Act::Submit(_), Order::Settled) if self.refund_asked => self.order = Order::Returned,
            _ => {}
        }
    }
}

fn model(mutation: Mutation, customers: usize, workers: usize, provider_apart: bool) -> Saga {
    let config = BookingConfig::new("http://127.0.0.1:4000", SignKey::generate());
    Saga { mutation, customers, workers, provider_apart, config }
}
