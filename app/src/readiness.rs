//! `/livez` and `/readyz`: whether a process runs, and whether it can do its work.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use berth_kernel::{bus::Bus, db::Db, metrics};
use futures_util::future::join_all;
use sea_orm::DbErr;
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

fn unanswered(name: &'static str, pong: Result<(), DbErr>) -> Option<&'static str> {
    let error = pong.err()?;
    tracing::error!(database = name, error = %error, "readiness.database");
    Some(name)
}

/// Ready when every database answers and nobody has told the process to stop; degraded when the bus does not.
async fn ready(State(health): State<Readiness>) -> Response {
    if health.leaving.is_cancelled() {
        let body = json!({ "status": "unready", "problem": "this process is stopping" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    }
    let pings = health.databases.iter().map(|(name, db)| async move { (*name, db.ping().await) });
    let silent: Vec<&str> = join_all(pings).await.into_iter().filter_map(|(name, pong)| unanswered(name, pong)).collect();
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
