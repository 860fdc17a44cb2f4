//! The graph of inventory. The only files that speak async-graphql.

pub mod entity;
pub mod holds;
pub mod mutation;
pub mod query;
pub mod subscription;
pub mod types;

use async_graphql::{MergedObject, Schema, SchemaBuilder};
use berth_kernel::{
    documents::CheckOnce,
    graphql::{PageOf, internal, refuse},
};

pub use mutation::Mutation;
pub use subscription::Subscription;

use crate::error::Error;

/// Everything that can be asked of inventory.
#[derive(MergedObject, Default)]
pub struct Query(query::CatalogueQuery, holds::HoldQuery, entity::CatalogueEntities, holds::HoldEntities);

/// The schema of inventory.
pub type InventorySchema = Schema<Query, Mutation, Subscription>;

/// The schema without its data.
pub fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation, Subscription)
        .extension(CheckOnce)
        .enable_federation()
        .enable_subscription_in_federation()
        .register_output_type::<types::node::Node>()
        .register_output_type::<types::refusal::UserError>()
        .override_output_type_description::<PageOf<types::station::Station>>("A page of stations.")
        .override_output_type_description::<PageOf<types::search::TripOption>>("A page of trips that go where you want to go.")
}

/// A refusal or a fault as an error of the graph.
pub fn refused(error: Error) -> async_graphql::Error {
    match error {
        Error::Database(error) => internal(&error),
        refusal => refuse(refusal.code(), refusal.to_string()),
    }
}
