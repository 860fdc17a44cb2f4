//! What payment may ask of booking.

use async_trait::async_trait;
use berth_contracts::peer::{BookingPeer, Payable, PeerError, PeerResult};
use berth_kernel::failpoint;
use uuid::Uuid;

use crate::{
    Bookings,
    booking::{Booking, Status, public},
    change::{Change, commit},
    error::Error,
    store,
};

/// How often a start of payment is tried against other steps. A client that repeats its request eight times at once meets
/// itself here, and the saga as well.
const TRIES: usize = 64;

impl Bookings {
    async fn known(&self, booking_id: Uuid) -> Result<Booking, PeerError> {
        let found = store::booking::find(self.deps.db.read(), booking_id).await;
        found.map_err(|error| unavailable(&error.into()))?.ok_or(PeerError::NotFound)
    }

    fn to_payable(&self, booking: &Booking) -> Payable {
        let status = booking.status(self.deps.clock.now());
        Payable {
            booking_id: booking.id,
            user_id: booking.user_id,
            code: booking.code.clone(),
            total: booking.total,
            status: status.name().to_owned(),
            pay_until: (status == Status::PendingPayment).then_some(booking.expires_at),
        }
    }

    /// The booking with its deadline moved as far as inventory allows, to be looked at soon; the same when it is so already.
    async fn extended(&self, booking: &Booking) -> Booking {
        let now = self.deps.clock.now();
        let wanted = now + self.config.pay_window;
        let mut expires_at = booking.expires_at;
        if wanted > expires_at {
            match self.inventory.extend_hold(booking.hold_id, wanted).await {
                Ok(until) => expires_at = expires_at.max(until),
                // The old deadline still allows to pay.
                Err(error) => tracing::warn!(booking.id = public(booking.id), error = %error, "booking.hold.not_extended"),
            }
        }
        let soon = expires_at.min(now + self.config.poll);
        if expires_at == booking.expires_at && booking.next_attempt_at.is_some_and(|planned| planned <= soon) {
            return booking.clone();
        }
        Booking { expires_at, ..booking.again_at(Some(soon), 0) }
    }
}

fn unavailable(error: &Error) -> PeerError {
    tracing::error!(error = %error.chain(), "booking.peer.failed");
    PeerError::Unavailable("booking".to_owned())
}

#[async_trait]
impl BookingPeer for Bookings {
    async fn payable(&self, user_id: Uuid, booking_id: Uuid) -> PeerResult<Payable> {
        let booking = self.known(booking_id).await?;
        if booking.user_id == user_id { Ok(self.to_payable(&booking)) } else { Err(PeerError::NotFound) }
    }

    async fn payment_started(&self, booking_id: Uuid) -> PeerResult<Payable> {
        for _ in 0..TRIES {
            let booking = self.known(booking_id).await?;
            if booking.status(self.deps.clock.now()) != Status::PendingPayment {
                return Ok(self.to_payable(&booking));
            }
            let extended = self.extended(&booking).await;
            if extended == booking {
                return Ok(self.to_payable(&booking));
            }
            failpoint::at("booking.payment_started.extended");
            match commit(&self.deps, Change::of(&booking, extended.clone())).await {
                Ok(()) => {
                    failpoint::at("booking.payment_started.committed");
                    return Ok(self.to_payable(&extended));
                }
                Err(Error::Stale) => {}
                Err(error) => return Err(unavailable(&error)),
            }
        }
        Err(PeerError::Unavailable("booking".to_owned()))
    }

    async fn payment_changed(&self, booking_id: Uuid) -> PeerResult<()> {
        self.known(booking_id).await?;
        self.step(booking_id).await.map_err(|error| unavailable(&error))
    }
}
