//! Stations and operators in the graph.

use std::sync::Arc;

use async_graphql::{ID, Object, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::TimeZone;

use crate::station;

/// A place where trips call: a railway station, a pier, an airport. Platforms belong to their station.
#[derive(Clone)]
pub struct Station(pub Arc<station::Station>);

#[Object]
impl Station {
    /// Opaque id, station_...
    pub async fn id(&self) -> ID {
        Kind::Station.encode(self.0.id).into()
    }

    /// Name as the operator writes it, in its own script and with its accents.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Short public code, such as GMR. Null when the operator has none.
    async fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Degrees north of the equator, WGS 84, from -90 to 90. Null when unknown.
    async fn latitude(&self) -> Option<f64> {
        self.0.latitude
    }

    /// Degrees east of Greenwich, WGS 84, from -180 to 180. Null when unknown.
    async fn longitude(&self) -> Option<f64> {
        self.0.longitude
    }

    /// The zone of the station's clocks. Local times at this station are read in it.
    async fn time_zone(&self) -> TimeZone {
        TimeZone(self.0.time_zone.name().to_owned())
    }
}

/// Who runs a trip: a railway, a shipping line, an airline, a bus company.
#[derive(SimpleObject, Clone)]
pub struct Operator {
    /// Opaque id, operator_...
    pub id: ID,
    /// Name.
    pub name: String,
}

impl From<&station::Operator> for Operator {
    fn from(operator: &station::Operator) -> Self {
        Self { id: Kind::Operator.encode(operator.id).into(), name: operator.name.clone() }
    }
}
