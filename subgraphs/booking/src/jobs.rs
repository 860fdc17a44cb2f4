//! Background work: the reconciler drives every booking that is due, so that with the bus gone all is slower, not wrong.

use std::time::Duration;

use berth_kernel::{bus::Wake, idempotency, metrics};
use sea_orm::DbErr;

use crate::{Bookings, error::Error, saga::BATCH, ticket::TicketStatus};

const RECONCILE_EVERY: Duration = Duration::from_secs(1);
const COUNT_EVERY: Duration = Duration::from_secs(15);
const ERASE_EVERY: Duration = Duration::from_mins(1);
const FORGET_EVERY: Duration = Duration::from_hours(1);

impl Bookings {
    pub(crate) fn start_jobs(&self) {
        metrics::reached_begins("ticket", TicketStatus::Issued.name());
        let (bookings, background) = (self.clone(), &self.deps.background);
        background.every("booking.reconcile", RECONCILE_EVERY, self.due.clone(), move || {
            let bookings = bookings.clone();
            async move { bookings.reconcile_all().await }
        });
        let bookings = self.clone();
        background.every("booking.count_states", COUNT_EVERY, Wake::alone(), move || {
            let bookings = bookings.clone();
            async move { bookings.count_states().await }
        });
        let bookings = self.clone();
        background.every("booking.erase", ERASE_EVERY, Wake::alone(), move || {
            let bookings = bookings.clone();
            async move { bookings.erase_due().await }
        });
        let deps = self.deps.clone();
        background.every("booking.forget_answers", FORGET_EVERY, Wake::alone(), move || {
            let (db, clock) = (deps.db.clone(), deps.clock.clone());
            async move {
                let forget = db.write(move |tx| Box::pin(async move { idempotency::forget_expired(tx, &clock).await }));
                forget.await.map(|_: u64| ()) as Result<(), DbErr>
            }
        });
    }

    /// Steps until a batch is not full. A batch of which some failed ends it too: the same rows would come again at once.
    async fn reconcile_all(&self) -> Result<(), Error> {
        while self.reconcile().await? as u64 == BATCH {}
        Ok(())
    }
}
