//! `/livez` and `/readyz`: whether a process runs, and whether it can do its work.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use berth_kernel::{bus::Bus, db::Db, metrics, peer::Standing};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// What readiness looks at.
#[derive(Clone)]
pub struct Readiness {
    /// The databases without which nothing works, by name; they were migrated before the process began to listen.
    pub databases: Arc<[(&'static str, Db)]>,
    /// Without it everything is slower.
    pub bus: Bus,
    /// Whether the other processes know this one, and whether its clock is right.
    pub standing: Standing,
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

/// Ready when every database answers and takes writes, the other processes know this one, its clock is right, and nobody has told it
/// to stop; degraded when the bus does not answer.
async fn ready(State(health): State<Readiness>) -> Response {
    if health.leaving.is_cancelled() {
        let body = json!({ "status": "unready", "problem": "this process is stopping" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    if let Some(problem) = health.standing.problem() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unready", "problem": problem }))).into_response();
    }
    for (name, db) in health.databases.iter() {
        if let Some(problem) = problem_of(name, db).await {
            let body = json!({ "status": "unready", "problem": problem, "database": name });
            return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
        }
    }
    if health.bus.is_healthy() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    Json(json!({ "status": "degraded", "problem": "Redis does not answer: everything goes on, more slowly" })).into_response()
}

async fn problem_of(name: &str, db: &Db) -> Option<String> {
    if let Err(error) = db.ping().await {
        tracing::error!(database = name, error = %error, "readiness.database");
        return Some(format!("the database of {name} does not answer"));
    }
    db.problem().map(|problem| format!("the database of {name} takes no writes: {problem}"))
}
