//! Events. Consumed: `PaymentChanged`. Emitted: `BookingChanged`, by `change`.

use async_trait::async_trait;
use berth_contracts::event::{Envelope, Event};
use berth_kernel::bus::Consumer;

use crate::{Bookings, error::Error, store};

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

    async fn handle(&self, event: &Envelope) -> Result<(), String> {
        let Event::PaymentChanged { booking_id, .. } = event.event else { return Ok(()) };
        let deps = &self.0.deps;
        let now = deps.clock.now();
        let nudged: Result<(), Error> =
            deps.db.write(move |tx| Box::pin(async move { Ok(store::booking::nudge(tx, booking_id, now).await?) })).await;
        nudged.map_err(|error| error.chain())?;
        self.0.due.notify_one();
        Ok(())
    }
}
