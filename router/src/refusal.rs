//! Answers that the front door gives by itself: always a GraphQL error with a code.

use std::time::Duration;

use http::StatusCode;
use ntex::http::{Response, header};

/// The service goes away for a moment: subscribe again.
pub(crate) const RESTARTING: &str = "SERVICE_RESTARTING";
pub(crate) const RESTARTING_TEXT: &str = "The service is restarting. Subscribe again.";

/// The code of a refusal, in the extensions of the answer that tells it.
pub(crate) struct Told(pub &'static str);

/// A request that goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// HTTP status, unless the answer is about the document and the client reads plain JSON.
    pub status: StatusCode,
    /// `extensions.code`.
    pub code: &'static str,
    /// What the client did wrong, in words.
    pub message: String,
    /// The request was well formed and only its document is refused: GraphQL over HTTP then asks for
    /// status 200 when the answer is `application/json`.
    pub document: bool,
    /// Milliseconds after which the same request may succeed.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), document: false, retry_after_ms: None }
    }

    /// A refusal of the document rather than of the request.
    pub(crate) fn document(code: &'static str, message: impl Into<String>) -> Self {
        Self { document: true, ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// The client has asked for too much work.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let message = "You ask for more work than one client may. Wait, then ask for less.";
        let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", message) }
    }

    /// The request does not arrive.
    pub(crate) fn late() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "The body of the request did not come in time.")
    }

    /// There is no place for another stream.
    pub(crate) fn too_many_clients() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CLIENTS", "Too many clients watch. Try again soon.")
    }

    /// Why a stream ends although nobody asked for it.
    pub(crate) fn restarting() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, RESTARTING, RESTARTING_TEXT)
    }

    /// The last event of a stream that ends for this reason.
    pub(crate) fn event(&self, request_id: &str) -> bytes::Bytes {
        serde_json::json!({ "data": null, "errors": self.errors_json(request_id) }).to_string().into()
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// `[{ message, extensions { code, requestId } }]`, as WebSocket clients get it.
    pub(crate) fn errors_json(&self, request_id: &str) -> serde_json::Value {
        let retryable = self.code == RESTARTING || self.retry_after_ms.is_some();
        let mut extensions = serde_json::json!({ "code": self.code, "retryable": retryable, "requestId": request_id });
        if let Some(wait_ms) = self.retry_after_ms {
            extensions["retryAfterMs"] = wait_ms.into();
        }
        serde_json::json!([{ "message": self.message, "extensions": extensions }])
    }

    /// The HTTP answer, in the media type that the client accepts.
    pub(crate) fn response(&self, accepts: Json, request_id: &str) -> Response {
        let status = match accepts {
            Json::Plain if self.document => StatusCode::OK,
            _ => self.status,
        };
        let body = serde_json::json!({ "errors": self.errors_json(request_id) }).to_string();
        let mut response = Response::build(status);
        response.set_header(header::CONTENT_TYPE, accepts.content_type());
        if status == StatusCode::UNAUTHORIZED {
            response.set_header(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
        }
        if let Some(wait_ms) = self.retry_after_ms {
            response.set_header(header::RETRY_AFTER, wait_ms.div_ceil(1_000).to_string());
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            response.force_close();
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.set_header(header::ALLOW, "GET, POST");
        }
        let answer = response.body(body);
        answer.extensions_mut().insert(Told(self.code));
        answer
    }
}

/// The JSON media type of a single answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Json {
    /// `application/json`
    #[default]
    Plain,
    /// `application/graphql-response+json`
    GraphQl,
}

impl Json {
    fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "application/json; charset=utf-8",
            Self::GraphQl => "application/graphql-response+json; charset=utf-8",
        }
    }
}
