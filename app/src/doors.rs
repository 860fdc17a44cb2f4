//! The subgraphs of this process, each behind its door.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use berth_kernel::{auth::TokenVerifier, server::Door};
use berth_router::{InProcess, Subgraph};
use bytes::Bytes;

use crate::{
    config::{Config, Transport},
    role::Service,
    services::Services,
};

/// The doors of a process.
pub struct Doors(Vec<(Service, Arc<dyn InProcess>, Router)>);

impl Doors {
    /// A door for each of these services.
    pub fn new(services: &Services, wanted: &[Service], verifier: &TokenVerifier, secret: &str) -> Self {
        let mut doors: Vec<(Service, Arc<dyn InProcess>, Router)> = Vec::with_capacity(wanted.len());
        macro_rules! open_door {
            ($service:expr, $part:expr) => {
                if let Some(part) = $part.as_ref().filter(|_| wanted.contains(&$service)) {
                    let door = Door::new(part.schema(), part.prepare(), verifier.clone(), secret);
                    doors.push(($service, Arc::new(Inside(door.clone())), door.routes()));
                }
            };
        }
        open_door!(Service::User, services.user);
        open_door!(Service::Inventory, services.inventory);
        open_door!(Service::Booking, services.booking);
        open_door!(Service::Payment, services.payment);
        Self(doors)
    }

    /// All of them under one roof: `/user/graphql` and so on.
    pub fn routes(&self) -> Router {
        self.0.iter().fold(Router::new(), |all, (service, _, routes)| all.nest(&format!("/{}", service.name()), routes.clone()))
    }

    /// The subgraphs as the router of the same process sees them.
    pub fn subgraphs(&self, config: &Config, loopback_url: &str) -> Vec<Subgraph> {
        let in_process = config.subgraph_transport == Transport::InProcess;
        let subgraph = |(service, inside, _): &(Service, Arc<dyn InProcess>, Router)| Subgraph {
            name: service.name().to_owned(),
            url: format!("{loopback_url}/{}/graphql", service.name()),
            executor: in_process.then(|| inside.clone()),
        };
        self.0.iter().map(subgraph).collect()
    }
}

/// A door used from the same process.
struct Inside<E>(Door<E>);

#[async_trait]
impl<E: async_graphql::Executor> InProcess for Inside<E> {
    async fn execute(&self, headers: http::HeaderMap, body: Bytes) -> Bytes {
        let authorization = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.0.execute(authorization, &body).await.into()
    }
}
