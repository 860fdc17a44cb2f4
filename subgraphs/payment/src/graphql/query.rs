//! Queries, and the entities of this subgraph.

use async_graphql::{Context, ID, Object, Result};
use berth_contracts::Kind;

use super::{
    entity::Booking,
    loaders::{ById, failed, loader},
    types::Payment,
};

/// Queries of the payment service.
pub struct Query;

async fn owned(ctx: &Context<'_>, id: &ID) -> Result<Option<Payment>> {
    let Ok(key) = Kind::Payment.decode(id) else { return Ok(None) };
    let payment = loader(ctx)?.load_one(ById(key)).await.map_err(|error| failed(&error))?;
    Ok(payment.map(Payment))
}

#[Object]
impl Query {
    /// A payment of yours. Null when there is no such payment, or it is somebody else's.
    async fn payment(&self, ctx: &Context<'_>, #[graphql(desc = "A payment_ id.")] id: ID) -> Result<Option<Payment>> {
        owned(ctx, &id).await
    }

    #[graphql(entity)]
    async fn find_payment_by_id(&self, ctx: &Context<'_>, #[graphql(key)] id: ID) -> Result<Option<Payment>> {
        owned(ctx, &id).await
    }

    #[graphql(entity)]
    async fn find_booking_by_id(&self, #[graphql(key)] id: ID) -> Booking {
        Booking { id }
    }
}
