//! Looking up holds: by query, and for other subgraphs. Only the owner finds one.

use async_graphql::{Context, ID, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use super::types::hold::Hold;

/// Queries of holds.
#[derive(Default)]
pub struct HoldQuery;

#[Object]
impl HoldQuery {
    /// A hold of yours, also after it has ended. Null when there is none with this id, or it is somebody else's.
    #[graphql(directive = authenticated::apply())]
    async fn hold(&self, ctx: &Context<'_>, #[graphql(desc = "Id of the hold, hold_...")] id: ID) -> Result<Option<Hold>> {
        signed_in(ctx)?;
        Hold::load(ctx, &id).await
    }
}

/// Entity resolvers of holds.
#[derive(Default)]
pub struct HoldEntities;

#[Object]
impl HoldEntities {
    #[graphql(entity)]
    async fn hold_by_id(&self, ctx: &Context<'_>, id: ID) -> Option<Hold> {
        // An error would take every other entity of the batch with it; it is logged where it is made.
        Hold::load(ctx, &id).await.ok().flatten()
    }
}
