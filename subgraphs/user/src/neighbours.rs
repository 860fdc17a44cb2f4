//! The other services, as far as they keep something about people.

use std::sync::Arc;

use berth_contracts::peer::{PeerError, RecordsPeer};

use crate::accounts::Accounts;

/// The services that keep something about people.
pub struct Neighbours {
    /// Bookings and tickets.
    pub booking: Arc<dyn RecordsPeer>,
    /// Holds.
    pub inventory: Arc<dyn RecordsPeer>,
    /// Payments.
    pub payment: Arc<dyn RecordsPeer>,
}

impl Neighbours {
    /// Each with its name.
    pub(crate) fn all(&self) -> [(&'static str, &dyn RecordsPeer); 3] {
        [("booking", &*self.booking), ("inventory", &*self.inventory), ("payment", &*self.payment)]
    }
}

impl Accounts {
    /// Introduces the other services. Only the first call counts.
    pub(crate) fn set_neighbours(&self, neighbours: Neighbours) {
        if self.neighbours.set(neighbours).is_err() {
            tracing::error!("user.neighbours.introduced_twice");
        }
    }

    pub(crate) fn neighbours(&self) -> Result<&Neighbours, PeerError> {
        self.neighbours.get().ok_or_else(|| PeerError::Unavailable("the other services are not wired yet".to_owned()))
    }
}
