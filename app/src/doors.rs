//! The subgraphs of this process, each behind its door.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use berth_kernel::{
    auth::TokenVerifier,
    clock::Clock,
    metrics::{self, PeerCall},
    peer::{
        Standing,
        server::{self as desk, Desk},
        standing,
    },
    server::{Door, behind_router},
    service::ServiceVerifier,
};
use berth_payment::Sandbox;
use berth_router::{Subgraph, SubgraphCall};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Transport},
    role::Service,
    services::Services,
};

/// The doors of a process that does everything: its router holds the one secret that opens them.
pub struct Doors(Vec<(Service, Arc<dyn SubgraphCall>, Router)>);

impl Doors {
    /// A door for each service.
    pub fn new(services: &Services, verifier: &TokenVerifier, secret: &str) -> Self {
        let mut doors: Vec<(Service, Arc<dyn SubgraphCall>, Router)> = Vec::with_capacity(Service::ALL.len());
        macro_rules! open_door {
            ($service:expr, $part:expr) => {
                if let Some(part) = &$part {
                    let door = Door::new(part.schema(), part.prepare(), verifier.clone(), secret);
                    metrics::calls_begin($service.name());
                    doors.push(($service, Arc::new(Inside($service, door.clone())), door.routes()));
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
        let subgraph = |(service, inside, _): &(Service, Arc<dyn SubgraphCall>, Router)| Subgraph {
            name: service.name().to_owned(),
            url: format!("{loopback_url}/{}/graphql", service.name()),
            executor: in_process.then(|| inside.clone()),
        };
        self.0.iter().map(subgraph).collect()
    }
}

/// A door used from the same process.
struct Inside<E>(Service, Door<E>);

#[async_trait]
impl<E: async_graphql::Executor> SubgraphCall for Inside<E> {
    async fn execute(&self, headers: http::HeaderMap, body: Bytes) -> Bytes {
        let counted = PeerCall::to(self.0.name());
        let answer = self.1.answer(&headers, &body).await;
        counted.ended("ok");
        answer.into()
    }
}

/// How a service of a fleet tells who asks.
pub struct Guards<'a> {
    /// Where the public halves of service keys are.
    pub config: &'a Config,
    /// Checks the tokens of people.
    pub tokens: TokenVerifier,
    /// The machine's clock: credentials are not about the timetable.
    pub clock: Clock,
    /// How the other processes receive this one.
    pub standing: Standing,
    /// Ends live streams.
    pub stop: CancellationToken,
}

impl Guards<'_> {
    /// All that a service of a fleet answers: its graph, its peers' calls, what the router forwards of its public routes.
    pub fn routes(&self, service: Service, services: &Services, sandbox: Option<&Sandbox>) -> Router {
        let folder = self.config.key_file("");
        let known = ServiceVerifier::watched(&folder, service.name(), self.clock.clone(), self.standing.clone());
        let desk = Desk::new(known.clone(), self.tokens.clone());
        macro_rules! door {
            ($part:expr, $routes:path, $public:expr) => {
                $part.as_ref().map_or_else(Router::new, |part| {
                    Door::guarded(part.schema(), part.prepare(), self.tokens.clone(), known.clone(), self.stop.clone())
                        .routes()
                        .merge($routes(part.peer(), desk))
                        .nest("/public", behind_router($public(part), known.clone()))
                })
            };
        }
        let records = match service {
            Service::User => None,
            Service::Inventory => services.inventory.as_ref().map(berth_inventory::Inventory::records),
            Service::Booking => services.booking.as_ref().map(berth_booking::Bookings::records),
            Service::Payment => services.payment.as_ref().map(berth_payment::Payments::records),
        };
        let records = records.map_or_else(Router::new, |peer| desk::records(peer, desk.clone()));
        let routes = match service {
            Service::User => {
                door!(services.user, desk::user, |part: &berth_user::User| part.public_routes(self.tokens.clone()))
            }
            Service::Inventory => door!(services.inventory, desk::inventory, |_| Router::new()),
            Service::Booking => door!(services.booking, desk::booking, |part: &berth_booking::Bookings| part.public_routes()),
            Service::Payment => {
                let public = |part: &berth_payment::Payments| match sandbox {
                    Some(sandbox) => part.public_routes().merge(sandbox.public_routes()),
                    None => part.public_routes(),
                };
                let routes = door!(services.payment, desk::payment, public);
                sandbox.iter().fold(routes, |all, sandbox| all.nest("/provider", sandbox.provider_routes()))
            }
        };
        routes.merge(records).merge(standing::routes(known))
    }
}
