//! Events. Consumed: `BookingChanged`, `PaymentChanged`: what they tell whom stands in the catalogue of `notification`. Emitted:
//! `NotificationSent`, by `notifications`.

use async_trait::async_trait;
use berth_contracts::event::Envelope;
use berth_kernel::{bus::Consumer, db::Db};

use crate::accounts::Accounts;

/// Tells people what happens to their bookings and payments.
pub(crate) struct Teller(pub Accounts);

#[async_trait]
impl Consumer for Teller {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["BookingChanged", "PaymentChanged"]
    }

    fn db(&self) -> &Db {
        &self.0.deps.db
    }

    async fn handle(&self, event: &Envelope) -> Result<(), String> {
        self.0.hear(NAME, event).await.map_err(|error| error.chain())
    }
}

const NAME: &str = "user.notifications";
