//! `/livez` and `/readyz`: whether a process runs, and whether it can do its work.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use berth_kernel::{bus::Bus, db::Db, metrics, telemetry::ONCE_A_SECOND};
use futures_util::future::join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// What readiness looks at.
#[derive(Clone)]
pub struct Readiness {
    /// The databases without which nothing works, by name; they were migrated before the process began to listen.
    pub databases: Arc<[(&'static str, Db)]>,
    /// Without it everything is slower.
    pub bus: Bus,
    /// Cancelled when the process was told to stop: whoever balances shall go elsewhere.
    pub leaving: CancellationToken,
}

impl Readiness {
    /// `/livez`, `/readyz`, `/metrics`, and the same under the names of the front door: `/health`, `/readiness`.
    pub fn routes(self) -> Router {
        Router::new()
            .route("/livez", get(alive))
            .route("/health", get(alive))
            .route("/readyz", get(ready))
            .route("/readiness", get(ready))
            .route("/metrics", get(|| async { ([("content-type", "text/plain; version=0.0.4")], metrics::text()) }))
            .with_state(self)
    }
}

async fn alive() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// The databases that do not answer. Anybody may ask for readiness, so it is told once a second.
async fn silent(databases: &[(&'static str, Db)]) -> Vec<&'static str> {
    let pings = databases.iter().map(|(name, db)| async move { (*name, db.ping().await.err()) });
    let failed: Vec<_> = join_all(pings).await.into_iter().filter_map(|(name, error)| Some((name, error?))).collect();
    let names: Vec<&str> = failed.iter().map(|(name, _)| *name).collect();
    if let Some((_, error)) = failed.first() {
        tracing::error!(name: ONCE_A_SECOND, databases = names.join(" "), error = %error, "readiness.database");
    }
    names
}

/// Ready when every database answers and nobody has told the process to stop; degraded when the bus does not.
async fn ready(State(health): State<Readiness>) -> Response {
    if health.leaving.is_cancelled() {
        let body = json!({ "status": "unready", "problem": "this process is stopping" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    let silent = silent(&health.databases).await;
    if !silent.is_empty() {
        let problem = format!("the database of {} does not answer", silent.join(", "));
        let body = json!({ "status": "unready", "problem": problem, "database": silent[0], "databases": silent });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    if health.bus.is_healthy() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    Json(json!({ "status": "degraded", "problem": "Redis does not answer: everything goes on, more slowly" })).into_response()
}
