//! Giving money back: asked for once, told to the provider until it answers, never twice.

use berth_contracts::Kind;
use berth_kernel::failpoint;
use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use uuid::Uuid;

use crate::{
    Payments,
    error::{Error, chain},
    looks::{AT_ONCE, BATCH, By},
    payment::{Payment, Status},
    provider::{ProviderError, RefundOrder, SeenRefund, Sighting},
    refund::{self, Refund},
    store,
};

const RACES: usize = 8;

impl Payments {
    /// Asks that all of a payment that is left goes back. The same reason again answers how the first stands.
    pub async fn request_refund(&self, payment_id: Uuid, reason: String) -> Result<refund::Status, Error> {
        for _ in 0..RACES {
            match self.try_request_refund(payment_id, reason.clone()).await {
                Err(Error::Raced) => {}
                other => {
                    self.wake.refunds.notify();
                    return other;
                }
            }
        }
        Err(Error::Raced)
    }

    async fn try_request_refund(&self, payment_id: Uuid, reason: String) -> Result<refund::Status, Error> {
        let (books, clock) = (self.books.clone(), self.deps.clock.clone());
        let requested = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let mut payment = store::payment::find(tx, payment_id).await?.ok_or(Error::NotFound)?;
                let refunds = store::refund::list_of(tx, payment_id).await?;
                if let Some(known) = answer(&payment, &refunds, &reason)? {
                    return Ok(Asked::Before(known));
                }
                let refund = Refund::requested(&clock, payment_id, &reason, left(&payment, &refunds));
                // Counting the version up makes two reasons at once race, so that their sum can't exceed the payment.
                books.save(tx, &mut payment).await?;
                store::refund::insert(tx, &refund).await?;
                Ok(Asked::Now(refund))
            })
        });
        let requested: Result<Asked, Error> = requested.await;
        failpoint::at("payment.refund.requested");
        match requested? {
            Asked::Before(known) => Ok(known),
            Asked::Now(refund) => {
                let (id, payment_id) = (Kind::Refund.encode(refund.id), Kind::Payment.encode(payment_id));
                tracing::info!(
                    refund.id = id,
                    payment.id = payment_id,
                    amount_minor = refund.amount_minor,
                    "payment.refund.requested"
                );
                Ok(refund.status)
            }
        }
    }

    /// Tells the provider of every refund that waits.
    pub(crate) async fn work_on_refunds(&self) -> Result<(), Error> {
        let due = store::refund::list_due(self.deps.db.read(), self.deps.clock.now(), BATCH).await?;
        stream::iter(due).for_each_concurrent(AT_ONCE, |refund| self.submit_logged(refund)).await;
        Ok(())
    }

    async fn submit_logged(&self, refund: Refund) {
        let (id, payment_id) = (refund.id, refund.payment_id);
        if let Err(error) = self.submit(refund).await {
            let (id, payment_id) = (Kind::Refund.encode(id), Kind::Payment.encode(payment_id));
            tracing::warn!(refund.id = id, payment.id = payment_id, error = chain(&error), "payment.refund.failed");
        }
    }

    async fn submit(&self, refund: Refund) -> Result<(), Error> {
        let pause = self.config.retry_after(refund.attempts + 1);
        let lease = TimeDelta::from_std(self.config.provider_timeout * 2).unwrap_or(pause);
        let (again_at, claimed) = (self.deps.clock.now() + pause.max(lease), refund.clone());
        let ours = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { store::refund::claim(tx, &claimed, again_at).await.map_err(Error::from) }));
        if !ours.await? {
            return Ok(());
        }
        failpoint::at("payment.refund.submitted");
        let Some(payment) = store::payment::find(self.deps.db.read(), refund.payment_id).await? else { return Ok(()) };
        let order = order_of(&payment, &refund)?;
        // After a lost answer, look before asking again.
        if refund.attempts > 0 && self.was_done(&payment, &order).await? {
            return self.done(payment.id, order).await;
        }
        let answer = self.provider.refund(&payment.order_id(), &order).await;
        failpoint::at("payment.refund.answered");
        match answer {
            Err(ProviderError::Refused(why)) if !self.was_done(&payment, &order).await? => self.refused(refund, why).await,
            Err(ProviderError::Duplicate) if !self.was_done(&payment, &order).await? => Err(ProviderError::Duplicate.into()),
            Ok(()) | Err(ProviderError::Refused(_) | ProviderError::Duplicate) => self.done(payment.id, order).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn was_done(&self, payment: &Payment, order: &RefundOrder) -> Result<bool, Error> {
        let sighting = self.provider.status(&payment.order_id()).await?;
        Ok(sighting.refunds.iter().any(|seen| seen.key == order.key))
    }

    async fn done(&self, payment_id: Uuid, order: RefundOrder) -> Result<(), Error> {
        let payment = store::payment::find(self.deps.db.read(), payment_id).await?.ok_or(Error::NotFound)?;
        let sighting = Sighting {
            truth: crate::provider::Truth::Settled,
            gross: payment.amount.whole_major().unwrap_or_default(),
            transaction_id: None,
            qris_payload: None,
            refunds: vec![SeenRefund { key: order.key, amount: order.amount }],
        };
        self.apply(payment_id, payment.order_id(), sighting, By::Refund).await?;
        failpoint::at("payment.refund.recorded");
        Ok(())
    }

    async fn refused(&self, refund: Refund, why: String) -> Result<(), Error> {
        let (books, refund_id) = (self.books.clone(), Kind::Refund.encode(refund.id));
        let failed = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let mut payment = store::payment::find(tx, refund.payment_id).await?.ok_or(Error::NotFound)?;
                let before = payment.status;
                books.fail_refund(tx, &mut payment, &refund, why).await?;
                Ok::<_, Error>((before, payment))
            })
        });
        let (before, payment) = failed.await?;
        tracing::error!(
            refund.id = refund_id,
            payment.id = payment.public_id(),
            booking.code = payment.booking_code,
            "payment.refund.refused"
        );
        self.told(before, &payment, By::Refund);
        Ok(())
    }
}

/// What came of a request for a refund.
enum Asked {
    /// It is written down.
    Now(Refund),
    /// There was nothing to write down: how it stands.
    Before(refund::Status),
}

fn order_of(payment: &Payment, refund: &Refund) -> Result<RefundOrder, Error> {
    let amount = berth_contracts::Money::new(refund.amount_minor, payment.amount.currency).whole_major();
    let amount = amount.map_err(|error| ProviderError::Refused(error.to_string()))?;
    Ok(RefundOrder { key: refund.provider_key(), amount, reason: refund.reason.clone() })
}

/// What is neither given back nor on its way.
fn left(payment: &Payment, refunds: &[Refund]) -> i64 {
    let waiting = |refund: &&Refund| matches!(refund.status, refund::Status::Requested | refund::Status::Submitted);
    let under_way: i64 = refunds.iter().filter(waiting).map(|refund| refund.amount_minor).sum();
    payment.amount.amount_minor - payment.refunded_minor - under_way
}

/// What there is to answer without a new refund.
fn answer(payment: &Payment, refunds: &[Refund], reason: &str) -> Result<Option<refund::Status>, Error> {
    // What the provider refused may have been given back there by hand since.
    if payment.status == Status::Refunded {
        return Ok(Some(refund::Status::Succeeded));
    }
    if let Some(known) = refunds.iter().find(|refund| refund.reason == reason) {
        return Ok(Some(known.status));
    }
    match payment.status {
        Status::Paid | Status::PartiallyRefunded if left(payment, refunds) > 0 => Ok(None),
        Status::Paid | Status::PartiallyRefunded => Ok(Some(refund::Status::Submitted)),
        _ => Err(Error::NotFound),
    }
}
