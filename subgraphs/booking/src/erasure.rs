//! People who deleted their accounts. The law keeps what was sold and paid; whom it was sold to is forgotten as soon as nobody
//! needs to reach them any more (docs/decisions/0015-names-and-leaving.md).

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{Bookings, booking::public, error::Error, letter, store};

/// How many bookings are taken at a time.
const BATCH: u64 = 64;
/// Money of a booking that was given up may still arrive for so long, and its payer wants an answer.
const LATE_MONEY: TimeDelta = TimeDelta::hours(24);

impl Bookings {
    /// Notes that a person deleted their account, and makes nobody's what can be so now. Doing it twice is harmless.
    pub(crate) async fn forget_person(&self, user_id: Uuid) -> Result<(), Error> {
        let now = self.deps.clock.now();
        let noted = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { store::erasure::insert(tx, user_id, now).await.map_err(Error::from) }));
        noted.await?;
        self.erase_due().await
    }

    /// Makes nobody's every booking of such people that is over: also one that ended since, or was made with an access token
    /// that outlived the account.
    pub(crate) async fn erase_due(&self) -> Result<(), Error> {
        loop {
            let now = self.deps.clock.now();
            let due = store::erasure::list_due(self.deps.db.read(), now, now - LATE_MONEY, BATCH).await?;
            for id in &due {
                self.erase(*id).await?;
            }
            if (due.len() as u64) < BATCH {
                return Ok(());
            }
        }
    }

    async fn erase(&self, id: Uuid) -> Result<(), Error> {
        let (now, post) = (self.deps.clock.now(), self.deps.post.clone());
        let erased = self.deps.db.write(move |tx| {
            Box::pin(async move {
                if !store::erasure::erase(tx, id, now, now - LATE_MONEY).await? {
                    return Ok(false);
                }
                let paid_back = store::repayment::list(tx, id).await?;
                let causes = paid_back.iter().map(|repayment| letter::refunded_cause(repayment.payment_id));
                for cause in causes.chain([letter::confirmed_cause(id)]) {
                    post.withdraw(tx, &cause).await?;
                }
                Ok::<_, Error>(true)
            })
        });
        if erased.await? {
            tracing::info!(booking.id = public(id), "booking.erased");
        }
        Ok(())
    }
}
