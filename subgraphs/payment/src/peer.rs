//! What booking asks of this service.

use async_trait::async_trait;
use berth_contracts::peer::{PaymentCopy, PaymentPeer, PeerError, PeerResult, RefundState};
use berth_kernel::failpoint;
use uuid::Uuid;

use crate::{
    Payments,
    error::{Error, chain},
    payment::Payment,
    store,
};

fn for_peer(error: &Error) -> PeerError {
    match error {
        Error::NotFound => PeerError::NotFound,
        other => PeerError::Unavailable(chain(other)),
    }
}

fn copy(payment: &Payment) -> PaymentCopy {
    PaymentCopy {
        payment_id: payment.id,
        status: payment.status.name().to_owned(),
        amount: payment.amount,
        refunded: payment.refunded(),
        paid_at: payment.paid_at,
    }
}

#[async_trait]
impl PaymentPeer for Payments {
    async fn payments(&self, booking_id: Uuid) -> PeerResult<Vec<PaymentCopy>> {
        let payments = store::payment::list_of_booking(self.deps.db.read(), booking_id).await;
        let payments = payments.map_err(|error| for_peer(&error.into()))?;
        Ok(payments.iter().map(copy).collect())
    }

    async fn refund(&self, payment_id: Uuid, reason: String) -> PeerResult<RefundState> {
        let status = self.request_refund(payment_id, reason).await;
        status.map(crate::refund::Status::for_peer).map_err(|error| for_peer(&error))
    }

    async fn close(&self, booking_id: Uuid) -> PeerResult<()> {
        let now = self.deps.clock.now();
        let marked = self.deps.db.write(move |tx| {
            Box::pin(async move { store::payment::mark_closing(tx, booking_id, now).await.map_err(Error::from) })
        });
        marked.await.map_err(|error| for_peer(&error))?;
        failpoint::at("payment.close.marked");
        self.wake.looks.notify();
        Ok(())
    }
}
