//! Placing holds: all the seats of a request or none.
//!
//! Requests that arrive while others are being placed are placed together, in one transaction: the statements of one hold,
//! with the rows of many. When that fails (a seat is taken, a key was seen before), they are placed one by one, so each gets
//! the answer it would have got alone.
//!
//! SQLite has one writer, so one task places. On PostgreSQL up to [`LANES_AT_MOST`] do, each with the trips that fall to it, beside
//! those of other processes. No two transactions wait for each other in a circle: each locks its people first, then its
//! trips, both in the order of their keys, and writes then.

use std::{collections::HashSet, sync::Arc};

use berth_contracts::{Money, MoneyError, event::LegState, id::TripKey};
use berth_kernel::{
    db::{self, Tx, Undoing},
    idempotency::{self, Call, Seen},
};
use chrono::{DateTime, Utc};
use sea_orm::{DbErr, TransactionTrait};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    claim::{Block, ClaimState, SeatState, Terms},
    hold::{self, HeldItem, Hold, HoldStatus, Lost, Pick, Refusal, Wanted},
    holds::{HoldError, Holds, gone, read_board, read_key, seats_changed},
    seat_choice::Choice,
    store::{self, occurrence::Occurrences},
    trip::{Segment, TripRef},
};

/// Tasks at most that place at the same time, each in a transaction of its own, where the database lets several write. One
/// for two cores: with more, transactions are smaller and cost more than they win.
const LANES_AT_MOST: usize = 4;
/// Requests that one transaction places.
const MAX_BATCH: usize = 64;
/// Requests of one set of statements on SQLite, which looks each parameter up in a list, so that long statements cost more than
/// several. PostgreSQL gets whole batches.
const MAX_TOGETHER_ON_SQLITE: usize = 16;
const QUEUE: usize = 8192;

/// A request that passed every check that needs no database.
pub struct Order {
    /// Who asks, with which key.
    pub call: Call,
    /// What for.
    pub wanted: Vec<Wanted>,
}

impl Order {
    fn trips(&self) -> impl Iterator<Item = TripKey> + '_ {
        self.wanted.iter().map(|wanted| wanted.trip.key())
    }

    /// A number that is the same for orders of the same first trip.
    fn spread(&self) -> usize {
        let sum =
            |trip: TripKey| trip.template.as_bytes().iter().map(|&byte| usize::from(byte)).sum::<usize>() + usize::from(trip.day);
        self.trips().min().map_or(0, sum)
    }
}

/// How an order ended well.
pub enum Placed {
    /// The hold is placed.
    Now(Hold),
    /// The same order was placed before, as this hold.
    Before(Uuid),
}

type Outcome = Result<Placed, HoldError>;

/// What became of an order inside the transaction.
enum Done {
    Now(Hold, Vec<Seats>),
    Before(Uuid),
}

/// What all orders of a transaction share: the trips at their new versions, and the instant.
struct Batch {
    trips: Occurrences,
    now: DateTime<Utc>,
}

/// Why a batch left no trace.
enum Undone {
    /// No order of it was placed.
    Nothing(Vec<Outcome>),
    Database(DbErr),
}

impl From<DbErr> for Undone {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl Undoing for Undone {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Nothing(_) => None,
            Self::Database(error) => Some(error),
        }
    }
}

/// An order in the queue.
pub struct Waiting {
    order: Order,
    answer: oneshot::Sender<Outcome>,
}

/// Seats of one request, found or chosen.
struct Seats {
    trip: TripRef,
    segment: Segment,
    block: Block,
}

impl Holds {
    /// Places an order, alone or with those that wait beside it.
    pub(crate) async fn submit(&self, order: Order) -> Outcome {
        let lanes = self.lanes.get_or_init(|| self.open_lanes());
        // Orders of one trip wait in one lane instead of in the database for each other's trip.
        let lane = lanes.get(order.spread() % lanes.len()).ok_or_else(stopped)?;
        let (answer, answered) = oneshot::channel();
        lane.send(Waiting { order, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    fn open_lanes(&self) -> Vec<mpsc::Sender<Waiting>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if self.deps.db.has_one_writer() { 1 } else { (cores / 2).clamp(1, LANES_AT_MOST) };
        let open = |_| {
            let (lane, waiting) = mpsc::channel(QUEUE);
            tokio::spawn(place_all(self.clone(), waiting));
            lane
        };
        (0..count).map(open).collect()
    }

    /// Places what can be placed of a batch, and tells of it.
    async fn place_batch(&self, tx: &Tx, orders: &[Order]) -> Result<Vec<Outcome>, Undone> {
        // The limit counts a person's holds: two of the person's calls must not count at once.
        db::queue_on(tx, orders.iter().map(|order| order.call.user_id)).await?;
        let trips = store::occurrence::bump(tx, orders.iter().flat_map(Order::trips)).await?;
        let batch = Batch { trips, now: self.now() };
        let mut done = self.place_each(tx, orders, &batch).await?;
        done.sort_by_key(|(index, _)| *index);
        let placed = done.iter().filter_map(|(_, done)| match done {
            Ok(Done::Now(_, seats)) => Some(seats),
            _ => None,
        });
        let blocks: Vec<&Block> = placed.flatten().map(|seats| &seats.block).collect();
        let events = (!blocks.is_empty()).then(|| {
            let expires_at_ms = (batch.now + self.policy.ttl).timestamp_millis();
            seats_changed(&batch.trips, &blocks, LegState::Held, Some(expires_at_ms))
        });
        if let Some(events) = &events {
            self.deps.outbox.append_all(tx, events).await?;
        }
        let outcome = |done: Result<Done, HoldError>| match done? {
            Done::Now(hold, _) => Ok(Placed::Now(hold)),
            Done::Before(id) => Ok(Placed::Before(id)),
        };
        let outcomes = done.into_iter().map(|(_, done)| outcome(done)).collect();
        if events.is_some() { Ok(outcomes) } else { Err(Undone::Nothing(outcomes)) }
    }

    async fn place_each(&self, tx: &Tx, orders: &[Order], batch: &Batch) -> Result<Vec<(usize, Result<Done, HoldError>)>, DbErr> {
        let (together, mut alone) = sort_out(orders);
        let mut done = Vec::with_capacity(orders.len());
        let mut rest = together.as_slice();
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(self.together(rest.len()));
            rest = later;
            match self.place_together(tx, chunk, batch).await? {
                Some(placed) => done.extend(chunk.iter().zip(placed).map(|((index, _), done)| (*index, Ok(done)))),
                None => alone.extend_from_slice(chunk),
            }
        }
        for (index, order) in alone {
            let savepoint = tx.begin().await?;
            let outcome = match self.place_alone(&savepoint, order, batch).await {
                Err(HoldError::Database(error)) => return Err(error),
                outcome => outcome,
            };
            if outcome.is_ok() {
                savepoint.commit().await?;
            } else {
                savepoint.rollback().await?;
            }
            done.push((index, outcome));
        }
        Ok(done)
    }

    /// How many of the waiting orders go into one set of statements. On SQLite, where each number of rows is a statement of its
    /// own, a power of two, so that few of them are prepared.
    fn together(&self, waiting: usize) -> usize {
        if self.deps.db.has_one_writer() {
            waiting.min(MAX_TOGETHER_ON_SQLITE).checked_ilog2().map_or(waiting, |power| 1 << power)
        } else {
            waiting
        }
    }

    /// Places all of these orders, or `None` of them.
    async fn place_together(&self, tx: &Tx, orders: &[Numbered<'_>], batch: &Batch) -> Result<Option<Vec<Done>>, DbErr> {
        if orders.len() < 2 {
            return Ok(None);
        }
        let savepoint = tx.begin().await?;
        match self.place_rows(&savepoint, orders, batch).await {
            Ok(placed) => {
                savepoint.commit().await?;
                Ok(Some(placed))
            }
            Err(HoldError::Refused(_)) => {
                savepoint.rollback().await?;
                Ok(None)
            }
            Err(HoldError::Database(error)) => Err(error),
        }
    }

    /// The statements of [`Self::place_alone`], each with the rows of all orders. Which order was refused is not told.
    async fn place_rows(&self, tx: &Tx, orders: &[Numbered<'_>], batch: &Batch) -> Result<Vec<Done>, HoldError> {
        let refused = || HoldError::from(Refusal::IdempotencyConflict);
        let ids: Vec<Uuid> = orders.iter().map(|_| self.deps.clock.new_key()).collect();
        let calls: Vec<(&Call, String)> = orders.iter().zip(&ids).map(|((_, order), id)| (&order.call, answer_of(*id))).collect();
        if !idempotency::record_all(tx, &self.deps.clock, &calls).await? {
            return Err(refused());
        }
        let mut placed: Vec<(Hold, Vec<Seats>)> = Vec::with_capacity(orders.len());
        for ((_, order), id) in orders.iter().zip(ids) {
            let seats = self.seats_of(tx, &order.wanted, batch).await?;
            placed.push((self.form(id, order.call.user_id, batch.now, &seats)?, seats));
        }
        match self.write(tx, &placed, batch.now).await? {
            Written::All => Ok(placed.into_iter().map(|(hold, seats)| Done::Now(hold, seats)).collect()),
            Written::NotClaimed | Written::NotAllowed => Err(refused()),
        }
    }

    async fn place_alone(&self, tx: &Tx, Order { call, wanted }: &Order, batch: &Batch) -> Result<Done, HoldError> {
        let id = self.deps.clock.new_key();
        match idempotency::record(tx, &self.deps.clock, call, &answer_of(id)).await? {
            Seen::Repeat(answer) => return Ok(Done::Before(read_key(&answer)?)),
            Seen::Conflict => return Err(Refusal::IdempotencyConflict.into()),
            Seen::First => {}
        }
        let seats = self.seats_of(tx, wanted, batch).await?;
        let placed = [(self.form(id, call.user_id, batch.now, &seats)?, seats)];
        let written = self.write(tx, &placed, batch.now).await?;
        let [(hold, seats)] = placed;
        match written {
            Written::All => Ok(Done::Now(hold, seats)),
            Written::NotClaimed => Err(Refusal::SeatsUnavailable(lost(tx, &seats, id, batch.now).await?).into()),
            Written::NotAllowed => Err(Refusal::HoldLimit(self.policy.max_active).into()),
        }
    }

    /// Claims, holds and their seats.
    async fn write(&self, tx: &Tx, placed: &[(Hold, Vec<Seats>)], now: DateTime<Utc>) -> Result<Written, DbErr> {
        let blocks: Vec<(Uuid, &Block)> =
            placed.iter().flat_map(|(hold, seats)| seats.iter().map(|seats| (hold.id, &seats.block))).collect();
        let expires_at_ms = (now + self.policy.ttl).timestamp_millis();
        let terms = Terms { state: ClaimState::Held, booking_id: None, expires_at_ms };
        if !store::claim::claim(tx, &blocks, &terms, now.timestamp_millis()).await? {
            return Ok(Written::NotClaimed);
        }
        let holds: Vec<&Hold> = placed.iter().map(|(hold, _)| hold).collect();
        if !store::hold::insert(tx, &holds, self.policy.max_active).await? {
            return Ok(Written::NotAllowed);
        }
        store::hold::insert_items(tx, &holds).await?;
        Ok(Written::All)
    }

    /// The seats of each request, chosen where the person did not.
    async fn seats_of(&self, tx: &Tx, wanted: &[Wanted], batch: &Batch) -> Result<Vec<Seats>, HoldError> {
        let mut all: Vec<Seats> = Vec::with_capacity(wanted.len());
        // Chosen seats first: a choice of ours must not take one of them.
        let mut order: Vec<&Wanted> = wanted.iter().collect();
        order.sort_by_key(|wanted| (wanted.trip.key(), matches!(wanted.pick, Pick::Best { .. }), wanted.segment.from()));
        for wanted in order {
            let occurrence = batch.trips.get(&wanted.trip.key()).copied().ok_or_else(gone)?;
            let spots = match &wanted.pick {
                Pick::Seats(seats) => seats.clone(),
                Pick::Best { count, class_no } => choose(tx, wanted, (*count, *class_no), &all, batch.now).await?,
            };
            let block = Block { occurrence_id: occurrence.id, version: occurrence.version, legs: wanted.segment.legs(), spots };
            all.push(Seats { trip: wanted.trip.clone(), segment: wanted.segment, block });
        }
        Ok(all)
    }

    fn form(&self, id: Uuid, user_id: Uuid, now: DateTime<Utc>, seats: &[Seats]) -> Result<Hold, HoldError> {
        let mut items = Vec::new();
        for Seats { trip, segment, block } in seats {
            for &spot_no in &block.spots {
                items.push(HeldItem {
                    id: self.deps.clock.new_key(),
                    occurrence_id: block.occurrence_id,
                    trip: trip.key(),
                    spot_no,
                    from_stop: segment.from(),
                    to_stop: segment.to(),
                    price: trip.price(spot_no, *segment).ok_or_else(gone)?,
                });
            }
        }
        let total = Money::sum(items.iter().map(|item| item.price)).map_err(total_refusal)?.ok_or_else(gone)?;
        Ok(Hold {
            id,
            user_id,
            stored_status: HoldStatus::Active,
            booking_id: None,
            total,
            expires_at: now + self.policy.ttl,
            created_at: now,
            extended: false,
            items,
        })
    }
}

/// What became of the rows.
enum Written {
    All,
    /// Somebody else has a seat.
    NotClaimed,
    /// Somebody has too many holds.
    NotAllowed,
}

/// Takes all orders that wait, places them in one transaction, and answers after its commit.
async fn place_all(holds: Holds, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    loop {
        let count = tokio::select! {
            count = queue.recv_many(&mut waiting, MAX_BATCH) => count,
            () = holds.deps.background.stopped() => return,
        };
        if count == 0 {
            return;
        }
        let (orders, answers): (Vec<Order>, Vec<_>) = waiting.drain(..).map(|waiting| (waiting.order, waiting.answer)).unzip();
        let (worker, orders) = (holds.clone(), Arc::new(orders));
        let write = holds.deps.db.write_again(move |tx| {
            let (worker, orders) = (worker.clone(), Arc::clone(&orders));
            Box::pin(async move { worker.place_batch(tx, &orders).await })
        });
        let outcomes: Vec<Outcome> = match write.await {
            Ok(outcomes) | Err(Undone::Nothing(outcomes)) => outcomes,
            Err(Undone::Database(error)) => answers.iter().map(|_| Err(DbErr::Custom(error.to_string()).into())).collect(),
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever asked may have gone; the hold stands, and a repeat finds it.
            let _gone = answer.send(outcome);
        }
    }
}

/// An order with its place in the batch.
type Numbered<'o> = (usize, &'o Order);

/// Orders that can't be in each other's way, and the rest: choices of ours, second orders of a person, seats asked for twice.
fn sort_out(orders: &[Order]) -> (Vec<Numbered<'_>>, Vec<Numbered<'_>>) {
    let (mut people, mut seats) = (HashSet::new(), HashSet::new());
    let mut is_apart = |order: &Order| {
        let mut apart = people.insert(order.call.user_id);
        for wanted in &order.wanted {
            let Pick::Seats(spots) = &wanted.pick else { return false };
            for &spot_no in spots {
                apart &= wanted.segment.legs().all(|leg| seats.insert((wanted.trip.key(), spot_no, leg)));
            }
        }
        apart
    };
    orders.iter().enumerate().partition(|(_, order)| is_apart(order))
}

async fn choose(
    tx: &Tx,
    wanted: &Wanted,
    (count, class_no): (usize, Option<u16>),
    before: &[Seats],
    now: DateTime<Utc>,
) -> Result<Vec<u16>, HoldError> {
    let now_ms = now.timestamp_millis();
    let mut board = read_board(tx, &wanted.trip, now_ms).await?;
    let version = board.version();
    for seats in before.iter().filter(|seats| seats.trip.key() == wanted.trip.key()) {
        board.apply(version, &seats.block.changes(LegState::Blocked, None).collect::<Vec<_>>());
    }
    let choice = Choice { layout: wanted.trip.layout(), board: &board, legs: wanted.segment.legs(), now_ms };
    choice.best(count, class_no).ok_or_else(|| {
        let lost = Lost { trip: wanted.trip.clone(), segment: wanted.segment, seats: Vec::new(), class_no };
        Refusal::SeatsUnavailable(vec![lost]).into()
    })
}

/// Which of the seats somebody else has.
async fn lost(tx: &Tx, all: &[Seats], hold_id: Uuid, now: DateTime<Utc>) -> Result<Vec<Lost>, DbErr> {
    let mut lost = Vec::new();
    for Seats { trip, segment, block } in all {
        let seats = store::claim::taken_by_others(tx, block, hold_id, now.timestamp_millis()).await?;
        if !seats.is_empty() {
            lost.push(Lost { trip: trip.clone(), segment: *segment, seats, class_no: None });
        }
    }
    if lost.is_empty() {
        // Refused, yet nobody is seen to have them: all of them are doubtful.
        let doubtful = |seats: &Seats| Lost {
            trip: seats.trip.clone(),
            segment: seats.segment,
            seats: seats.block.spots.iter().map(|&spot_no| (spot_no, SeatState::Held)).collect(),
            class_no: None,
        };
        lost.extend(all.iter().map(doubtful));
    }
    Ok(lost)
}

fn total_refusal(error: MoneyError) -> Refusal {
    hold::invalid("MIXED_CURRENCIES", format!("the seats have no common total: {error}"), vec!["items".to_owned()])
}

/// What the idempotency row keeps of a placed hold.
fn answer_of(id: Uuid) -> String {
    id.simple().to_string()
}

fn stopped() -> DbErr {
    DbErr::Custom("the service stops".to_owned())
}
