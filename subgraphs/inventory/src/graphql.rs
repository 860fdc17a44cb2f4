//! The graph of inventory. The only files that speak async-graphql.

pub mod entity;
pub mod query;
pub mod types;

use async_graphql::{EmptyMutation, EmptySubscription, MergedObject, Schema, SchemaBuilder};
use berth_kernel::graphql::{internal, refuse};

use crate::error::Error;

/// Everything that can be asked of inventory.
#[derive(MergedObject, Default)]
pub struct Query(query::CatalogueQuery, entity::CatalogueEntities);

/// The schema without its data.
pub fn builder() -> SchemaBuilder<Query, EmptyMutation, EmptySubscription> {
    Schema::build(Query::default(), EmptyMutation, EmptySubscription)
        .enable_federation()
        .enable_subscription_in_federation()
        .register_output_type::<types::node::Node>()
}

/// A refusal or a fault as an error of the graph.
pub fn refused(error: Error) -> async_graphql::Error {
    match error {
        Error::Database(error) => internal(&error),
        refusal => refuse(refusal.code(), refusal.to_string()),
    }
}
