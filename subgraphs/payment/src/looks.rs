//! Asking the provider and believing it: placing orders, looking at them, closing them. Every look ends in [`Books::apply`], so
//! webhooks, polls and answers to our own calls may come twice, late and in any order.

use berth_kernel::failpoint;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, future, stream};
use uuid::Uuid;

use crate::{
    Payments,
    error::{Error, chain},
    payment::{Payment, Status},
    payments::PATIENCE,
    provider::{Charge, ProviderError, Sighting, Truth},
    store,
};

/// Rows taken at once by a worker, and calls to the provider at a time.
pub const BATCH: i64 = 64;
/// Calls to the provider at a time.
pub const AT_ONCE: usize = 8;
/// How often a write is repeated that met another one.
const RACES: usize = 8;
/// How many orders are placed for one payment at most.
const MAX_ATTEMPTS: i64 = 5;

impl Payments {
    /// Places the order of a CREATED payment, whatever became of earlier tries. The caller has its turn.
    pub(crate) async fn place(&self, payment: Payment) -> Result<Payment, Error> {
        let mut payment = payment;
        while payment.attempt <= MAX_ATTEMPTS {
            let answer = self.provider.charge(&self.charge_of(&payment)?).await;
            failpoint::at("payment.order.placed");
            match answer {
                Ok(sighting) => {
                    let placed = self.apply(payment.id, payment.order_id(), sighting, "").await;
                    failpoint::at("payment.order.recorded");
                    return placed;
                }
                Err(ProviderError::Refused(why)) => return self.give_up(payment.id, Status::Failed, why).await,
                Err(ProviderError::Duplicate) => match self.recover(payment).await? {
                    Recovered::Known(known) => return Ok(known),
                    Recovered::Again(again) => payment = again,
                },
                Err(error) => return Err(error.into()),
            }
        }
        self.give_up(payment.id, Status::Failed, "the provider's answers were lost".to_owned()).await
    }

    fn charge_of(&self, payment: &Payment) -> Result<Charge, Error> {
        let whole = payment.amount.whole_major().map_err(|error| ProviderError::Refused(error.to_string()))?;
        Ok(Charge {
            order_id: payment.order_id(),
            amount: whole,
            label: payment.booking_code.clone(),
            acquirer: payment.acquirer.clone(),
            ordered_at: self.deps.clock.now(),
            expires_at: payment.expires_at,
        })
    }

    /// The order is there, so the answer to its charge was lost. When a look does not tell the QR code either, nobody has
    /// seen it: the order is closed and the next attempt gets a new one.
    async fn recover(&self, payment: Payment) -> Result<Recovered, Error> {
        let sighting = self.provider.status(&payment.order_id()).await?;
        let waits = matches!(sighting.truth, Truth::Pending | Truth::Cancelled | Truth::Expired);
        if !waits || sighting.qris_payload.is_some() || self.deps.clock.now() >= payment.expires_at {
            return Ok(Recovered::Known(self.apply(payment.id, payment.order_id(), sighting, "").await?));
        }
        let lost_order = payment.order_id();
        let Some(next) = self.next_attempt(payment.clone()).await? else {
            let known = store::payment::find(self.deps.db.read(), payment.id).await?.ok_or(Error::NotFound)?;
            return Ok(Recovered::Known(known));
        };
        if let Err(error) = self.provider.cancel(&lost_order).await {
            // It expires by itself; nobody can pay what nobody sees.
            tracing::warn!(order.id = lost_order, error = %error, "payment.order.abandoned");
        }
        Ok(Recovered::Again(next))
    }

    /// Counts the attempt up; `None` when the payment moved on meanwhile.
    async fn next_attempt(&self, payment: Payment) -> Result<Option<Payment>, Error> {
        let mut next = payment;
        next.attempt += 1;
        let books = self.books.clone();
        let saved = self.deps.db.write(move |tx| {
            Box::pin(async move {
                books.save(tx, &mut next).await?;
                Ok(next)
            })
        });
        match saved.await {
            Ok(next) => Ok(Some(next)),
            Err(Error::Raced) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies a look at an order in a transaction of its own, and wakes who waits for the news.
    pub(crate) async fn apply(
        &self,
        id: Uuid,
        order_id: String,
        sighting: Sighting,
        note: &'static str,
    ) -> Result<Payment, Error> {
        for _ in 0..RACES {
            let (books, order_id, sighting) = (self.books.clone(), order_id.clone(), sighting.clone());
            let applied =
                self.deps.db.write(move |tx| Box::pin(async move { books.apply(tx, id, &order_id, &sighting, note).await }));
            match applied.await {
                Err(Error::Raced | Error::Taken) => {}
                Err(error) => return Err(error),
                Ok(payment) => {
                    self.told(&payment);
                    return Ok(payment);
                }
            }
        }
        Err(Error::Raced)
    }

    /// Ends an open payment that the provider does not know (or does not take).
    async fn give_up(&self, id: Uuid, end: Status, why: String) -> Result<Payment, Error> {
        let books = self.books.clone();
        let ended = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let mut payment = store::payment::find(tx, id).await?.ok_or(Error::NotFound)?;
                if payment.status.is_open() {
                    books.move_on(tx, &mut payment, end, &why).await?;
                }
                Ok::<_, Error>(payment)
            })
        });
        let payment = ended.await?;
        self.told(&payment);
        Ok(payment)
    }

    /// After a commit: the event leaves, and booking hears at once that it was paid (the event tells it again).
    pub(crate) fn told(&self, payment: &Payment) {
        self.deps.outbox.wake();
        self.wake.refunds.notify();
        if payment.status == Status::Paid {
            let (booking, booking_id) = (self.booking.clone(), payment.booking_id);
            tokio::spawn(async move {
                if let Err(error) = booking.payment_changed(booking_id).await {
                    tracing::debug!(booking.id = %booking_id, error = %error, "payment.told.unanswered");
                }
            });
        }
    }

    /// Looks at every payment whose time has come. Stops when nothing of a batch moved: the same rows would come again.
    pub(crate) async fn look_at_due(&self) -> Result<(), Error> {
        loop {
            let due = store::payment::list_due(self.deps.db.read(), self.deps.clock.now(), BATCH).await?;
            let full = i64::try_from(due.len()).is_ok_and(|count| count == BATCH);
            let looks = stream::iter(due).map(|payment| self.look_logged(payment)).buffer_unordered(AT_ONCE);
            let moved = looks.filter(|moved| future::ready(*moved)).count().await;
            if !full || moved == 0 {
                return Ok(());
            }
        }
    }

    /// Whether it went well.
    async fn look_logged(&self, payment: Payment) -> bool {
        let id = payment.id;
        let looked = self.look_if_ours(payment).await;
        if let Err(error) = &looked {
            tracing::warn!(payment.id = %id, error = chain(error), "payment.look.failed");
        }
        looked.is_ok()
    }

    async fn look_if_ours(&self, payment: Payment) -> Result<(), Error> {
        let next = self.next_look(&payment);
        let claimed = payment.clone();
        let ours = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { store::payment::claim_poll(tx, &claimed, next).await.map_err(Error::from) }));
        if !ours.await? {
            return Ok(());
        }
        let Some(_turn) = self.turn(payment.id, PATIENCE).await? else { return Ok(()) };
        let Some(payment) = store::payment::find(self.deps.db.read(), payment.id).await? else { return Ok(()) };
        self.look(payment).await.map(|_| ())
    }

    /// As planned; soon again while a closing or an unplaced order waits for an answer.
    fn next_look(&self, payment: &Payment) -> Option<DateTime<Utc>> {
        let now = self.deps.clock.now();
        let planned = payment.next_poll(&self.config.polling, now);
        let urgent = payment.status.is_open() && payment.close_requested;
        let soon = now + self.config.retry_after(5);
        if urgent { Some(planned.map_or(soon, |planned| planned.min(soon))) } else { planned }
    }

    /// Asks the provider about a payment. The caller has its turn.
    async fn look(&self, payment: Payment) -> Result<Payment, Error> {
        if payment.close_requested && payment.status.is_open() {
            return self.close_at_provider(payment).await;
        }
        if payment.status == Status::Created && self.deps.clock.now() < payment.expires_at {
            return self.place(payment).await;
        }
        match self.provider.status(&payment.order_id()).await {
            Ok(sighting) => self.apply(payment.id, payment.order_id(), sighting, "").await,
            Err(ProviderError::NotFound) if payment.status == Status::Created => {
                self.give_up(payment.id, Status::Expired, "the provider was not reached in time".to_owned()).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Closes the order and then looks: if it was paid in between, the money counts.
    async fn close_at_provider(&self, payment: Payment) -> Result<Payment, Error> {
        let answer = self.provider.cancel(&payment.order_id()).await;
        failpoint::at("payment.close.answered");
        match answer {
            Ok(()) | Err(ProviderError::Refused(_) | ProviderError::Duplicate) => {
                let sighting = self.provider.status(&payment.order_id()).await?;
                self.apply(payment.id, payment.order_id(), sighting, "the booking ended").await
            }
            Err(ProviderError::NotFound) => self.give_up(payment.id, Status::Cancelled, "the booking ended".to_owned()).await,
            Err(error) => Err(error.into()),
        }
    }
}

/// What became of an order whose charge was not answered.
enum Recovered {
    /// The payment is as far as it can be.
    Known(Payment),
    /// A new order must be placed, under the next attempt.
    Again(Payment),
}
