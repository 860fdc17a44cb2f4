//! Batched reads of one request, limited to what its viewer owns.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    Context,
    dataloader::{DataLoader, Loader},
};
use berth_kernel::graphql::internal;
use uuid::Uuid;

use crate::{
    Error, Payments,
    payment::{Event, Payment},
};

/// Reads for one viewer.
pub struct Owned {
    /// The service.
    pub payments: Payments,
    /// Who asks.
    pub user_id: Option<Uuid>,
}

/// A payment by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ById(pub Uuid);
/// The payments of a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OfBooking(pub Uuid);
/// The history of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HistoryOf(pub Uuid);

impl Loader<ById> for Owned {
    type Value = Payment;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[ById]) -> Result<HashMap<ById, Payment>, Arc<Error>> {
        let Some(user_id) = self.user_id else { return Ok(HashMap::new()) };
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let payments = self.payments.list(user_id, &ids).await?;
        Ok(payments.into_iter().map(|payment| (ById(payment.id), payment)).collect())
    }
}

impl Loader<OfBooking> for Owned {
    type Value = Vec<Payment>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[OfBooking]) -> Result<HashMap<OfBooking, Vec<Payment>>, Arc<Error>> {
        let Some(user_id) = self.user_id else { return Ok(HashMap::new()) };
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<OfBooking, Vec<Payment>> = HashMap::new();
        for payment in self.payments.list_of_bookings(user_id, &ids).await? {
            found.entry(OfBooking(payment.booking_id)).or_default().push(payment);
        }
        Ok(found)
    }
}

impl Loader<HistoryOf> for Owned {
    type Value = Vec<Event>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[HistoryOf]) -> Result<HashMap<HistoryOf, Vec<Event>>, Arc<Error>> {
        let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
        let mut found: HashMap<HistoryOf, Vec<Event>> = HashMap::new();
        for (payment_id, event) in self.payments.histories(&ids).await? {
            found.entry(HistoryOf(payment_id)).or_default().push(event);
        }
        Ok(found)
    }
}

/// The loader of this request.
pub fn loader<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a DataLoader<Owned>> {
    ctx.data::<DataLoader<Owned>>()
}

/// Our own fault while loading.
pub fn failed(error: &Arc<Error>) -> async_graphql::Error {
    internal(&crate::error::chain(error.as_ref()))
}
