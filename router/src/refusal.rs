//! Answers that the front door gives by itself: always a GraphQL error with a code.

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
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), document: false }
    }

    /// A refusal of the document rather than of the request.
    pub(crate) fn document(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into(), document: true }
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
        serde_json::json!([{
            "message": self.message,
            "extensions": { "code": self.code, "retryable": self.code == RESTARTING, "requestId": request_id },
        }])
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
