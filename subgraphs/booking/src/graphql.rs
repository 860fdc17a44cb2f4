//! The booking part of the graph. The only place that knows async-graphql.

mod entity;
mod loaders;
mod mutation;
mod query;
mod subscription;
mod types;

use std::{sync::Arc, time::Duration};

use async_graphql::{Context, Schema, SchemaBuilder, dataloader::DataLoader};
use berth_kernel::{
    documents::CheckOnce,
    graphql::{Page, PageOf, internal, refuse},
    server::Prepare,
};

use crate::{Bookings, error::Error, store::Position};

use loaders::Shelf;
use mutation::Mutation;
use query::Query;
use subscription::Subscription;

/// The schema of the booking service.
pub type BookingSchema = Schema<Query, Mutation, Subscription>;

/// The schema without its service.
pub(crate) fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation, Subscription)
        .register_output_type::<types::UserError>()
        .register_output_type::<types::Node>()
        .override_output_type_description::<PageOf<types::Booking>>("A page of bookings.")
        .override_output_type_description::<PageOf<types::Ticket>>("A page of tickets.")
        .extension(CheckOnce)
        .enable_federation()
        .enable_subscription_in_federation()
}

/// Puts the loaders into a request: they hold the viewer and gather for no time at all.
pub(crate) fn prepare(bookings: Bookings) -> Prepare {
    Arc::new(move |request, viewer| {
        let shelf = Shelf { bookings: bookings.clone(), viewer: viewer.user_id() };
        request.data(DataLoader::new(shelf, tokio::spawn).delay(Duration::ZERO))
    })
}

fn bookings<'a>(ctx: &Context<'a>) -> &'a Bookings {
    ctx.data_unchecked::<Bookings>()
}

fn shelf<'a>(ctx: &Context<'a>) -> &'a DataLoader<Shelf> {
    ctx.data_unchecked::<DataLoader<Shelf>>()
}

/// Our own fault: logged with its causes, masked for the client.
fn fault(error: &Error) -> async_graphql::Error {
    internal(&error.chain())
}

/// The position that `after` names.
fn position(page: &Page) -> async_graphql::Result<Option<Position>> {
    let read =
        |text: &String| Position::parse(text).ok_or_else(|| refuse("INVALID_CURSOR", "after is not a cursor of this list"));
    page.after.as_ref().map(read).transpose()
}
