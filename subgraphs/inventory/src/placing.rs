//! Placing holds: all the seats of a request or none.
//!
//! Where there is one writer, requests that arrive while it is busy are placed together: the statements of one hold, with
//! the rows of many. When that fails (a seat is taken, a key was seen before), they are placed one by one, so each gets the
//! answer it would have got alone.

use std::collections::HashSet;

use berth_contracts::{
    Money, MoneyError,
    event::{Event, LegState},
};
use berth_kernel::{
    db::{self, Tx},
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

/// Requests that one transaction places.
const MAX_BATCH: usize = 64;
/// Requests of one set of statements. SQLite looks each parameter up in a list, so long statements cost more than several.
const MAX_TOGETHER: usize = 16;
const QUEUE: usize = 8192;

/// A request that passed every check that needs no database.
#[derive(Clone)]
pub struct Order {
    /// Who asks, with which key.
    pub call: Call,
    /// What for.
    pub wanted: Vec<Wanted>,
}

/// How an order ended well.
pub enum Placed {
    /// The hold is placed.
    Now(Hold),
    /// The same order was placed before, as this hold.
    Before(Uuid),
}

type Outcome = Result<Placed, HoldError>;

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
        if !self.deps.db.has_one_writer() {
            return self.submit_alone(order).await;
        }
        let queue = self.queue.get_or_init(|| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            tokio::spawn(place_all(self.clone(), waiting));
            queue
        });
        let (answer, answered) = oneshot::channel();
        queue.send(Waiting { order, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    async fn submit_alone(&self, order: Order) -> Outcome {
        let holds = self.clone();
        self.deps.db.write(move |tx| Box::pin(async move { holds.place_alone(tx, &order).await })).await
    }

    async fn place_batch(&self, tx: &Tx, orders: Vec<Order>) -> Result<Vec<Outcome>, DbErr> {
        let (together, mut alone) = sort_out(orders);
        let mut outcomes: Vec<(usize, Outcome)> = Vec::with_capacity(together.len() + alone.len());
        let mut rest = together.as_slice();
        while let Some(size) = rest.len().min(MAX_TOGETHER).checked_ilog2().map(|power| 1 << power) {
            // Sizes are powers of two, so that few different statements are prepared.
            let (chunk, later) = rest.split_at(size);
            rest = later;
            match self.place_together(tx, chunk).await? {
                Some(holds) => outcomes.extend(chunk.iter().zip(holds).map(|((index, _), hold)| (*index, Ok(Placed::Now(hold))))),
                None => alone.extend_from_slice(chunk),
            }
        }
        for (index, order) in alone {
            let savepoint = tx.begin().await?;
            let outcome = self.place_alone(&savepoint, &order).await;
            if outcome.is_ok() {
                savepoint.commit().await?;
            } else {
                savepoint.rollback().await?;
            }
            outcomes.push((index, outcome));
        }
        outcomes.sort_by_key(|(index, _)| *index);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// Places all of these orders, or `None` of them.
    async fn place_together(&self, tx: &Tx, orders: &[(usize, Order)]) -> Result<Option<Vec<Hold>>, DbErr> {
        if orders.len() < 2 {
            return Ok(None);
        }
        let savepoint = tx.begin().await?;
        match self.place_rows(&savepoint, orders).await {
            Ok(holds) => {
                savepoint.commit().await?;
                Ok(Some(holds))
            }
            Err(HoldError::Refused(_)) => {
                savepoint.rollback().await?;
                Ok(None)
            }
            Err(HoldError::Database(error)) => Err(error),
        }
    }

    /// The statements of [`Self::place_alone`], each with the rows of all orders. Which order was refused is not told.
    async fn place_rows(&self, tx: &Tx, orders: &[(usize, Order)]) -> Result<Vec<Hold>, HoldError> {
        let refused = || HoldError::from(Refusal::IdempotencyConflict);
        let now = self.now();
        let ids: Vec<Uuid> = orders.iter().map(|_| self.deps.clock.new_key()).collect();
        let calls: Vec<(&Call, String)> = orders.iter().zip(&ids).map(|((_, order), id)| (&order.call, answer_of(*id))).collect();
        if !idempotency::record_all(tx, &self.deps.clock, &calls).await? {
            return Err(refused());
        }
        let wanted = orders.iter().flat_map(|(_, order)| &order.wanted);
        let trips = store::occurrence::bump(tx, wanted.map(|wanted| wanted.trip.key())).await?;
        let mut placed: Vec<(Hold, Vec<Seats>)> = Vec::with_capacity(orders.len());
        for ((_, order), id) in orders.iter().zip(ids) {
            let seats = self.seats_of(tx, &order.wanted, &trips, now).await?;
            placed.push((self.form(id, order.call.user_id, now, &seats)?, seats));
        }
        match self.write(tx, &placed, &trips, now).await? {
            Written::All => Ok(placed.into_iter().map(|(hold, _)| hold).collect()),
            Written::NotClaimed | Written::NotAllowed => Err(refused()),
        }
    }

    async fn place_alone(&self, tx: &Tx, Order { call, wanted }: &Order) -> Outcome {
        let (id, now) = (self.deps.clock.new_key(), self.now());
        match idempotency::record(tx, &self.deps.clock, call, &answer_of(id)).await? {
            Seen::Repeat(answer) => return Ok(Placed::Before(read_key(&answer)?)),
            Seen::Conflict => return Err(Refusal::IdempotencyConflict.into()),
            Seen::First => {}
        }
        // The limit counts the person's holds: two of the person's calls must not count at once.
        db::queue_on(tx, call.user_id).await?;
        let trips = store::occurrence::bump(tx, wanted.iter().map(|wanted| wanted.trip.key())).await?;
        let seats = self.seats_of(tx, wanted, &trips, now).await?;
        let placed = [(self.form(id, call.user_id, now, &seats)?, seats)];
        let written = self.write(tx, &placed, &trips, now).await?;
        let [(hold, seats)] = placed;
        match written {
            Written::All => Ok(Placed::Now(hold)),
            Written::NotClaimed => Err(Refusal::SeatsUnavailable(lost(tx, &seats, id, now).await?).into()),
            Written::NotAllowed => Err(Refusal::HoldLimit(self.policy.max_active).into()),
        }
    }

    /// Claims, holds, their seats, and the events that tell of them.
    async fn write(
        &self,
        tx: &Tx,
        placed: &[(Hold, Vec<Seats>)],
        trips: &Occurrences,
        now: DateTime<Utc>,
    ) -> Result<Written, DbErr> {
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
        let blocks: Vec<&Block> = blocks.into_iter().map(|(_, block)| block).collect();
        let events: Vec<Event> = seats_changed(trips, &blocks, LegState::Held, Some(expires_at_ms));
        self.deps.outbox.append_all(tx, &events).await?;
        Ok(Written::All)
    }

    /// The seats of each request, chosen where the person did not.
    async fn seats_of(
        &self,
        tx: &Tx,
        wanted: &[Wanted],
        trips: &Occurrences,
        now: DateTime<Utc>,
    ) -> Result<Vec<Seats>, HoldError> {
        let mut all: Vec<Seats> = Vec::with_capacity(wanted.len());
        // Chosen seats first: a choice of ours must not take one of them.
        let mut order: Vec<&Wanted> = wanted.iter().collect();
        order.sort_by_key(|wanted| (wanted.trip.key(), matches!(wanted.pick, Pick::Best { .. }), wanted.segment.from()));
        for wanted in order {
            let occurrence = trips.get(&wanted.trip.key()).copied().ok_or_else(gone)?;
            let spots = match &wanted.pick {
                Pick::Seats(seats) => seats.clone(),
                Pick::Best { count, class_no } => choose(tx, wanted, (*count, *class_no), &all, now).await?,
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
            () = holds.deps.cancel.cancelled() => return,
        };
        if count == 0 {
            return;
        }
        let (orders, answers): (Vec<Order>, Vec<_>) = waiting.drain(..).map(|waiting| (waiting.order, waiting.answer)).unzip();
        let worker = holds.clone();
        let placed = holds.deps.db.write(move |tx| Box::pin(async move { worker.place_batch(tx, orders).await })).await;
        let outcomes: Vec<Outcome> = match placed {
            Ok(outcomes) => outcomes,
            Err(error) => answers.iter().map(|_| Err(DbErr::Custom(error.to_string()).into())).collect(),
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever asked may have gone; the hold stands, and a repeat finds it.
            let _gone = answer.send(outcome);
        }
    }
}

type Numbered = Vec<(usize, Order)>;

/// Orders that can't be in each other's way, and the rest: choices of ours, second orders of a person, seats asked for twice.
fn sort_out(orders: Vec<Order>) -> (Numbered, Numbered) {
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
    orders.into_iter().enumerate().partition(|(_, order)| is_apart(order))
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
