//! What the router asks when another subgraph leads here. Things of somebody else are null here too, and one that
//! fails leaves the rest of the batch as it is.

use async_graphql::{Context, ID, Object, Result};

use super::{
    query::{own_booking, own_ticket, viewer_as_user},
    types::{Booking, Ticket, User},
};

/// Entities by their key.
#[derive(Default)]
pub(crate) struct Entities;

#[Object]
impl Entities {
    #[graphql(entity)]
    async fn find_booking_by_id(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Booking>> {
        own_booking(ctx, &id).await.transpose()
    }

    #[graphql(entity)]
    async fn find_ticket_by_id(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Ticket>> {
        own_ticket(ctx, &id).await.transpose()
    }

    #[graphql(entity)]
    async fn find_user_by_id(&self, ctx: &Context<'_>, id: ID) -> Option<User> {
        viewer_as_user(ctx, &id)
    }
}
