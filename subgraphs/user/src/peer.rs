//! What this service does for the others.

use async_trait::async_trait;
use berth_contracts::peer::{EndedSession, PassengerCopy, PeerError, PeerResult, UserPeer};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{accounts::Accounts, passenger::Passenger};

/// This service as booking sees it.
pub struct Peer(pub Accounts);

#[async_trait]
impl UserPeer for Peer {
    async fn passengers(&self, user_id: Uuid, passenger_ids: Vec<Uuid>) -> PeerResult<Vec<PassengerCopy>> {
        let found = self.0.passengers_asked(user_id, &passenger_ids).await;
        let found = found.map_err(|error| PeerError::Unavailable(error.to_string()))?;
        Ok(found.into_iter().map(copy).collect())
    }

    async fn sessions_ended(&self, since: DateTime<Utc>) -> PeerResult<Vec<EndedSession>> {
        self.0.sessions_ended(since).await.map_err(|error| PeerError::Unavailable(error.to_string()))
    }
}

fn copy(passenger: Passenger) -> PassengerCopy {
    PassengerCopy {
        passenger_id: passenger.id,
        full_name: passenger.full_name,
        id_type: passenger.id_type.word().to_owned(),
        id_number: passenger.id_number.as_str().to_owned(),
        birth_date: passenger.birth_date,
    }
}
