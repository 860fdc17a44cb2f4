//! The subgraph: the only place that knows async-graphql.

mod entity;
mod loaders;
mod mutation;
mod query;
mod refusals;
mod subscription;
mod types;

use std::{sync::Arc, time::Duration};

use async_graphql::{Schema, SchemaBuilder, dataloader::DataLoader};
use berth_kernel::{documents::CheckOnce, server::Prepare};

use crate::Payments;

/// The subgraph's schema.
pub type PaymentSchema = Schema<query::Query, mutation::Mutation, subscription::Subscription>;

/// The schema without its service, enough for the SDL.
pub fn schema() -> SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription> {
    Schema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .extension(CheckOnce)
        .enable_federation()
        .enable_subscription_in_federation()
        .register_output_type::<refusals::UserError>()
        .register_output_type::<types::Node>()
}

/// Loaders live as long as one request and see what its viewer may see.
pub fn prepare(payments: Payments) -> Prepare {
    Arc::new(move |request, viewer| {
        let loader = loaders::Owned { payments: payments.clone(), user_id: viewer.user_id() };
        request.data(DataLoader::new(loader, tokio::spawn).delay(Duration::ZERO))
    })
}
