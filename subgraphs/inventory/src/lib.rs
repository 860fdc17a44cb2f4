//! Inventory: stations, trips and seats, and who holds them.
//!
//! * nouns and their pure rules: [`calendar`], [`station`], [`trip`], [`layout`], [`fare`]; [`claim`], [`seat_choice`], [`hold`]
//! * [`timetable`]: the catalogue in memory, indexed; [`catalogue`]: the one in force, replaced after an import
//! * [`trips`]: search and seat maps; [`holds`], [`sales`]: placing and ending holds, selling what is held; [`peer`]: the same for
//!   other services
//! * [`feed`], [`availability`]: who watches a trip sees its seats change; [`jobs`]: background work
//! * [`import`]: feeds into trips; [`demo`]: the timetable in the binary
//! * [`store`]: the database; [`graphql`]: the graph
//!
//! A new kind of feed: a reader that ends in an [`import::draft::Draft`]. A new fact of a trip: a field of
//! [`trip::Template`], a column of `trip_template`, and both ends of `store`.

pub mod audit;
pub mod availability;
pub mod calendar;
pub mod catalogue;
pub mod claim;
pub mod config;
mod counts;
pub mod demo;
pub mod error;
pub mod fare;
pub mod feed;
pub mod graphql;
pub mod hold;
pub mod holds;
pub mod import;
pub mod jobs;
pub mod layout;
pub mod peer;
mod placing;
mod records;
pub mod sales;
pub mod seat_choice;
pub mod station;
pub mod store;
pub mod story;
pub mod timetable;
pub mod trip;
pub mod trips;

use std::{sync::Arc, time::Duration};

use berth_contracts::peer::{InventoryPeer, RecordsPeer};
use berth_kernel::{Deps, bus::Wake, graphql::federation_sdl, server::Prepare};
use sea_orm::DbErr;

pub use config::InventoryConfig;
pub use graphql::InventorySchema;

use availability::Availability;
use catalogue::Catalogue;
use holds::Holds;
use import::{ImportError, Summary};
use trips::Trips;

/// How soon a server sees an import that another process made.
const REFRESH_EVERY: Duration = Duration::from_secs(2);

/// The inventory service.
#[derive(Clone)]
pub struct Inventory {
    deps: Deps,
    catalogue: Catalogue,
    trips: Trips,
    holds: Holds,
    availability: Availability,
    sweep: bool,
}

impl Inventory {
    /// The service over a migrated database; reads the timetable.
    pub async fn new(deps: Deps, config: InventoryConfig) -> Result<Self, DbErr> {
        let catalogue = Catalogue::load(deps.db.clone()).await?;
        let trips = Trips::new(catalogue.clone(), deps.db.clone(), deps.clock.clone());
        let holds = Holds::new(deps.clone(), catalogue.clone(), config.hold);
        let availability = Availability::new(deps.clone(), catalogue.clone());
        Ok(Self { deps, catalogue, trips, holds, availability, sweep: config.sweep })
    }

    /// Imports the demo timetable, or extends it to the next thirty days.
    pub async fn import_demo(&self) -> Result<Summary, ImportError> {
        let summary = demo::import(&self.deps).await?;
        self.catalogue.refresh().await?;
        Ok(summary)
    }

    /// The timetable in force.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Holds, for the services beside this one.
    pub fn peer(&self) -> Arc<dyn InventoryPeer> {
        Arc::new(self.holds.clone())
    }

    /// What user may ask about people.
    pub fn records(&self) -> Arc<dyn RecordsPeer> {
        Arc::new(self.holds.clone())
    }

    /// Holds of seats.
    pub fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Live availability.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// The schema, ready to be executed.
    pub fn schema(&self) -> InventorySchema {
        graphql::builder()
            .data(self.catalogue.clone())
            .data(self.trips.clone())
            .data(self.holds.clone())
            .data(self.availability.clone())
            .finish()
    }

    /// Nothing is loaded per request: the timetable is in memory.
    pub fn prepare(&self) -> Prepare {
        Arc::new(|request, _viewer| request)
    }

    /// The schema as text, fit for composition. Needs no database.
    pub fn sdl() -> String {
        federation_sdl(&graphql::builder().finish())
    }

    /// Starts the background work. Inside a Tokio runtime. The relay and the post are started with [`Deps::start`].
    pub fn start(&self) {
        jobs::start(&self.holds, self.sweep);
    }

    /// Follows the imports of other processes. Inside a Tokio runtime.
    pub fn follow_timetable(&self) {
        let catalogue = self.catalogue.clone();
        let refresh = move || {
            let catalogue = catalogue.clone();
            async move { catalogue.refresh().await.map(|_| ()) }
        };
        self.deps.background.every("refresh-timetable", REFRESH_EVERY, Wake::alone(), refresh);
    }
}
