//! The front door of this process: what the router is told, and the routes beside the graph.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, body::Body};
use berth_kernel::{
    auth::{AUDIENCE, ISSUER},
    ended::EndedSessions,
    random,
    telemetry::Origin,
};
use berth_router::{PublicRoutes, RouterConfig, Subgraph};
use bytes::Bytes;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::{
    config::{Config, Profile},
    ended,
    keys::Keys,
    listeners::reachable,
    observe::Observer,
    remote::Subgraphs,
    role::Service,
    schema::SUPERGRAPH,
    services::Common,
};

/// What the router is told.
pub fn router_config(
    config: &Config,
    common: &Common,
    keys: &Keys,
    ended: &EndedSessions,
    listen: std::net::SocketAddr,
    subgraphs: Vec<Subgraph>,
    secret: String,
) -> RouterConfig {
    RouterConfig {
        listen,
        supergraph_sdl: SUPERGRAPH.to_owned(),
        subgraphs,
        keys: Arc::new({
            let keys = keys.access.clone();
            move |kid| keys.public(kid)
        }),
        jwt_issuer: ISSUER.to_owned(),
        jwt_audience: AUDIENCE.to_owned(),
        now_secs: now_secs(common),
        sessions: ended::at_the_door(ended),
        service_secret: secret,
        document_key: random::bytes(),
        graphiql: config.profile == Profile::Development,
        introspection: true,
        // Looked at before: it is right.
        limits: config.limits().unwrap_or_default(),
        workers: config.workers,
        allowed_origins: config.origins(),
        public_url: config.public_url.clone().unwrap_or_else(|| format!("http://{}", reachable(listen))),
        home_paths: HOME_PATHS.to_vec(),
        trusted_proxies: config.trusted_proxies,
        observer: Arc::new(Observer::begin()),
    }
}

fn now_secs(common: &Common) -> berth_router::NowSecs {
    let clock = common.clock.clone();
    Arc::new(move || u64::try_from(clock.now().timestamp()).unwrap_or(0))
}

/// What only development has: letters with codes, a provider's buttons, the clock. For people at this machine.
const HOME_PATHS: [&str; 3] = ["/graphiql", "/dev", "/sandbox"];

/// Which service answers a public path.
const FORWARDED: [(&str, Service); 6] = [
    ("/webhooks/", Service::Payment),
    ("/payments/", Service::Payment),
    ("/sandbox/", Service::Payment),
    ("/tickets/", Service::Booking),
    ("/me/avatar", Service::User),
    ("/avatars/", Service::User),
];

/// The routes of the app behind the front door: answered here, or by a service of another process.
pub struct Public {
    /// What is answered here.
    pub here: Router,
    /// The other processes, in a fleet.
    pub elsewhere: Option<Subgraphs>,
}

#[async_trait]
impl PublicRoutes for Public {
    async fn call(&self, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let origin = Origin::from_headers(request.headers());
        let forwarded = FORWARDED.iter().find(|(prefix, _)| request.uri().path().starts_with(prefix));
        // The rest of a path is what somebody has typed.
        let span = tracing::info_span!("public.request", http.route = forwarded.map_or("/", |(prefix, _)| prefix));
        if let (Some(elsewhere), Some((_, service))) = (&self.elsewhere, forwarded) {
            return origin.run(span, elsewhere.forward(service.name(), request)).await;
        }
        let answer = origin.run(span, self.here.clone().oneshot(request.map(Body::from))).await;
        let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
        // Every route answers with a body in memory; reading it can't fail.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        http::Response::from_parts(parts, bytes)
    }
}
