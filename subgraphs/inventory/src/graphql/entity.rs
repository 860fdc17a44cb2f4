//! Entities that other subgraphs refer to. Everything is in memory, so nothing needs batching; an id that names nothing
//! gives null, never an error, because an error would take the whole batch with it.

use async_graphql::{Context, ID, Object};
use berth_contracts::{Kind, id::TripKey};

use super::types::{
    station::Station,
    trip::{Trip, TripStop},
};
use crate::catalogue::Catalogue;

/// Entity resolvers of the catalogue.
#[derive(Default)]
pub struct CatalogueEntities;

#[Object]
impl CatalogueEntities {
    #[graphql(entity)]
    async fn station_by_id(&self, ctx: &Context<'_>, id: ID) -> Option<Station> {
        find_station(ctx, &id)
    }

    #[graphql(entity)]
    async fn trip_by_id(&self, ctx: &Context<'_>, id: ID) -> Option<Trip> {
        find_trip(ctx, &id)
    }

    #[graphql(entity)]
    async fn trip_stop_by_id(&self, ctx: &Context<'_>, id: ID) -> Option<TripStop> {
        let (key, index) = TripKey::decode_stop(&id).ok()?;
        let trip = ctx.data_opt::<Catalogue>()?.now().trip(key)?;
        trip.call(index)?;
        Some(TripStop { trip, index })
    }
}

/// The station of an id.
pub fn find_station(ctx: &Context<'_>, id: &str) -> Option<Station> {
    let key = Kind::Station.decode(id).ok()?;
    ctx.data_opt::<Catalogue>()?.now().station(key).cloned().map(Station)
}

/// The trip of an id.
pub fn find_trip(ctx: &Context<'_>, id: &str) -> Option<Trip> {
    ctx.data_opt::<Catalogue>()?.now().trip(TripKey::decode(id).ok()?).map(Trip)
}
