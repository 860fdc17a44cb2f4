//! The calling end: a peer in another process.

use std::time::Duration;

use berth_contracts::peer::{PeerError, PeerResult};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

use super::{Call, Failure, Line, Passed, Repeat};
use crate::{metrics::PeerCall, service::ServiceSigner};

/// How long a call may take, all tries together, unless the request it serves ends earlier.
pub const CALL_LIMIT: Duration = Duration::from_secs(3);

/// A service in another process. It implements every peer trait; ask it only what its service does.
#[derive(Clone)]
pub struct Remote {
    line: Line,
    limit: Duration,
}

impl Remote {
    /// A service by its name, at these base URLs.
    pub fn new(signer: ServiceSigner, service: &str, urls: &[String]) -> Result<Self, reqwest::Error> {
        Ok(Self { line: Line::new(signer, service, urls)?, limit: CALL_LIMIT })
    }

    /// The same with another limit for a call.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub(super) async fn call<A: Serialize + Sync, T: DeserializeOwned>(&self, method: &str, arguments: &A) -> PeerResult<T> {
        let service = self.line.replicas().service();
        let counted = PeerCall::to(service);
        let span = tracing::info_span!("peer.call", otel.kind = "client", peer.service = service, peer.method = method);
        let (answer, outcome) = match self.ask(method, arguments).instrument(span).await {
            Ok(Ok(answer)) => (Ok(answer), "ok"),
            Ok(Err(refused)) => (Err(refused), "refused"),
            Err((outcome, reason)) => {
                tracing::warn!(peer.service = service, peer.method = method, reason, "peer.call.failed");
                let error = if outcome == Failure::LockedOut.outcome() {
                    PeerError::LockedOut(service.to_owned())
                } else {
                    PeerError::Unavailable(format!("{service}: {reason}"))
                };
                (Err(error), outcome)
            }
        };
        counted.ended(outcome);
        answer
    }

    /// What the peer said; or what the call came to instead, for the metrics and for the log.
    async fn ask<A: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: &str,
        arguments: &A,
    ) -> Result<PeerResult<T>, (&'static str, String)> {
        let failed = |error: serde_json::Error| ("failed", error.to_string());
        let body = Bytes::from(serde_json::to_vec(arguments).map_err(failed)?);
        let passed = Passed::current();
        let deadline = passed.deadline(self.limit);
        let mut headers = passed.headers(deadline);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let path = format!("/peer/{method}");
        // Every peer method is idempotent by contract.
        let call = Call { method: Method::POST, path: &path, headers, body, repeat: Repeat::Safe, deadline };
        let answer = self.line.send(call).await.map_err(|failure| (failure.outcome(), failure.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(("failed", format!("status {}", answer.status().as_u16())));
        }
        serde_json::from_slice(answer.body()).map_err(failed)
    }
}
