//! Events. Consumed: `PaymentChanged`, `AccountDeleted`. Emitted: `BookingChanged`, by `change`.

use async_trait::async_trait;
use berth_contracts::event::{Envelope, Event};
use berth_kernel::{bus::Consumer, db::Db};

use crate::Bookings;

/// Makes the booking of a changed payment due. The event is only a wake-up, so any number of them in any order does the same.
pub(crate) struct PaymentNews(pub Bookings);

#[async_trait]
impl Consumer for PaymentNews {
    fn name(&self) -> &'static str {
        "booking.payment_news"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["PaymentChanged"]
    }

    fn db(&self) -> &Db {
        &self.0.deps.db
    }

    async fn handle(&self, event: &Envelope) -> Result<(), String> {
        let Event::PaymentChanged { booking_id, .. } = event.event else { return Ok(()) };
        self.0.nudge(booking_id).await.map_err(|error| error.chain())
    }
}

/// Forgets who deleted their account. Hearing it twice is harmless.
pub(crate) struct Departures(pub Bookings);

#[async_trait]
impl Consumer for Departures {
    fn name(&self) -> &'static str {
        "booking.departures"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["AccountDeleted"]
    }

    fn db(&self) -> &Db {
        &self.0.deps.db
    }

    async fn handle(&self, event: &Envelope) -> Result<(), String> {
        let Event::AccountDeleted { user_id } = event.event else { return Ok(()) };
        self.0.forget_person(user_id).await.map_err(|error| error.chain())
    }
}
