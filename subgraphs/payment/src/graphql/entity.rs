//! Entities of other subgraphs that this one adds to.

use async_graphql::{ComplexObject, Context, ID, SimpleObject};
use berth_contracts::Kind;

use super::{
    loaders::{OfBooking, failed, loader},
    types::Payment,
};

/// A booking, as far as payments know it.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Booking {
    /// Opaque, prefixed id. Never parse it.
    pub id: ID,
}

#[ComplexObject]
impl Booking {
    /// The payments of the booking, oldest first: at most one is open. Null when they can't be read now, or for anybody but the owner.
    async fn payments(&self, ctx: &Context<'_>) -> async_graphql::Result<Option<Vec<Payment>>> {
        let loader = loader(ctx)?;
        let (Ok(id), Some(_)) = (Kind::Booking.decode(&self.id), loader.loader().user_id) else { return Ok(None) };
        let payments = loader.load_one(OfBooking(id)).await.map_err(|error| failed(&error))?;
        Ok(Some(payments.unwrap_or_default().into_iter().map(Payment).collect()))
    }
}
