//! Queries of the catalogue. Public: nobody needs to be signed in.

use async_graphql::{
    Context, ID, Object, Result,
    connection::{Connection, EmptyFields},
};
use berth_contracts::{Kind, id::TripKey};
use berth_kernel::graphql::{Total, connection, page};

use super::{
    refused,
    types::{
        search::{SearchTripsInput, TripOption},
        station::Station,
        trip::Trip,
    },
};
use crate::{
    catalogue::Catalogue,
    error::Error,
    trips::{Search, Trips},
};

type StationConnection = Connection<String, Station, Total, EmptyFields>;
type TripOptionConnection = Connection<String, TripOption, Total, EmptyFields>;

/// Queries of the catalogue.
#[derive(Default)]
pub struct CatalogueQuery;

#[Object]
impl CatalogueQuery {
    /// Stations, by name; with a search, the best fit first. Fails with `PAGE_TOO_LARGE` and `INVALID_CURSOR`.
    async fn stations(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Begin of a name, of a word of it, or of a code; case and accents do not matter. Absent: all stations."
        )]
        search: Option<String>,
        #[graphql(default_with = "Some(20)", desc = "How many, from 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<StationConnection> {
        let page = page(first, after)?;
        let timetable = ctx.data::<Catalogue>()?.now();
        let found = timetable.find_stations(search.as_deref().unwrap_or_default());
        let skipped = match &page.after {
            None => 0,
            Some(after) => {
                let id = Kind::Station.decode(after).map_err(|_| refused(Error::InvalidCursor))?;
                found.iter().position(|station| station.id == id).map_or(found.len(), |at| at + 1)
            }
        };
        let rows = found.iter().skip(skipped).take(page.first + 1);
        let rows = rows.map(|station| (Kind::Station.encode(station.id), Station((*station).clone()))).collect();
        Ok(connection(&page, rows, i32::try_from(found.len()).ok()))
    }

    /// Trips of a service date that can be boarded at one station and left at another, by departure, with the seats
    /// that are free on the whole way. Trips that have departed are left out. Fails with `INVALID_ID`, `UNKNOWN_STATION`,
    /// `SAME_STATION`, `DATE_OUTSIDE_TIMETABLE`, `INVALID_PASSENGER_COUNT`, `PAGE_TOO_LARGE` or `INVALID_CURSOR`.
    async fn search_trips(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to look for.")] input: SearchTripsInput,
        #[graphql(default_with = "Some(20)", desc = "How many, from 1 to 100.")] first: Option<i32>,
        #[graphql(desc = "Cursor of the last item of the page before.")] after: Option<String>,
    ) -> Result<TripOptionConnection> {
        let page = page(first, after)?;
        let search = read_search(&input).map_err(refused)?;
        let trips = ctx.data::<Trips>()?;
        let found = trips.search(search, page.first, page.after.as_deref()).await.map_err(refused)?;
        let rows = found.options.into_iter().map(|(position, option)| (position, TripOption(option))).collect();
        Ok(connection(&page, rows, i32::try_from(found.total).ok()))
    }

    /// A trip by id. Null when there is none, also when it does not run on that date. Fails with `INVALID_ID` when the id is malformed.
    async fn trip(&self, ctx: &Context<'_>, #[graphql(desc = "Id of the trip, trip_...")] id: ID) -> Result<Option<Trip>> {
        let key = TripKey::decode(&id).map_err(|_| refused(Error::InvalidId("id")))?;
        Ok(ctx.data::<Trips>()?.find(key).map(Trip))
    }
}

fn read_search(input: &SearchTripsInput) -> Result<Search, Error> {
    let station = |name, id: &ID| Kind::Station.decode(id).map_err(|_| Error::InvalidId(name));
    Ok(Search {
        from: station("fromStationId", &input.from_station_id)?,
        to: station("toStationId", &input.to_station_id)?,
        date: input.date.0,
        passengers: input.passengers.unwrap_or(1),
        mode: input.mode.map(Into::into),
    })
}
