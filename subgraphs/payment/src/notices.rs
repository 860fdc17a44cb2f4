//! Webhooks: proven, written down, answered; then worked on. A notice never says what happened, it says where to look.

use berth_kernel::failpoint;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, future, stream};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Payments,
    error::{Error, chain},
    looks::{AT_ONCE, BATCH},
    payment::read_order_id,
    provider::NoticeError,
    sabotage,
    store::{self, notice::Due},
};

/// Names under which the one adapter is addressed: the sandbox speaks Midtrans's protocol.
const PROVIDERS: [&str; 2] = ["midtrans", "sandbox"];
/// Worked-on notices are kept this long, so that a late repeat is still recognised.
const KEEP: TimeDelta = TimeDelta::days(7);

/// A proven notice as it is stored.
#[derive(Debug, Clone)]
pub struct Received {
    /// Key.
    pub id: Uuid,
    /// SHA-256 of the body.
    pub digest: String,
    /// Whose it is.
    pub provider: &'static str,
    /// The order it tells of.
    pub order_id: String,
    /// The payment of that order.
    pub payment_id: Uuid,
    /// As it came.
    pub body: String,
    /// When it came.
    pub at: DateTime<Utc>,
}

/// What is answered to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Written down.
    Accepted,
    /// Written down before.
    Duplicate,
    /// No such provider.
    UnknownProvider,
    /// No notification.
    Malformed,
    /// Not from the provider.
    BadSignature,
    /// Tells of no payment of ours.
    UnknownOrder,
}

impl Payments {
    /// Takes a notice in. When this returns `Accepted`, it is on disk.
    pub(crate) async fn receive(&self, provider: &str, body: &[u8]) -> Result<Receipt, Error> {
        if !PROVIDERS.contains(&provider) {
            return Ok(Receipt::UnknownProvider);
        }
        let notice = match self.provider.verify(body) {
            Ok(notice) => notice,
            Err(NoticeError::Malformed) => return Ok(Receipt::Malformed),
            Err(NoticeError::Signature) => return Ok(Receipt::BadSignature),
        };
        let Some((payment_id, _)) = read_order_id(&notice.order_id) else { return Ok(Receipt::UnknownOrder) };
        if store::payment::find(self.deps.db.read(), payment_id).await?.is_none() {
            return Ok(Receipt::UnknownOrder);
        }
        let received = self.received(payment_id, notice.order_id, body);
        let inserted = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { store::notice::insert(tx, &received).await.map_err(Error::from) }));
        let fresh = inserted.await?;
        failpoint::at("payment.notice.stored");
        self.wake.notices.notify();
        Ok(if fresh { Receipt::Accepted } else { Receipt::Duplicate })
    }

    fn received(&self, payment_id: Uuid, order_id: String, body: &[u8]) -> Received {
        let id = self.deps.clock.new_key();
        let mut digest = format!("{:x}", Sha256::digest(body));
        if sabotage::skips_inbox() {
            digest.push_str(&id.to_string());
        }
        let body = String::from_utf8_lossy(body).into_owned();
        Received { id, digest, provider: self.provider.name(), order_id, payment_id, body, at: self.deps.clock.now() }
    }

    /// Works on every notice that waits. Stops when nothing of a batch moved: the same rows would come again.
    pub(crate) async fn work_on_notices(&self) -> Result<(), Error> {
        loop {
            let due = store::notice::list_due(self.deps.db.read(), self.deps.clock.now(), BATCH).await?;
            let full = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
            let work = stream::iter(due).map(|notice| self.work_on_logged(notice)).buffer_unordered(AT_ONCE);
            let moved = work.filter(|moved| future::ready(*moved)).count().await;
            if !full || moved == 0 {
                return Ok(());
            }
        }
    }

    /// Whether it went well.
    async fn work_on_logged(&self, notice: Due) -> bool {
        let (id, payment_id) = (notice.id, notice.payment_id);
        let worked = self.work_on(notice).await;
        if let Err(error) = &worked {
            tracing::warn!(notice.id = %id, payment.id = %payment_id, error = chain(error), "payment.notice.failed");
        }
        worked.is_ok()
    }

    async fn work_on(&self, notice: Due) -> Result<(), Error> {
        let again_at = self.deps.clock.now() + self.config.retry_after(notice.attempts + 1).max(self.lease());
        let claimed = notice.clone();
        let ours = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { store::notice::claim(tx, &claimed, again_at).await.map_err(Error::from) }));
        if !ours.await? {
            return Ok(());
        }
        failpoint::at("payment.notice.claimed");
        if sabotage::acks_early() {
            self.finish_notice(notice.id).await?;
        }
        let sighting = self.provider.status(&notice.order_id).await?;
        failpoint::at("payment.notice.looked");
        self.apply(notice.payment_id, notice.order_id, sighting, "").await?;
        failpoint::at("payment.notice.applied");
        // Applying twice is harmless, so a death between these two writes is as well.
        self.finish_notice(notice.id).await
    }

    /// Longer than a call to the provider can take, so that nobody else picks the notice up meanwhile.
    fn lease(&self) -> TimeDelta {
        TimeDelta::from_std(self.config.provider_timeout * 2).unwrap_or(TimeDelta::minutes(1))
    }

    async fn finish_notice(&self, id: Uuid) -> Result<(), Error> {
        let now = self.deps.clock.now();
        let done = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { store::notice::mark_done(tx, id, now).await.map_err(Error::from) }));
        done.await.map(|_| ())
    }

    /// Forgets what is older than anybody repeats.
    pub(crate) async fn forget_old(&self) -> Result<(), Error> {
        let clock = self.deps.clock.clone();
        let before = clock.now() - KEEP;
        let forgotten = self.deps.db.write(move |tx| {
            Box::pin(async move {
                berth_kernel::idempotency::forget_expired(tx, &clock).await?;
                store::turn::delete_ended(tx).await?;
                store::notice::delete_done(tx, before).await.map_err(Error::from)
            })
        });
        forgotten.await.map(|_| ())
    }
}
