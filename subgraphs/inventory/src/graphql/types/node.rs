//! What has an id.

use async_graphql::{ID, Interface};

use super::{hold::Hold, station::Station, trip::Trip};

/// Something with an id that is unique in the whole graph.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Opaque, unique in the whole graph: trip_... Compare it, never read it."))]
pub enum Node {
    /// A trip.
    Trip(Trip),
    /// A station.
    Station(Station),
    /// A hold.
    Hold(Hold),
}
