//! The schema of this service; the only files that speak async-graphql.

mod loaders;
mod mutation;
mod query;
mod result;
mod subscription;
mod types;

use async_graphql::{Context, Result, Schema, SchemaBuilder};
use berth_kernel::{documents::CheckOnce, graphql::PageOf};

pub use loaders::with_loaders;
pub use mutation::Mutation;
pub use query::Query;
pub use subscription::Subscription;

use crate::accounts::Accounts;
use types::{node::Node, refusal::UserError};

/// The schema of the user service.
pub type UserSchema = Schema<Query, Mutation, Subscription>;

/// The schema without its data.
pub fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription)
        .extension(CheckOnce)
        .enable_federation()
        .enable_subscription_in_federation()
        .register_output_type::<UserError>()
        .register_output_type::<Node>()
        .override_output_type_description::<PageOf<types::passenger::Passenger>>("A page of passengers.")
        .override_output_type_description::<PageOf<types::notification::Notification>>("A page of notifications.")
        .override_output_type_description::<PageOf<types::session::UserSession>>("A page of sessions.")
        .override_output_type_description::<PageOf<types::admin::Account>>("A page of accounts.")
        .override_output_type_description::<PageOf<types::audit::AuditEntry>>("A page of the audit log.")
}

fn accounts<'a>(ctx: &Context<'a>) -> Result<&'a Accounts> {
    ctx.data::<Accounts>()
}
