//! Queries, and the entities of this service. Ownership is checked here, whoever asks.

mod admins;

use async_graphql::{Context, ID, MergedObject, Object, Result};
use berth_contracts::Kind;
use berth_kernel::graphql::viewer;

use super::{
    loaders,
    types::{passenger::Passenger, user::User},
};

/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(Own, admins::AdminQueries);

/// What a person reads of their own.
#[derive(Default)]
pub(crate) struct Own;

#[Object]
impl Own {
    /// The signed-in person. Null when nobody is signed in.
    async fn me(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(user_id) = viewer(ctx).user_id() else { return Ok(None) };
        Ok(loaders::account(ctx, user_id).await?.map(User))
    }

    /// Nobody but the user: another's id, or a malformed one, is null and leaves the rest of the batch alone.
    #[graphql(entity)]
    async fn user_by_id(&self, ctx: &Context<'_>, id: ID) -> Result<Option<User>> {
        let Ok(user_id) = Kind::User.decode(&id) else { return Ok(None) };
        Ok(loaders::account(ctx, user_id).await?.map(User))
    }

    /// Passengers of the viewer's own list only.
    #[graphql(entity)]
    async fn passenger_by_id(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Passenger>> {
        let Ok(passenger_id) = Kind::Passenger.decode(&id) else { return Ok(None) };
        Ok(loaders::passenger(ctx, passenger_id).await?.map(Passenger))
    }
}
