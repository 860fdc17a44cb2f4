//! Background work: the reconciler drives every booking that is due, so that with the bus gone all is slower, not wrong.

use std::{sync::Arc, time::Duration};

use berth_kernel::{idempotency, jobs};
use futures_util::{StreamExt, stream};
use sea_orm::DbErr;
use tokio::sync::Notify;

use crate::{Bookings, error::Error, store};

const BATCH: u64 = 128;
const AT_ONCE: usize = 8;
const RECONCILE_EVERY: Duration = Duration::from_secs(1);
const FORGET_EVERY: Duration = Duration::from_secs(3600);

impl Bookings {
    /// Steps every booking that is due, once. Returns how many were.
    pub async fn reconcile(&self) -> Result<usize, Error> {
        let due = store::booking::list_due(self.deps.db.read(), self.deps.clock.now(), BATCH).await?;
        let count = due.len();
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |id| async move {
                if let Err(error) = self.step(id).await {
                    tracing::error!(booking.id = %id, error = %error.chain(), "booking.reconcile.failed");
                }
            })
            .await;
        Ok(count)
    }

    pub(crate) fn start_jobs(&self) {
        let (bookings, cancel) = (self.clone(), self.deps.cancel.clone());
        jobs::every("booking.reconcile", RECONCILE_EVERY, Arc::clone(&self.due), cancel.clone(), move || {
            let bookings = bookings.clone();
            async move { bookings.reconcile_all().await }
        });
        let deps = self.deps.clone();
        jobs::every("booking.forget_answers", FORGET_EVERY, Arc::new(Notify::new()), cancel, move || {
            let (db, clock) = (deps.db.clone(), deps.clock.clone());
            async move {
                let forget = db.write(move |tx| Box::pin(async move { idempotency::forget_expired(tx, &clock).await }));
                forget.await.map(|_: u64| ()) as Result<(), DbErr>
            }
        });
    }

    /// Steps until a batch is not full.
    async fn reconcile_all(&self) -> Result<(), Error> {
        while self.reconcile().await? as u64 == BATCH {}
        Ok(())
    }
}
