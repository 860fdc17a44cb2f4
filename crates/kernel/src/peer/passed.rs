//! What travels along with a request from service to service.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use berth_contracts::Locale;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::telemetry::Origin;

/// Milliseconds that the caller still waits.
const TIMEOUT_MS: HeaderName = HeaderName::from_static("x-berth-timeout-ms");
/// Network address of the client, as the router saw it.
const CLIENT: HeaderName = HeaderName::from_static("x-berth-client");

tokio::task_local! {
    static PASSED: Passed;
}

/// What the request in hand passes on to the peers it asks, beside its [`Origin`]. Known inside [`Passed::scope`].
#[derive(Debug, Clone, Default)]
pub struct Passed {
    origin: Origin,
    authorization: Option<HeaderValue>,
    client: Option<HeaderValue>,
    language: Option<HeaderValue>,
    deadline: Option<Instant>,
}

impl Passed {
    /// What a request with these headers passes on: nothing else of them travels.
    pub fn of(headers: &HeaderMap) -> Self {
        let left = headers.get(TIMEOUT_MS).and_then(|ms| ms.to_str().ok()?.parse().ok());
        Self {
            origin: Origin::from_headers(headers),
            authorization: headers.get(header::AUTHORIZATION).cloned(),
            client: headers.get(CLIENT).cloned(),
            language: headers.get(header::ACCEPT_LANGUAGE).cloned(),
            deadline: left.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
        }
    }

    /// The same with the `Authorization` that a WebSocket brought in its first message.
    #[must_use]
    pub fn with_authorization(mut self, authorization: Option<&str>) -> Self {
        self.authorization = authorization.and_then(|text| HeaderValue::from_str(text).ok()).or(self.authorization);
        self
    }

    /// The same, caused by another request.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// What the task in hand has; nothing outside of a request.
    pub fn current() -> Self {
        let passed = PASSED.try_with(Clone::clone).unwrap_or_default();
        passed.with_origin(Origin::current())
    }

    /// The network address of the client that asks, as the router saw it. Only the router and peers get in, so no client can
    /// write it.
    pub fn client(&self) -> Option<&str> {
        self.client.as_ref()?.to_str().ok()
    }

    /// The language of ours that the client likes best, if it says so.
    pub fn locale(&self) -> Option<Locale> {
        Locale::liked(self.language.as_ref()?.to_str().ok()?)
    }

    /// Runs a future with this in hand, in a span that was not entered yet.
    pub fn scope<F: Future>(self, span: tracing::Span, work: F) -> impl Future<Output = F::Output> {
        self.origin.clone().run(span, PASSED.scope(self, work))
    }

    /// Polls a stream with this in hand.
    pub fn scope_stream<S: Stream + Unpin>(self, mut stream: S) -> impl Stream<Item = S::Item> {
        stream::poll_fn(move |context| PASSED.sync_scope(self.clone(), || stream.poll_next_unpin(context)))
    }

    /// When an answer is of no use any more, for a call that may take `limit`.
    pub fn deadline(&self, limit: Duration) -> Instant {
        let own = Instant::now() + limit;
        self.deadline.map_or(own, |deadline| deadline.min(own))
    }

    /// The headers of a call to a peer: the one place that lists what is passed on.
    pub fn headers(&self, deadline: Instant) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(8);
        self.origin.write_to(&mut headers);
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Some(client) = &self.client {
            headers.insert(CLIENT, client.clone());
        }
        if let Some(language) = &self.language {
            headers.insert(header::ACCEPT_LANGUAGE, language.clone());
        }
        let left = deadline.saturating_duration_since(Instant::now()).as_millis();
        headers.insert(TIMEOUT_MS, HeaderValue::from(u64::try_from(left).unwrap_or(u64::MAX)));
        headers
    }
}
