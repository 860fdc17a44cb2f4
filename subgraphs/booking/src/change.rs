//! One change of a booking, written whole: the row, what belongs to it, the event and the letter, in one transaction.

use std::sync::Arc;

use berth_contracts::{
    Kind,
    event::{Envelope, Event},
};
use berth_kernel::{Deps, db::Tx, failpoint, mail::Letter, metrics, post::Life};
use uuid::Uuid;

use crate::{
    booking::{Booking, State, Status, public},
    error::Error,
    repayment::Repayment,
    sabotage, store,
    ticket::Ticket,
};

/// A change from one row to the next.
pub(crate) struct Change {
    /// The row as it shall be, with the revision it was read at.
    pub booking: Booking,
    /// The status that clients saw before.
    pub before: State,
    /// Whether clients see a difference.
    pub seen: bool,
    /// Tickets to issue.
    pub tickets: Vec<Ticket>,
    /// Payments that shall go back.
    pub owed: Vec<Repayment>,
    /// The payment that went back.
    pub repaid: Option<Uuid>,
    /// A letter with its cause.
    pub letter: Option<(String, Letter)>,
}

impl Change {
    /// The row alone, from `old` to `new`.
    pub fn of(old: &Booking, new: Booking) -> Self {
        let seen = (old.state, old.attention, old.expires_at) != (new.state, new.attention, new.expires_at);
        Self { before: old.state, booking: new, seen, tickets: Vec::new(), owed: Vec::new(), repaid: None, letter: None }
    }

    /// Writes all of it. [`Error::Stale`] when another step changed the row first.
    pub async fn write(&self, tx: &Tx, deps: &Deps) -> Result<(), Error> {
        if !store::booking::save(tx, &self.booking).await? {
            return Err(Error::Stale);
        }
        for ticket in &self.tickets {
            store::ticket::insert(tx, ticket).await?;
        }
        for repayment in &self.owed {
            store::repayment::insert(tx, repayment).await?;
        }
        if let Some(payment_id) = self.repaid {
            store::repayment::mark_done(tx, payment_id).await?;
        }
        if let Some((cause, letter)) = self.letter.as_ref().filter(|_| !self.booking.contact.is_erased()) {
            deps.post.queue(tx, cause, Life::Paper, letter).await?;
        }
        if self.seen && !sabotage::publishes_early() {
            deps.outbox.append(tx, &told(&self.booking)).await?;
        }
        if self.booking.state == State::Confirmed && self.before != State::Confirmed {
            failpoint::at("booking.confirm.written");
        }
        Ok(())
    }

    /// Counts it. Call it after the commit.
    pub fn count(&self) {
        if self.before != self.booking.state {
            metrics::reached("booking", self.booking.state.name());
            let (booking, before) = (&self.booking, self.before.name());
            let (id, payment_id) = (public(booking.id), booking.paid_by.map(|id| Kind::Payment.encode(id)));
            let state = booking.state.name();
            tracing::info!(
                booking.id = id,
                booking.code = booking.code,
                payment.id = payment_id,
                before,
                booking.state = state,
                "booking.moved"
            );
        }
        for ticket in &self.tickets {
            metrics::reached("ticket", ticket.status.name());
        }
    }
}

/// The event about a booking's present state. A deadline that passes is told when the row says so.
pub(crate) fn told(booking: &Booking) -> Event {
    let status = if booking.attention { Status::NeedsAttention } else { booking.state.into() };
    let code = Some(booking.code.clone());
    Event::BookingChanged { booking_id: booking.id, user_id: booking.user_id, status: status.name().to_owned(), code }
}

/// Writes a change in a transaction of its own, then wakes who waits for it.
pub(crate) async fn commit(deps: &Deps, change: Change) -> Result<(), Error> {
    if sabotage::publishes_early() {
        let (id, at, event) = (deps.clock.new_key(), deps.clock.now(), told(&change.booking));
        let envelope = Envelope { id, at, trace_parent: None, event };
        let _told_once = deps.bus.deliver(&Arc::new(envelope)).await;
        // Whoever heard it has looked before there is anything to see.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let inside = deps.clone();
    let change = deps.db.write(move |tx| Box::pin(async move { change.write(tx, &inside).await.map(|()| change) })).await?;
    wake(deps);
    change.count();
    Ok(())
}

/// Wakes the outbox's relay and the post.
pub(crate) fn wake(deps: &Deps) {
    deps.outbox.wake();
    deps.post.wake();
}
