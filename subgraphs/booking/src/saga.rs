//! The saga: [`Bookings::step`] carries one booking as far as it can go now. It may be called at any time, by anybody, any number
//! of times: what to do is decided from the row and the payments (`course`), every transition is one transaction
//! guarded by the row's revision, and every call to another service may be repeated. No call is made inside a transaction.

use berth_contracts::{
    Kind,
    peer::{CommitOutcome, PeerError, RefundState},
};
use berth_kernel::{failpoint, metrics};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, future, stream};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Bookings,
    booking::{Booking, State, Status, public},
    change::{Change, commit},
    course::{Course, Till},
    error::Error,
    letter,
    repayment::Repayment,
    sabotage, store,
    ticket::Ticket,
};

/// More transitions than any booking can make at once.
const MOVES_AT_MOST: usize = 24;

/// Bookings that the reconciler takes at a time, and how many of them it steps at once.
pub(crate) const BATCH: u64 = 128;
const AT_ONCE: usize = 8;

enum Moved {
    /// The row changed: look again.
    On,
    /// Nothing more to do now.
    Rests,
}

impl Bookings {
    /// Steps every booking that is due, once. Returns how many of them went well.
    pub async fn reconcile(&self) -> Result<usize, Error> {
        let due = store::booking::list_due(self.deps.db.read(), self.deps.clock.now(), BATCH).await?;
        let steps = stream::iter(due).map(|id| self.step_logged(id)).buffer_unordered(AT_ONCE);
        Ok(steps.filter(|stepped| future::ready(*stepped)).count().await)
    }

    /// Whether it went well.
    async fn step_logged(&self, id: Uuid) -> bool {
        let stepped = self.step(id).await;
        if let Err(error) = &stepped {
            tracing::error!(booking.id = public(id), error = %error.chain(), "booking.reconcile.failed");
        }
        stepped.is_ok()
    }

    /// Tells the metrics how many bookings there are in each state.
    pub(crate) async fn count_states(&self) -> Result<(), Error> {
        let counts = store::booking::count_by_state(self.deps.db.read()).await?;
        let names = State::ALL.map(State::name).into_iter().chain([Status::NeedsAttention.name()]);
        for name in names {
            let count = counts.iter().find(|(state, _)| state == name).map_or(0, |(_, count)| *count);
            metrics::in_state("booking", name, count);
        }
        Ok(())
    }

    /// News about the booking's money: it is due now, and the reconciler is told.
    pub(crate) async fn nudge(&self, id: Uuid) -> Result<(), Error> {
        let now = self.deps.clock.now();
        let nudge = self.deps.db.write(move |tx| Box::pin(async move { store::booking::nudge(tx, id, now).await }));
        nudge.await?;
        self.due.notify();
        Ok(())
    }

    /// Carries the booking on until it rests. When another service gives no answer the next try is noted in the row.
    pub async fn step(&self, id: Uuid) -> Result<(), Error> {
        self.steps(id).instrument(tracing::info_span!("booking.step", booking.id = public(id))).await
    }

    async fn steps(&self, id: Uuid) -> Result<(), Error> {
        for _ in 0..MOVES_AT_MOST {
            let Some(booking) = store::booking::find(self.deps.db.read(), id).await? else { return Ok(()) };
            match self.advance(&booking).await {
                Ok(Moved::On) | Err(Error::Stale) => {}
                Ok(Moved::Rests) => return Ok(()),
                // Nothing was tried: the row stays as it is, for a process that the others know.
                Err(Error::Peer(error @ PeerError::LockedOut(_))) => {
                    tracing::warn!(booking.id = public(id), error = %error, "booking.step.left");
                    return Ok(());
                }
                Err(error) => {
                    let (id, code, state) = (public(id), &booking.code, booking.state.name());
                    tracing::warn!(booking.id = id, booking.code = code, booking.state = state, error = %error.chain(), "booking.step.failed");
                    match self.put_off(&booking).await {
                        Err(Error::Stale) => {}
                        done => return done,
                    }
                }
            }
        }
        Ok(())
    }

    async fn advance(&self, booking: &Booking) -> Result<Moved, Error> {
        let till = self.till(booking.id).await?;
        let now = self.deps.clock.now();
        match booking.course(&till, &self.config, now) {
            Course::Confirm { payment_id } => self.begin_confirming(booking, payment_id).await,
            Course::Expire => {
                let expired = Booking { cleanup_due: true, ..self.moved(booking, State::Expired)? };
                self.carry_on(Change::of(booking, expired)).await
            }
            Course::Sell => self.sell(booking, till.paid_at(booking)).await,
            Course::GiveUp => self.give_up(booking).await,
            Course::Owe(owed) => self.owe(booking, owed).await,
            Course::GiveBack(repayments) => self.give_back(booking, repayments).await,
            Course::CloseRefund => {
                let refunded = self.moved(booking, State::Refunded)?;
                self.carry_on(Change::of(booking, refunded)).await
            }
            Course::CleanUp => self.clean_up(booking).await,
            Course::Rest(at) => {
                let resting = self.with_attention(booking.again_at(at, booking.attempts.saturating_add(1)));
                let resting = Booking { attention: resting.attention || booking.contradicts(&till), ..resting };
                commit(&self.deps, Change::of(booking, resting)).await.map(|()| Moved::Rests)
            }
        }
    }

    /// What payment and we know of the booking's money, now.
    async fn till(&self, booking_id: Uuid) -> Result<Till, Error> {
        let payments = self.payment()?.payments(booking_id).await?;
        let repayments = store::repayment::list(self.deps.db.read(), booking_id).await?;
        Ok(Till { payments, repayments })
    }

    fn moved(&self, booking: &Booking, next: State) -> Result<Booking, Error> {
        booking.moved(next, self.deps.clock.now()).map_err(|error| {
            tracing::error!(booking.id = public(booking.id), error = %error, "booking.transition.unknown");
            Error::Corrupt("state of a booking")
        })
    }

    async fn carry_on(&self, change: Change) -> Result<Moved, Error> {
        commit(&self.deps, change).await.map(|()| Moved::On)
    }

    async fn begin_confirming(&self, booking: &Booking, payment_id: Uuid) -> Result<Moved, Error> {
        let confirming = Booking {
            paid_by: Some(payment_id),
            late: booking.state == State::Expired,
            cleanup_due: false,
            ..self.moved(booking, State::Confirming)?
        };
        failpoint::at("booking.begin_confirming.begun");
        let moved = self.carry_on(Change::of(booking, confirming)).await?;
        failpoint::at("booking.begin_confirming.committed");
        Ok(moved)
    }

    async fn sell(&self, booking: &Booking, paid_at: Option<DateTime<Utc>>) -> Result<Moved, Error> {
        failpoint::at("booking.commit_hold.begun");
        let outcome = self.inventory.commit_hold(booking.hold_id, booking.id).await?;
        failpoint::at("booking.commit_hold.answered");
        match outcome {
            CommitOutcome::Committed => {
                let moved = self.confirm(booking).await?;
                if let Some(paid_at) = paid_at {
                    metrics::tickets_issued((self.deps.clock.now() - paid_at).to_std().unwrap_or_default());
                }
                Ok(moved)
            }
            CommitOutcome::Gone => self.give_up(booking).await,
        }
    }

    /// The seats are sold to the booking: tickets are issued in the transaction that says so.
    async fn confirm(&self, booking: &Booking) -> Result<Moved, Error> {
        // Unpaid payments beside the one that paid must be closed.
        let confirmed = Booking { cleanup_due: true, ..self.moved(booking, State::Confirmed)? };
        let parts = store::part::list(self.deps.db.read(), &[booking.id]).await?;
        let key = self.config.ticket_keys.signing();
        let issue = |part| Ticket::issue(self.deps.clock.new_key(), booking, part, &key);
        let tickets: Vec<Ticket> = parts.iter().map(issue).collect();
        let letter = letter::confirmed(&confirmed, &tickets, |ticket| self.qr_url(ticket.id))?;
        let letter = Some((letter::confirmed_cause(booking.id), letter));
        let moved = self.carry_on(Change { tickets, letter, ..Change::of(booking, confirmed) }).await?;
        failpoint::at("booking.confirm.committed");
        Ok(moved)
    }

    async fn give_up(&self, booking: &Booking) -> Result<Moved, Error> {
        let gone = Booking { cleanup_due: true, ..self.moved(booking, State::RefundPending)? };
        let moved = self.carry_on(Change::of(booking, gone)).await?;
        failpoint::at("booking.give_up.committed");
        Ok(moved)
    }

    /// Writes down what must go back before anything is asked for: a crash in between forgets nothing.
    async fn owe(&self, booking: &Booking, owed: Vec<Repayment>) -> Result<Moved, Error> {
        let next = match booking.state {
            State::Cancelled => self.moved(booking, State::RefundPending)?,
            _ => booking.again_at(Some(self.deps.clock.now()), 0),
        };
        let moved = self.carry_on(Change { owed, ..Change::of(booking, next) }).await?;
        failpoint::at("booking.owe.committed");
        Ok(moved)
    }

    async fn give_back(&self, booking: &Booking, repayments: Vec<Repayment>) -> Result<Moved, Error> {
        let mut refused = false;
        for repayment in repayments {
            let state = self.refund(&repayment).await?;
            failpoint::at("booking.refund.asked");
            match state {
                RefundState::Succeeded => {
                    let letter = letter::refunded(booking, &repayment)?;
                    let letter = Some((letter::refunded_cause(repayment.payment_id), letter));
                    let next = Booking { attention: false, ..booking.again_at(Some(self.deps.clock.now()), 0) };
                    let repaid = Some(repayment.payment_id);
                    let moved = self.carry_on(Change { repaid, letter, ..Change::of(booking, next) }).await?;
                    failpoint::at("booking.refund.committed");
                    return Ok(moved);
                }
                RefundState::Pending => {}
                RefundState::Failed => {
                    refused = true;
                    let (id, payment_id) = (public(booking.id), Kind::Payment.encode(repayment.payment_id));
                    tracing::error!(
                        booking.id = id,
                        booking.code = booking.code,
                        payment.id = payment_id,
                        "booking.refund.refused"
                    );
                }
            }
        }
        // Seats need not wait for the provider.
        if booking.cleanup_due {
            return self.clean_up(booking).await;
        }
        // Money that the provider keeps needs a person at once; tickets of the booking stay as they are.
        let waiting = Booking { attention: booking.attention || refused, ..self.waiting(booking) };
        commit(&self.deps, Change::of(booking, waiting)).await.map(|()| Moved::Rests)
    }

    async fn refund(&self, repayment: &Repayment) -> Result<RefundState, Error> {
        if sabotage::skips_refund() {
            return Ok(RefundState::Succeeded);
        }
        Ok(self.payment()?.refund(repayment.payment_id, repayment.reason.name().to_owned()).await?)
    }

    async fn clean_up(&self, booking: &Booking) -> Result<Moved, Error> {
        match booking.state {
            // The hold of an expired booking ends by inventory's own clock: ours may be fast, and late money may still want it.
            State::PendingPayment | State::Expired | State::Confirming | State::Confirmed => {}
            State::Cancelled => self.inventory.release_hold(booking.hold_id).await?,
            // No way leads back from here to tickets, so this takes nobody's seat, whenever it arrives.
            State::RefundPending | State::Refunded => self.inventory.give_back(booking.hold_id, booking.id).await?,
        }
        failpoint::at("booking.clean_up.released");
        self.payment()?.close(booking.id).await?;
        failpoint::at("booking.clean_up.closed");
        let clean = Booking { cleanup_due: false, ..booking.again_at(Some(self.deps.clock.now()), 0) };
        self.carry_on(Change::of(booking, clean)).await
    }

    /// Notes the next try of what could not be done now.
    async fn put_off(&self, booking: &Booking) -> Result<(), Error> {
        commit(&self.deps, Change::of(booking, self.waiting(booking))).await
    }

    fn waiting(&self, booking: &Booking) -> Booking {
        let at = booking.retry_at(self.deps.clock.now());
        self.with_attention(booking.again_at(Some(at), booking.attempts.saturating_add(1)))
    }

    /// Raises the flag over work of ours that takes too long.
    fn with_attention(&self, booking: Booking) -> Booking {
        let overdue = self.deps.clock.now() >= booking.state_since + self.config.attention_after;
        if booking.state.is_underway() && overdue && !booking.attention {
            let (id, code, state) = (public(booking.id), &booking.code, booking.state.name());
            tracing::error!(booking.id = id, booking.code = code, booking.state = state, "booking.stuck");
            return Booking { attention: true, ..booking };
        }
        booking
    }
}
