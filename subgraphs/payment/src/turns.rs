//! Turns: one task at a time talks to the provider about a payment, of all processes on the database. Money is safe without
//! them (order ids are unique there, rows are guarded by their version); they spare the payer a code that is closed at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use berth_contracts::Kind;
use tokio::{sync::OwnedMutexGuard, time::timeout};
use uuid::Uuid;

use crate::{
    Payments,
    error::{Error, chain},
    store,
};

/// How often a turn is asked for that another process has.
const PAUSE: Duration = Duration::from_millis(25);

/// The right to talk to the provider about one payment; given up when dropped.
pub(crate) struct Turn {
    here: Option<OwnedMutexGuard<()>>,
    /// The row that other processes see. On SQLite there are none.
    shared: Option<(Payments, Uuid, Uuid)>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (here, Some((payments, payment_id, holder))) = (self.here.take(), self.shared.take()) else { return };
        // Without a runtime the process ends, and the turn with its deadline.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = payments.end_turn(payment_id, holder).await {
                tracing::warn!(payment.id = Kind::Payment.encode(payment_id), error = chain(&error), "payment.turn.not_ended");
            }
            drop(here);
        });
    }
}

impl Payments {
    /// Waits for the turn of a payment. `None`: somebody else still had it when `patience` ended.
    pub(crate) async fn turn(&self, payment_id: Uuid, patience: Duration) -> Result<Option<Turn>, Error> {
        let asked = Instant::now();
        let queue = self.turns.get_with(payment_id, Arc::default);
        let Ok(here) = timeout(patience, queue.lock_owned()).await else { return Ok(None) };
        let here = Some(here);
        if self.deps.db.has_one_writer() {
            return Ok(Some(Turn { here, shared: None }));
        }
        let holder = self.deps.clock.new_key();
        while !self.take_turn(payment_id, holder).await? {
            if asked.elapsed() >= patience {
                return Ok(None);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Some(Turn { here, shared: Some((self.clone(), payment_id, holder)) }))
    }

    /// For longer than two calls to the provider take. Who works on beyond that meets the guards behind the turns.
    async fn take_turn(&self, payment_id: Uuid, holder: Uuid) -> Result<bool, Error> {
        let lease_ms = i64::try_from((self.config.provider_timeout * 2).as_millis()).unwrap_or(i64::MAX);
        let take = self.deps.db.write(move |tx| {
            Box::pin(async move { store::turn::take(tx, payment_id, holder, lease_ms).await.map_err(Error::from) })
        });
        take.await
    }

    async fn end_turn(&self, payment_id: Uuid, holder: Uuid) -> Result<(), Error> {
        let end = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { store::turn::end(tx, payment_id, holder).await.map_err(Error::from) }));
        end.await
    }
}
