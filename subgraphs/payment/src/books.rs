//! The steps inside a transaction: a payment changes its state, and with it its history, the ledger and the outbox.

use berth_contracts::{Money, event::Event};
use berth_kernel::{Deps, clock::Clock, db::Tx, metrics, outbox::Outbox};
use uuid::Uuid;

use crate::{
    config::Polling,
    error::Error,
    ledger::Posting,
    payment::{Payment, Status},
    provider::{SeenRefund, Sighting, Truth},
    refund::{self, Refund},
    sabotage, store,
};

/// What the steps need. Cheap to clone into a write.
#[derive(Clone)]
pub struct Books {
    clock: Clock,
    outbox: Outbox,
    polling: Polling,
}

impl Books {
    /// Over a service's deps.
    pub fn new(deps: &Deps, polling: Polling) -> Self {
        Self { clock: deps.clock.clone(), outbox: deps.outbox.clone(), polling }
    }

    /// Applies a look at an order. Saying the same twice changes nothing.
    pub async fn apply(&self, tx: &Tx, id: Uuid, order_id: &str, sighting: &Sighting, note: &str) -> Result<Payment, Error> {
        let mut payment = store::payment::find(tx, id).await?.ok_or(Error::NotFound)?;
        // An order that was abandoned for a newer attempt says nothing about the payment, except that money came.
        if payment.order_id() != order_id && sighting.truth != Truth::Settled {
            return Ok(payment);
        }
        if let Some(next) = payment.after(sighting) {
            payment.transaction_id = sighting.transaction_id.clone().or(payment.transaction_id);
            payment.qris_payload = sighting.qris_payload.clone().or(payment.qris_payload);
            self.move_on(tx, &mut payment, next, note).await?;
        } else if sabotage::skips_inbox() && payment.status == Status::Paid {
            let mut again = Posting::capture(payment.id, payment.amount, self.clock.now());
            again.key = format!("{}:{}", again.key, self.clock.new_key());
            store::ledger::insert(tx, &again).await?;
        }
        for seen in &sighting.refunds {
            self.apply_refund(tx, &mut payment, seen).await?;
        }
        Ok(payment)
    }

    /// Moves the payment to a state: row, history, ledger, event.
    pub async fn move_on(&self, tx: &Tx, payment: &mut Payment, next: Status, note: &str) -> Result<(), Error> {
        let now = self.clock.now();
        payment.status = next;
        payment.next_poll_at = payment.next_poll(&self.polling, now);
        if next == Status::Paid {
            payment.paid_at = Some(now);
            store::ledger::insert(tx, &Posting::capture(payment.id, payment.amount, now)).await?;
        }
        self.save(tx, payment).await?;
        self.announce(tx, payment, note).await
    }

    /// Stores the row, unless it changed since it was read.
    pub async fn save(&self, tx: &Tx, payment: &mut Payment) -> Result<(), Error> {
        if store::payment::save(tx, payment).await? { Ok(()) } else { Err(Error::Raced) }
    }

    /// History and event of the state the payment has now.
    pub async fn announce(&self, tx: &Tx, payment: &Payment, note: &str) -> Result<(), Error> {
        store::payment::insert_event(tx, payment, self.clock.now(), note).await?;
        self.outbox.append(tx, &changed(payment)).await?;
        metrics::reached("payment", payment.status.name());
        Ok(())
    }

    /// A refund the provider knows of: ours is done; one made there by hand becomes known.
    async fn apply_refund(&self, tx: &Tx, payment: &mut Payment, seen: &SeenRefund) -> Result<(), Error> {
        let refunds = store::refund::list_of(tx, payment.id).await?;
        let reason = format!("provider:{}", seen.key);
        if let Some(known) = refunds.iter().find(|refund| refund.provider_key() == seen.key || refund.reason == reason) {
            return self.complete_refund(tx, payment, known).await;
        }
        let amount = Money::from_major(seen.amount, payment.amount.currency).map_err(|_| Error::NotFound)?;
        let made_there = Refund {
            status: refund::Status::Submitted,
            next_attempt_at: None,
            ..Refund::requested(&self.clock, payment.id, &reason, amount.amount_minor)
        };
        if store::refund::insert(tx, &made_there).await? {
            self.complete_refund(tx, payment, &made_there).await?;
        }
        Ok(())
    }

    /// The money went back. Never more than came: what would exceed it needs a person.
    pub async fn complete_refund(&self, tx: &Tx, payment: &mut Payment, refund: &Refund) -> Result<(), Error> {
        if !payment.status.is_refundable() || !store::refund::mark_ended(tx, refund.id, refund::Status::Succeeded, None).await? {
            return Ok(());
        }
        let total = payment.refunded_minor.saturating_add(refund.amount_minor);
        if total > payment.amount.amount_minor {
            return self.move_on(tx, payment, Status::NeedsAttention, "more was refunded than was paid").await;
        }
        let amount = Money::new(refund.amount_minor, payment.amount.currency);
        store::ledger::insert(tx, &Posting::refund(payment.id, refund.id, amount, self.clock.now())).await?;
        payment.refunded_minor = total;
        let whole = total == payment.amount.amount_minor;
        let next = if whole { Status::Refunded } else { Status::PartiallyRefunded };
        self.move_on(tx, payment, next, &refund.reason).await?;
        metrics::reached("refund", refund::Status::Succeeded.name());
        Ok(())
    }

    /// The provider refuses a refund for good. The payment stays as it is, and everybody is told to look.
    pub async fn fail_refund(&self, tx: &Tx, payment: &mut Payment, refund: &Refund, why: String) -> Result<(), Error> {
        let note = format!("the refund was refused: {why}");
        if store::refund::mark_ended(tx, refund.id, refund::Status::Failed, Some(why)).await? {
            self.save(tx, payment).await?;
            self.announce(tx, payment, &note).await?;
            metrics::reached("refund", refund::Status::Failed.name());
        }
        Ok(())
    }
}

fn changed(payment: &Payment) -> Event {
    Event::PaymentChanged {
        payment_id: payment.id,
        booking_id: payment.booking_id,
        user_id: payment.user_id,
        status: payment.status.name().to_owned(),
        amount: payment.amount,
        booking_code: Some(payment.booking_code.clone()),
    }
}
