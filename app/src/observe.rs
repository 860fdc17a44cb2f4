//! What the requests at the front door leave in logs, traces and metrics.

use std::time::Instant;

use berth_kernel::{
    metrics,
    telemetry::{Origin, current_trace_parent},
};
use berth_router::{Asked, Observe};
use futures_util::future::LocalBoxFuture;
use tracing::{Span, field::Empty};

/// Watches the front door.
pub struct Observer;

impl Observe for Observer {
    fn observe<'a>(&self, asked: Asked, answer: LocalBoxFuture<'a, u16>) -> LocalBoxFuture<'a, ()> {
        let origin = Origin::new(Some(&asked.request_id), asked.trace_parent.as_deref());
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
            metrics::answered("router", status, started.elapsed());
        }))
    }

    fn trace_parent(&self) -> Option<String> {
        current_trace_parent()
    }
}
