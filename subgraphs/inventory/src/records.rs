//! What user asks when a person wants to see what is kept about them, or to leave.

use async_trait::async_trait;
use berth_contracts::{
    Kind,
    peer::{PeerError, PeerResult, RecordsPeer},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{hold::Hold, holds::Holds, store};

#[async_trait]
impl RecordsPeer for Holds {
    /// Seats that the person holds now. A hold that ended names nobody but by a key, and what came of it is told by booking.
    async fn records(&self, user_id: Uuid) -> PeerResult<Value> {
        let holds = store::hold::list_active_of(self.deps.db.read(), user_id).await.map_err(|error| {
            tracing::error!(error = %error, "inventory.records.failed");
            PeerError::Unavailable("inventory".to_owned())
        })?;
        Ok(json!({ "holds": holds.iter().map(told).collect::<Vec<_>>() }))
    }

    /// A hold ends by itself within two hours: nobody has to be reached for it.
    async fn open_affairs(&self, _person_id: Uuid) -> PeerResult<u32> {
        Ok(0)
    }
}

fn told(hold: &Hold) -> Value {
    json!({
        "id": Kind::Hold.encode(hold.id),
        "createdAt": hold.created_at,
        "expiresAt": hold.expires_at,
        "total": hold.total.to_string(),
        "seats": hold.items.iter().map(|item| item.trip.seat_id(item.spot_no)).collect::<Vec<_>>(),
    })
}
