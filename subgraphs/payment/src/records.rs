//! What user asks when a person wants to see what is kept about them, or to leave. Nothing here names anybody: payments know a
//! key and a booking's code, and the law keeps them as they are.

use std::collections::HashMap;

use async_trait::async_trait;
use berth_contracts::{
    Kind,
    peer::{PeerError, PeerResult, RecordsPeer},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Payments,
    error::{Error, chain},
    payment::{Event, Payment},
    refund::Refund,
    store,
};

/// How many payments are read at a time.
const BATCH: i64 = 100;

#[async_trait]
impl RecordsPeer for Payments {
    async fn records(&self, user_id: Uuid) -> PeerResult<Value> {
        let payments = self.all_of(user_id).await;
        payments.map(|payments| json!({ "payments": payments })).map_err(|error| {
            tracing::error!(error = chain(&error), "payment.records.failed");
            PeerError::Unavailable("payment".to_owned())
        })
    }

    /// An open payment belongs to an open booking, which is counted there.
    async fn open_affairs(&self, _person_id: Uuid) -> PeerResult<u32> {
        Ok(0)
    }
}

impl Payments {
    async fn all_of(&self, user_id: Uuid) -> Result<Vec<Value>, Error> {
        let read = self.deps.db.read();
        let (mut all, mut after) = (Vec::new(), Uuid::nil());
        loop {
            let page = store::payment::list_of_user(read, user_id, after, BATCH).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.id;
            let ids: Vec<Uuid> = page.iter().map(|payment| payment.id).collect();
            let mut histories: HashMap<Uuid, Vec<Event>> = HashMap::new();
            for (id, event) in store::payment::list_events(read, &ids).await? {
                histories.entry(id).or_default().push(event);
            }
            for payment in &page {
                let refunds = store::refund::list_of(read, payment.id).await?;
                all.push(told(payment, histories.get(&payment.id).map_or(&[][..], Vec::as_slice), &refunds));
            }
        }
    }
}

fn told(payment: &Payment, history: &[Event], refunds: &[Refund]) -> Value {
    let line = |event: &Event| json!({ "at": event.at, "status": event.status.name(), "note": event.note });
    let refund = |refund: &Refund| {
        json!({
            "id": Kind::Refund.encode(refund.id),
            "reason": refund.reason,
            "amountMinor": refund.amount_minor,
            "status": refund.status.name(),
            "createdAt": refund.created_at,
        })
    };
    json!({
        "id": Kind::Payment.encode(payment.id),
        "bookingId": Kind::Booking.encode(payment.booking_id),
        "bookingCode": payment.booking_code,
        "status": payment.status.name(),
        "amount": payment.amount.to_string(),
        "refunded": payment.refunded().to_string(),
        "method": payment.method,
        "acquirer": payment.acquirer,
        "provider": payment.provider,
        "transactionId": payment.transaction_id,
        "createdAt": payment.created_at,
        "paidAt": payment.paid_at,
        "history": history.iter().map(line).collect::<Vec<_>>(),
        "refunds": refunds.iter().map(refund).collect::<Vec<_>>(),
    })
}
