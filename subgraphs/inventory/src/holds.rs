//! Holding seats: place, look, give back, and let go what nobody released. Selling what is held is in [`crate::sales`].

use std::{collections::BTreeMap, sync::Arc};

use berth_contracts::{
    Money, MoneyError,
    event::{Event, LegState, SeatChanged},
    id::TripKey,
};
use berth_kernel::{
    Deps,
    db::{self, Tx},
    idempotency::{self, Call, Seen},
    metrics,
};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    catalogue::Catalogue,
    claim::{Block, Board, ClaimState, Claimant, SeatState},
    hold::{self, HeldItem, Hold, HoldPolicy, HoldStatus, Lost, Pick, Refusal, SeatRequest, Wanted},
    seat_choice::Choice,
    store::{self, occurrence::Occurrence},
    trip::{Segment, TripRef},
};

/// How long a repeated `placeHold` is recognised.
const KEEP: TimeDelta = TimeDelta::hours(24);
/// Holds that one transaction lets go.
const SWEEP_BATCH: u64 = 200;

/// Why a hold was not placed or changed.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// A refusal: data for the client.
    #[error("refused")]
    Refused(Box<Refusal>),
    /// Our own fault.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl From<Refusal> for HoldError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Holds of seats. Cheap to clone.
#[derive(Clone)]
pub struct Holds {
    pub(crate) deps: Deps,
    pub(crate) catalogue: Catalogue,
    pub(crate) policy: Arc<HoldPolicy>,
}

/// What `placeHold` was asked for.
#[derive(Debug, Clone)]
pub struct PlaceHold {
    /// The seats.
    pub requests: Vec<SeatRequest>,
    /// The key the client chose.
    pub idempotency_key: String,
}

enum Placed {
    Now(Hold),
    Before(Uuid),
}

impl Holds {
    /// Holds over a service's database and timetable.
    pub fn new(deps: Deps, catalogue: Catalogue, policy: HoldPolicy) -> Self {
        Self { deps, catalogue, policy: Arc::new(policy) }
    }

    /// The limits in force.
    pub fn policy(&self) -> &HoldPolicy {
        &self.policy
    }

    /// The instant at which answers are given.
    pub fn now(&self) -> DateTime<Utc> {
        self.deps.clock.now()
    }

    /// The trip, if the timetable has it.
    pub fn trip(&self, key: TripKey) -> Option<TripRef> {
        self.catalogue.now().trip(key)
    }

    /// Claims all the seats for one person until the deadline, or none of them.
    pub async fn place(&self, user_id: Uuid, command: PlaceHold) -> Result<Hold, HoldError> {
        hold::check_key(&command.idempotency_key)?;
        let fingerprint = idempotency::fingerprint(&command.requests);
        let call = Call { user_id, mutation: "placeHold", key: command.idempotency_key, fingerprint, keep: KEEP };
        let wanted = match hold::check(&self.catalogue.now(), &self.policy, self.now(), &command.requests) {
            Ok(wanted) => wanted,
            // A repeat gets the first answer even when the same request would be refused by now.
            Err(refusal) => return self.repeated(&call).await?.ok_or_else(|| refusal.into()),
        };
        let holds = self.clone();
        match self.deps.db.write(move |tx| Box::pin(async move { holds.place_in(tx, call, wanted).await })).await? {
            Placed::Before(id) => Ok(store::hold::find(self.deps.db.read(), id).await?.ok_or_else(gone)?),
            Placed::Now(hold) => {
                self.deps.outbox.wake();
                metrics::reached("hold", HoldStatus::Active.word());
                Ok(hold)
            }
        }
    }

    async fn repeated(&self, call: &Call) -> Result<Option<Hold>, HoldError> {
        match idempotency::find(self.deps.db.read(), call).await? {
            Some(Seen::Repeat(answer)) => Ok(store::hold::find(self.deps.db.read(), read_key(&answer)?).await?),
            _ => Ok(None),
        }
    }

    async fn place_in(&self, tx: &Tx, call: Call, wanted: Vec<Wanted>) -> Result<Placed, HoldError> {
        let (id, now) = (self.deps.clock.new_key(), self.now());
        match idempotency::record(tx, &self.deps.clock, &call, &id.simple().to_string()).await? {
            Seen::Repeat(answer) => return Ok(Placed::Before(read_key(&answer)?)),
            Seen::Conflict => return Err(Refusal::IdempotencyConflict.into()),
            Seen::First => {}
        }
        // The limit counts the person's holds: on PostgreSQL two of the person's calls must not count at once.
        db::queue_on(tx, call.user_id).await?;
        let trips = bump_all(tx, wanted.iter().map(|wanted| wanted.trip.key())).await?;
        let seats = self.seats_of(tx, &wanted, &trips, now).await?;
        let expires_at = now + self.policy.ttl;
        let hold = self.form(id, call.user_id, now, expires_at, &seats)?;
        let blocks: Vec<Block> = seats.iter().map(|seats| seats.block.clone()).collect();
        let expires_at_ms = expires_at.timestamp_millis();
        let claimant = Claimant { state: ClaimState::Held, hold_id: id, booking_id: None, expires_at_ms };
        if !store::claim::claim(tx, &blocks, &claimant, now.timestamp_millis()).await? {
            return Err(Refusal::SeatsUnavailable(lost(tx, &seats, id, now).await?).into());
        }
        if !store::hold::insert(tx, &hold, self.policy.max_active).await? {
            return Err(Refusal::HoldLimit(self.policy.max_active).into());
        }
        store::hold::insert_items(tx, &hold).await?;
        self.announce(tx, &trips, &blocks, LegState::Held, Some(expires_at_ms)).await?;
        Ok(Placed::Now(hold))
    }

    /// The seats of each request, chosen where the person did not.
    async fn seats_of(&self, tx: &Tx, wanted: &[Wanted], trips: &Trips, now: DateTime<Utc>) -> Result<Vec<Seats>, HoldError> {
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

    fn form(&self, id: Uuid, user_id: Uuid, now: DateTime<Utc>, expires_at: DateTime<Utc>, seats: &[Seats]) -> Result<Hold, HoldError> {
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
            expires_at,
            created_at: now,
            extended: false,
            items,
        })
    }

    /// The hold, if it is this person's.
    pub async fn find(&self, user_id: Uuid, id: Uuid) -> Result<Option<Hold>, DbErr> {
        Ok(self.find_any(id).await?.filter(|hold| hold.user_id == user_id))
    }

    /// Those of the holds that are this person's.
    pub async fn list(&self, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Hold>, DbErr> {
        let mut holds = store::hold::list(self.deps.db.read(), ids).await?;
        holds.retain(|hold| hold.user_id == user_id);
        Ok(holds)
    }

    pub(crate) async fn find_any(&self, id: Uuid) -> Result<Option<Hold>, DbErr> {
        store::hold::find(self.deps.db.read(), id).await
    }

    /// The board of a trip: who has what at this moment.
    pub async fn board(&self, trip: &TripRef) -> Result<Board, DbErr> {
        read_board(self.deps.db.read(), trip, self.now().timestamp_millis()).await
    }

    /// Free seats near the lost ones, at most `first`.
    pub async fn alternatives(&self, lost: &[Lost], first: usize) -> Result<Vec<(TripRef, Segment, u16)>, DbErr> {
        let mut found = Vec::new();
        for lost in lost {
            let board = self.board(&lost.trip).await?;
            let now_ms = self.now().timestamp_millis();
            let choice = Choice { layout: lost.trip.layout(), board: &board, legs: lost.segment.legs(), now_ms };
            let seats: Vec<u16> = lost.seats.iter().map(|(spot_no, _)| *spot_no).collect();
            let near = choice.alternatives(&seats, first.saturating_sub(found.len()));
            found.extend(near.into_iter().map(|spot_no| (lost.trip.clone(), lost.segment, spot_no)));
        }
        Ok(found)
    }

    /// Gives the seats of a person's hold back before its deadline. A hold that has ended already is answered as it is.
    pub async fn release(&self, user_id: Uuid, id: Uuid) -> Result<Hold, HoldError> {
        let holds = self.clone();
        let hold = self.deps.db.write(move |tx| Box::pin(async move { holds.release_in(tx, id, Some(user_id)).await })).await?;
        self.deps.outbox.wake();
        Ok(hold)
    }

    /// The same for whoever holds the hold's key, a booking's included. A hold that was sold is refused.
    pub async fn give_back(&self, id: Uuid) -> Result<(), HoldError> {
        let holds = self.clone();
        self.deps.db.write(move |tx| Box::pin(async move { holds.release_in(tx, id, None).await })).await?;
        self.deps.outbox.wake();
        Ok(())
    }

    async fn release_in(&self, tx: &Tx, id: Uuid, user_id: Option<Uuid>) -> Result<Hold, HoldError> {
        let missing = || Refusal::NotFound { message: "there is no such hold", path: vec!["holdId".to_owned()] };
        let found = store::hold::lock(tx, id).await?.filter(|hold| user_id.is_none_or(|user_id| user_id == hold.user_id));
        let hold = found.ok_or_else(missing)?;
        match hold.stored_status {
            HoldStatus::Committed => Err(Refusal::InvalidTransition("the seats of this hold are sold").into()),
            HoldStatus::Active if user_id.is_some() && hold.booking_id.is_some() => {
                Err(Refusal::InvalidTransition("this hold belongs to a booking: cancel the booking").into())
            }
            HoldStatus::Active => {
                let ended = match hold.status(self.now()) {
                    HoldStatus::Expired => HoldStatus::Expired,
                    _ => HoldStatus::Released,
                };
                let mut ended = self.end(tx, vec![hold], ended).await?;
                Ok(ended.pop().ok_or_else(gone)?)
            }
            HoldStatus::Released | HoldStatus::Expired => Ok(hold),
        }
    }

    /// Lets go the holds whose deadline has passed, so that live views see it. Answers how many there were.
    pub async fn expire_due(&self) -> Result<usize, DbErr> {
        let mut count = 0;
        loop {
            let now_ms = self.now().timestamp_millis();
            if !store::hold::any_due(self.deps.db.read(), now_ms).await? {
                return Ok(count);
            }
            let holds = self.clone();
            let write = self.deps.db.write(move |tx| {
                Box::pin(async move {
                    let due = store::hold::mark_due_expired(tx, now_ms, SWEEP_BATCH).await?;
                    holds.end(tx, due, HoldStatus::Expired).await
                })
            });
            let ended: Vec<Hold> = write.await?;
            self.deps.outbox.wake();
            count += ended.len();
            if ended.is_empty() {
                return Ok(count);
            }
        }
    }

    /// The one way in which unsold seats become free: releases, expiries and cancellations. The holds are locked by the
    /// caller. Claims that others took after a deadline stay theirs.
    async fn end(&self, tx: &Tx, mut holds: Vec<Hold>, status: HoldStatus) -> Result<Vec<Hold>, DbErr> {
        let trips = bump_all(tx, holds.iter().flat_map(Hold::trips)).await?;
        for (trip, occurrence) in &trips {
            let mut seats = Vec::new();
            for hold in &holds {
                for block in hold.blocks(*trip, occurrence.version) {
                    seats.extend(hold::freed(&store::claim::free(tx, &block, hold.id).await?));
                }
            }
            self.append(tx, *trip, occurrence.version, seats).await?;
        }
        for hold in &mut holds {
            hold.stored_status = status;
            store::hold::update(tx, hold).await?;
            metrics::reached("hold", status.word());
        }
        Ok(holds)
    }

    /// Tells of a change of whole blocks, one event per trip.
    pub(crate) async fn announce(
        &self,
        tx: &Tx,
        trips: &Trips,
        blocks: &[Block],
        state: LegState,
        expires_at_ms: Option<i64>,
    ) -> Result<(), DbErr> {
        for (trip, occurrence) in trips {
            let of_trip = blocks.iter().filter(|block| block.occurrence_id == occurrence.id);
            let seats = of_trip.flat_map(|block| block.changes(state, expires_at_ms)).collect();
            self.append(tx, *trip, occurrence.version, seats).await?;
        }
        Ok(())
    }

    async fn append(&self, tx: &Tx, trip: TripKey, version: i64, seats: Vec<SeatChanged>) -> Result<(), DbErr> {
        let event = Event::SeatsChanged { template: trip.template, day: trip.day, version, seats };
        self.deps.outbox.append(tx, &event).await
    }
}

/// Seats of one request, found or chosen.
struct Seats {
    trip: TripRef,
    segment: Segment,
    block: Block,
}

/// Trips that a transaction changes, with their new versions.
pub(crate) type Trips = BTreeMap<TripKey, Occurrence>;

/// Makes the next version of each trip, in the order of their keys: so no two transactions wait for each other.
pub(crate) async fn bump_all(tx: &Tx, keys: impl IntoIterator<Item = TripKey>) -> Result<Trips, DbErr> {
    let mut keys: Vec<TripKey> = keys.into_iter().collect();
    keys.sort_unstable();
    keys.dedup();
    let mut trips = Trips::new();
    for key in keys {
        trips.insert(key, store::occurrence::bump(tx, key).await?);
    }
    Ok(trips)
}

pub(crate) async fn read_board(connection: &impl sea_orm::ConnectionTrait, trip: &TripRef, now_ms: i64) -> Result<Board, DbErr> {
    let occupied = store::claim::occupied(connection, trip.key(), now_ms).await?;
    Ok(Board::new(occupied.version, trip.layout().spot_count(), trip.leg_count(), occupied.claims))
}

async fn choose(
    tx: &Tx,
    wanted: &Wanted,
    (count, class_no): (usize, Option<u16>),
    before: &[Seats],
    now: DateTime<Utc>,
) -> Result<Vec<u16>, HoldError> {
    let mut board = read_board(tx, &wanted.trip, now.timestamp_millis()).await?;
    let version = board.version();
    for seats in before.iter().filter(|seats| seats.trip.key() == wanted.trip.key()) {
        board.apply(version, &seats.block.changes(LegState::Blocked, None).collect::<Vec<_>>());
    }
    let now_ms = now.timestamp_millis();
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

fn read_key(answer: &str) -> Result<Uuid, DbErr> {
    Uuid::parse_str(answer).map_err(|error| DbErr::Type(error.to_string()))
}

/// Something that was there a moment ago in this same transaction.
fn gone() -> DbErr {
    DbErr::RecordNotFound("a row of this very change".to_owned())
}
