//! The answering end: `POST /peer/{method}`. What a peer says, refusals included, is a `PeerResult` in JSON with status
//! 200; any other status means that nothing was asked.

use std::{future::Future, panic::AssertUnwindSafe};

use axum::{
    Json,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use berth_contracts::peer::{PeerError, PeerResult};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::Passed;
pub use super::calls::{booking, inventory, payment, records, user};
use crate::{
    auth::{TokenError, TokenVerifier, Viewer},
    server::{authorization, credential, forbidden, refusal},
    service::ServiceVerifier,
};

/// Who may ask peers: every caller but the front door.
const CALLERS: [&str; 5] = ["user", "inventory", "booking", "payment", "worker"];
/// The one thing that the front door asks as well: whose tokens it must refuse.
const OF_ROUTER: &str = "sessions_ended";
const WITH_ROUTER: [&str; 6] = ["router", "user", "inventory", "booking", "payment", "worker"];

/// Checks who asks.
#[derive(Clone)]
pub struct Desk {
    services: ServiceVerifier,
    tokens: TokenVerifier,
}

/// The person that the arguments of a method name.
#[derive(Deserialize)]
struct Named {
    user_id: Option<Uuid>,
}

impl Desk {
    /// A desk that knows services by `services` and people by `tokens`.
    pub fn new(services: ServiceVerifier, tokens: TokenVerifier) -> Self {
        Self { services, tokens }
    }

    fn viewer(&self, method: &str, headers: &HeaderMap) -> Result<Viewer, Box<Response>> {
        let allowed: &[&str] = if method == OF_ROUTER { &WITH_ROUTER } else { &CALLERS };
        self.services.admit(credential(headers), allowed).map_err(|error| Box::new(forbidden(error)))?;
        let unauthorized = |error: TokenError| Box::new(refusal(StatusCode::UNAUTHORIZED, error.code(), &error.to_string()));
        self.tokens.viewer(authorization(headers)).map_err(unauthorized)
    }

    pub(super) async fn answer<A, T, F>(
        self,
        method: &'static str,
        headers: HeaderMap,
        body: Bytes,
        ask: impl FnOnce(A) -> F + Send,
    ) -> Response
    where
        A: DeserializeOwned,
        T: Serialize,
        F: Future<Output = PeerResult<T>> + Send,
    {
        let viewer = match self.viewer(method, &headers) {
            Ok(viewer) => viewer,
            Err(refused) => return *refused,
        };
        let (Ok(named), Ok(asked)) = (serde_json::from_slice::<Named>(&body), serde_json::from_slice::<A>(&body)) else {
            return refusal(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body has not the arguments of this method");
        };
        if viewer.user_id().zip(named.user_id).is_some_and(|(viewer, named)| viewer != named) {
            return Json(PeerResult::<T>::Err(PeerError::NotFound)).into_response();
        }
        let span = tracing::info_span!("peer.request", otel.kind = "server", peer.method = method);
        let answered = AssertUnwindSafe(Passed::of(&headers).scope(span, ask(asked))).catch_unwind().await;
        let panicked = |_| {
            tracing::error!(peer.method = method, "peer.panic");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "SERVICE_UNAVAILABLE", "the service can't answer now")
        };
        // That this process is locked out elsewhere is nothing that its caller could repair.
        let outward = |error| match error {
            PeerError::LockedOut(service) => PeerError::Unavailable(service),
            other => other,
        };
        answered.map_or_else(panicked, |answer| Json(answer.map_err(outward)).into_response())
    }
}
