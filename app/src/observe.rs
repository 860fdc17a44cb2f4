//! What the requests at the front door leave in logs, traces and metrics.

use std::time::Instant;

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
};
use berth_kernel::{
    metrics,
    peer::bundle,
    telemetry::{Origin, current_trace_parent},
};
use berth_router::{Asked, Observe};
use futures_util::future::LocalBoxFuture;
use tracing::{Span, field::Empty};

/// Counts what the listener of a role answers; the calls of a bundle are counted by the door, one by one.
pub fn counted(role: &'static str, routes: Router) -> Router {
    metrics::answers_begin(role);
    routes.layer(middleware::from_fn(move |request: Request, next: Next| async move {
        if request.uri().path() == bundle::PATH {
            return next.run(request).await;
        }
        let started = Instant::now();
        let response = next.run(request).await;
        metrics::answered(role, response.status().as_u16(), started.elapsed());
        response
    }))
}

/// Watches the front door.
pub struct Observer(());

impl Observer {
    /// With every count at zero.
    pub fn begin() -> Self {
        metrics::answers_begin(ROUTER);
        Self(())
    }
}

const ROUTER: &str = "router";

impl Observe for Observer {
    fn observe<'a>(&self, asked: Asked, answer: LocalBoxFuture<'a, u16>) -> LocalBoxFuture<'a, ()> {
        let origin = Origin::new(Some(&asked.request_id), asked.trace_parent.as_deref());
        if asked.kind == "health" {
            return Box::pin(origin.keep(async move {
                let _status = answer.await;
            }));
        }
        let span = tracing::info_span!(
            "router.request",
            otel.kind = "server",
            request.id = asked.request_id,
            request.kind = asked.kind,
            http.response.status_code = Empty
        );
        Box::pin(origin.run(span, async move {
            let started = Instant::now();
            let status = answer.await;
            Span::current().record("http.response.status_code", status);
            metrics::answered(ROUTER, status, started.elapsed());
        }))
    }

    fn trace_parent(&self) -> Option<String> {
        current_trace_parent()
    }

    fn refused(&self, code: &str) {
        metrics::told(code);
    }
}
