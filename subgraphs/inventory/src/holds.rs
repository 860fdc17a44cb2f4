//! Holding seats: ask, look, give back, and let go what nobody released. How a hold is written is in [`crate::placing`],
//! selling what is held in [`crate::sales`].

use std::sync::{Arc, OnceLock};

use berth_contracts::{
    event::{Event, LegState, SeatChanged},
    id::TripKey,
};
use berth_kernel::{
    Deps,
    db::{Tx, Undoing},
    failpoint,
    idempotency::{self, Call, Seen},
    metrics,
};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::DbErr;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    catalogue::Catalogue,
    claim::{Block, Board},
    counts,
    hold::{self, Hold, HoldPolicy, HoldStatus, Lost, Refusal, SeatRequest},
    placing::{Order, Placed, Waiting},
    seat_choice::Choice,
    store::{
        self,
        occurrence::{Occurrence, Occurrences},
    },
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

impl Undoing for HoldError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Refused(_) => None,
            Self::Database(error) => Some(error),
        }
    }
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
    pub(crate) lanes: Arc<OnceLock<Vec<mpsc::Sender<Waiting>>>>,
}

/// What `placeHold` was asked for.
#[derive(Debug, Clone)]
pub struct PlaceHold {
    /// The seats.
    pub requests: Vec<SeatRequest>,
    /// The key the client chose.
    pub idempotency_key: String,
}

impl Holds {
    /// Holds over a service's database and timetable.
    pub fn new(deps: Deps, catalogue: Catalogue, policy: HoldPolicy) -> Self {
        Self { deps, catalogue, policy: Arc::new(policy), lanes: Arc::default() }
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
            Err(refusal) => {
                counts::refused(&refusal);
                return self.repeated(&call).await?.ok_or_else(|| refusal.into());
            }
        };
        let outcome = self.submit(Order { call, wanted }).await;
        counts::asked(&outcome);
        match outcome? {
            Placed::Before(id) => Ok(store::hold::find(self.deps.db.read(), id).await?.ok_or_else(gone)?),
            Placed::Now(hold) => {
                failpoint::at("inventory.place.committed");
                self.deps.outbox.wake();
                metrics::reached("hold", HoldStatus::Active.word());
                Ok(hold)
            }
        }
    }

    async fn repeated(&self, call: &Call) -> Result<Option<Hold>, HoldError> {
        match idempotency::find(self.deps.db.read(), &self.deps.clock, call).await? {
            Some(Seen::Repeat(answer)) => Ok(store::hold::find(self.deps.db.read(), read_key(&answer)?).await?),
            _ => Ok(None),
        }
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
        self.release_of(id, Some(user_id)).await
    }

    /// The same for whoever holds the hold's key, a booking's included. A hold that was sold is refused.
    pub async fn give_back(&self, id: Uuid) -> Result<(), HoldError> {
        self.release_of(id, None).await.map(|_| ())
    }

    async fn release_of(&self, id: Uuid, user_id: Option<Uuid>) -> Result<Hold, HoldError> {
        let holds = self.clone();
        let write = self.deps.db.write_again(move |tx| {
            let holds = holds.clone();
            Box::pin(async move { holds.release_in(tx, id, user_id).await })
        });
        let hold = write.await?;
        self.deps.outbox.wake();
        Ok(hold)
    }

    async fn release_in(&self, tx: &Tx, id: Uuid, user_id: Option<Uuid>) -> Result<Hold, HoldError> {
        let missing = || Refusal::NotFound { message: "there is no such hold", path: vec!["holdId".to_owned()] };
        let found = store::hold::lock(tx, id).await?.filter(|hold| user_id.is_none_or(|user_id| user_id == hold.user_id));
        let hold = found.ok_or_else(missing)?;
        // The clock is asked first: an expired hold is expired, whether a booking has it and whether it was swept or not.
        let ended = match (hold.stored_status, hold.status(self.now())) {
            (HoldStatus::Committed, _) => return Err(Refusal::InvalidTransition("the seats of this hold are sold").into()),
            (HoldStatus::Released | HoldStatus::Expired, _) => return Ok(hold),
            (HoldStatus::Active, HoldStatus::Expired) => HoldStatus::Expired,
            (HoldStatus::Active, _) if user_id.is_some() && hold.booking_id.is_some() => {
                return Err(Refusal::InvalidTransition("this hold belongs to a booking: cancel the booking").into());
            }
            (HoldStatus::Active, _) => HoldStatus::Released,
        };
        let mut ended = self.end(tx, vec![hold], ended).await?;
        Ok(ended.pop().ok_or_else(gone)?)
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
            let write = self.deps.db.write_again(move |tx| {
                let holds = holds.clone();
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
    pub(crate) async fn end(&self, tx: &Tx, mut holds: Vec<Hold>, status: HoldStatus) -> Result<Vec<Hold>, DbErr> {
        let trips = store::occurrence::bump(tx, holds.iter().flat_map(Hold::trips)).await?;
        let mut events = Vec::with_capacity(trips.len());
        for (trip, occurrence) in &trips {
            let mut seats = Vec::new();
            for hold in &holds {
                for block in hold.blocks(*trip, occurrence.version) {
                    seats.extend(hold::freed(&store::claim::free(tx, &block, hold.id).await?));
                }
            }
            events.push(changed(*trip, *occurrence, seats));
        }
        self.deps.outbox.append_all(tx, &events).await?;
        for hold in &mut holds {
            hold.stored_status = status;
            store::hold::update(tx, hold).await?;
            metrics::reached("hold", status.word());
        }
        Ok(holds)
    }
}

/// Events that tell of a change of whole blocks, one per trip.
pub(crate) fn seats_changed(trips: &Occurrences, blocks: &[&Block], state: LegState, expires_at_ms: Option<i64>) -> Vec<Event> {
    let event = |(trip, occurrence): (&TripKey, &Occurrence)| {
        let of_trip = blocks.iter().filter(|block| block.occurrence_id == occurrence.id);
        changed(*trip, *occurrence, of_trip.flat_map(|block| block.changes(state, expires_at_ms)).collect())
    };
    trips.iter().map(event).collect()
}

pub(crate) fn changed(trip: TripKey, occurrence: Occurrence, seats: Vec<SeatChanged>) -> Event {
    Event::SeatsChanged { template: trip.template, day: trip.day, version: occurrence.version, seats }
}

pub(crate) async fn read_board(connection: &impl sea_orm::ConnectionTrait, trip: &TripRef, now_ms: i64) -> Result<Board, DbErr> {
    let occupied = store::claim::occupied(connection, trip.key(), now_ms).await?;
    Ok(Board::new(occupied.version, trip.layout().spot_count(), trip.leg_count(), occupied.claims))
}

pub(crate) fn read_key(answer: &str) -> Result<Uuid, DbErr> {
    Uuid::parse_str(answer).map_err(|error| DbErr::Type(error.to_string()))
}

/// Something that was there a moment ago in this same transaction.
pub(crate) fn gone() -> DbErr {
    DbErr::RecordNotFound("a row of this very change".to_owned())
}
