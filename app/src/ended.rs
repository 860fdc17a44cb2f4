//! Which sessions were ended, as this process knows it: its services and its front door refuse their tokens.

use std::sync::Arc;

use async_trait::async_trait;
use berth_kernel::ended::{self, EndedSessions};
use berth_router::Sessions;
use uuid::Uuid;

use crate::services::{Common, Peers, Services};

/// What this process knows from now on. Where the user service is here, that one tells at once; everybody reads.
pub async fn follow(services: &Services, common: &Common, peers: &Peers<'_>) -> anyhow::Result<EndedSessions> {
    let user = services.user.as_ref();
    let known = user.map_or_else(|| EndedSessions::new(common.clock.clone()), berth_user::User::ended_sessions);
    known.follow(peers.user(user)?, common.bus.wake(ended::WORK), &common.background).await;
    Ok(known)
}

/// The same as the front door asks.
struct AtTheDoor(EndedSessions);

#[async_trait]
impl Sessions for AtTheDoor {
    fn has_ended(&self, session: &str) -> bool {
        Uuid::try_parse(session).is_ok_and(|session| self.0.contains(session))
    }

    async fn ended(&self, session: &str) {
        match Uuid::try_parse(session) {
            Ok(session) => self.0.ended(session).await,
            Err(_) => std::future::pending().await,
        }
    }
}

/// For the configuration of the front door.
pub fn at_the_door(known: &EndedSessions) -> Arc<dyn Sessions> {
    Arc::new(AtTheDoor(known.clone()))
}
