//! Selling what is held: a hold is tied to a booking, its deadline moves once, its claims become sold, or free again when
//! the booking came to nothing. The fence is the number of claims that change hands, not the clock.

use berth_contracts::{event::LegState, peer::CommitOutcome};
use berth_kernel::{
    db::{Tx, Undoing},
    failpoint, metrics,
};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    claim::{Block, ClaimState, Terms},
    hold::{Hold, HoldStatus, freed as freed_seats},
    holds::{Holds, changed, seats_changed},
    store::{self, occurrence::Occurrences},
};

/// Why a hold can't be sold.
#[derive(Debug, thiserror::Error)]
pub enum SaleError {
    /// There is no such hold, or it is another booking's.
    #[error("there is no such hold")]
    NotFound,
    /// Somebody else has a seat of it.
    #[error("a seat is gone")]
    Gone,
    /// Our own fault.
    #[error("the database failed")]
    Database(#[from] DbErr),
}

impl Undoing for SaleError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::NotFound | Self::Gone => None,
            Self::Database(error) => Some(error),
        }
    }
}

impl Holds {
    /// Ties an active hold to a booking. Repeating it changes nothing.
    pub async fn attach(&self, id: Uuid, booking_id: Uuid) -> Result<Hold, SaleError> {
        let now = self.now();
        let write = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let mut hold = store::hold::lock(tx, id).await?.ok_or(SaleError::NotFound)?;
                match hold.booking_id {
                    Some(known) if known == booking_id => {}
                    None if hold.status(now) == HoldStatus::Active => {
                        hold.booking_id = Some(booking_id);
                        store::hold::update(tx, &hold).await?;
                    }
                    _ => return Err(SaleError::NotFound),
                }
                Ok(hold)
            })
        });
        write.await
    }

    /// Moves the deadline of an active hold, once and not past the cap. Answers the deadline in force.
    pub async fn extend(&self, id: Uuid, until: DateTime<Utc>) -> Result<DateTime<Utc>, SaleError> {
        let holds = self.clone();
        let write = self.deps.db.write_again(move |tx| {
            let holds = holds.clone();
            Box::pin(async move { holds.extend_in(tx, id, until).await })
        });
        let deadline = write.await?;
        self.deps.outbox.wake();
        Ok(deadline)
    }

    /// Nothing is written when there is nothing to move: payments ask this at each try.
    async fn extend_in(&self, tx: &Tx, id: Uuid, until: DateTime<Utc>) -> Result<DateTime<Utc>, SaleError> {
        let known = store::hold::find(tx, id).await?.ok_or(SaleError::NotFound)?;
        if known.extended || known.status(self.now()) != HoldStatus::Active {
            return Ok(known.expires_at);
        }
        let mut hold = store::hold::lock(tx, id).await?.ok_or(SaleError::NotFound)?;
        if hold.extended || hold.status(self.now()) != HoldStatus::Active {
            return Ok(hold.expires_at);
        }
        hold.expires_at = hold.extended_until(until, &self.policy);
        hold.extended = true;
        let expires_at_ms = hold.expires_at.timestamp_millis();
        let (trips, blocks) = blocks_of(tx, &hold).await?;
        for block in &blocks {
            expect(block.claims(), store::claim::extend(tx, block, id, expires_at_ms).await?)?;
        }
        store::hold::update(tx, &hold).await?;
        self.deps
            .outbox
            .append_all(tx, &seats_changed(&trips, &blocks.iter().collect::<Vec<_>>(), LegState::Held, Some(expires_at_ms)))
            .await?;
        Ok(hold.expires_at)
    }

    /// Sells the hold's seats to the booking, or none of them. When the hold has ended, the same seats are claimed anew
    /// if they are free and the trip has not left. Repeating it after success changes nothing.
    pub async fn commit(&self, id: Uuid, booking_id: Uuid) -> Result<CommitOutcome, SaleError> {
        let holds = self.clone();
        let write = self.deps.db.write_again(move |tx| {
            let holds = holds.clone();
            Box::pin(async move { holds.commit_in(tx, id, booking_id).await })
        });
        match write.await {
            Ok(()) => {
                failpoint::at("inventory.commit_hold.committed");
                self.deps.outbox.wake();
                Ok(CommitOutcome::Committed)
            }
            Err(SaleError::Gone) => self.stays_gone(id).await,
            Err(error) => Err(error),
        }
    }

    /// Who is told `Gone` gives the money back: a repeat of the request that comes later must not sell, so the hold ends for good
    /// before the answer leaves.
    async fn stays_gone(&self, id: Uuid) -> Result<CommitOutcome, SaleError> {
        let holds = self.clone();
        let write = self.deps.db.write_again(move |tx| {
            let holds = holds.clone();
            Box::pin(async move {
                let hold = store::hold::lock(tx, id).await?.ok_or(SaleError::NotFound)?;
                match hold.stored_status {
                    HoldStatus::Committed => return Ok(CommitOutcome::Committed),
                    HoldStatus::Released => {}
                    HoldStatus::Active | HoldStatus::Expired => {
                        holds.end(tx, vec![hold], HoldStatus::Released).await?;
                    }
                }
                Ok(CommitOutcome::Gone)
            })
        });
        let outcome: Result<CommitOutcome, SaleError> = write.await;
        self.deps.outbox.wake();
        outcome
    }

    async fn commit_in(&self, tx: &Tx, id: Uuid, booking_id: Uuid) -> Result<(), SaleError> {
        let mut hold = store::hold::lock(tx, id).await?.ok_or(SaleError::NotFound)?;
        if hold.booking_id.is_some_and(|known| known != booking_id) {
            return Err(SaleError::NotFound);
        }
        match hold.stored_status {
            HoldStatus::Committed => return Ok(()),
            // Given back for good: a step that was overtaken must not sell what nobody would give back again.
            HoldStatus::Released => return Err(SaleError::Gone),
            HoldStatus::Active | HoldStatus::Expired => {}
        }
        let (trips, blocks) = blocks_of(tx, &hold).await?;
        let mut ours = true;
        for block in &blocks {
            ours &= store::claim::sell(tx, block, id, booking_id).await? == block.claims();
        }
        if !ours {
            self.claim_anew(tx, &hold, booking_id, &blocks).await?;
        }
        hold.stored_status = HoldStatus::Committed;
        hold.booking_id = Some(booking_id);
        store::hold::update(tx, &hold).await?;
        self.deps.outbox.append_all(tx, &seats_changed(&trips, &blocks.iter().collect::<Vec<_>>(), LegState::Sold, None)).await?;
        metrics::reached("hold", HoldStatus::Committed.word());
        failpoint::at("inventory.commit_hold.written");
        Ok(())
    }

    /// The booking came to nothing: frees what was sold to it, or what is still held for it, for good. Repeating it, or an
    /// unknown hold, changes nothing.
    pub async fn unsell(&self, id: Uuid, booking_id: Uuid) -> Result<(), SaleError> {
        let holds = self.clone();
        let write = self.deps.db.write_again(move |tx| {
            let holds = holds.clone();
            Box::pin(async move { holds.unsell_in(tx, id, booking_id).await })
        });
        write.await?;
        failpoint::at("inventory.give_back.committed");
        self.deps.outbox.wake();
        Ok(())
    }

    async fn unsell_in(&self, tx: &Tx, id: Uuid, booking_id: Uuid) -> Result<(), SaleError> {
        let Some(mut hold) = store::hold::lock(tx, id).await? else { return Ok(()) };
        if hold.booking_id != Some(booking_id) {
            return Err(SaleError::NotFound);
        }
        match hold.stored_status {
            HoldStatus::Released => return Ok(()),
            HoldStatus::Active | HoldStatus::Expired => {
                self.end(tx, vec![hold], HoldStatus::Released).await?;
                return Ok(());
            }
            HoldStatus::Committed => {}
        }
        let trips = store::occurrence::bump(tx, hold.trips()).await?;
        let mut events = Vec::with_capacity(trips.len());
        for (trip, occurrence) in &trips {
            let mut seats = Vec::new();
            for block in hold.blocks(*trip, occurrence.version) {
                let freed = store::claim::unsell(tx, &block, id, booking_id).await?;
                expect(block.claims(), u64::try_from(freed.len()).unwrap_or(u64::MAX))?;
                seats.extend(freed_seats(&freed));
            }
            events.push(changed(*trip, *occurrence, seats));
        }
        self.deps.outbox.append_all(tx, &events).await?;
        hold.stored_status = HoldStatus::Released;
        store::hold::update(tx, &hold).await?;
        metrics::reached("hold", HoldStatus::Released.word());
        Ok(())
    }

    /// Late money: the hold's claims were swept or taken. One statement claims all of them as sold, those that are left included.
    async fn claim_anew(&self, tx: &Tx, hold: &Hold, booking_id: Uuid, blocks: &[Block]) -> Result<(), SaleError> {
        let now = self.now();
        let left = |trip, stop| self.trip(trip).and_then(|trip| trip.departure(stop)).is_none_or(|departure| departure <= now);
        if hold.items.iter().any(|item| left(item.trip, item.from_stop)) {
            return Err(SaleError::Gone);
        }
        let blocks: Vec<(Uuid, &Block)> = blocks.iter().map(|block| (hold.id, block)).collect();
        let terms = Terms { state: ClaimState::Sold, booking_id: Some(booking_id), expires_at_ms: 0 };
        if store::claim::claim(tx, &blocks, &terms, now.timestamp_millis()).await? { Ok(()) } else { Err(SaleError::Gone) }
    }
}

async fn blocks_of(tx: &Tx, hold: &Hold) -> Result<(Occurrences, Vec<Block>), DbErr> {
    let trips = store::occurrence::bump(tx, hold.trips()).await?;
    let blocks = trips.iter().flat_map(|(trip, occurrence)| hold.blocks(*trip, occurrence.version)).collect();
    Ok((trips, blocks))
}

/// The claims of a live or sold hold are its own; a different number would be a broken promise, and changes nothing.
fn expect(wanted: u64, found: u64) -> Result<(), DbErr> {
    if wanted == found {
        return Ok(());
    }
    Err(DbErr::Custom(format!("a hold has {found} claims instead of {wanted}")))
}
