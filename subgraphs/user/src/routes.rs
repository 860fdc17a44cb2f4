//! Public addresses beside the graph: pictures of people go in and out here, because GraphQL takes no files.
//!
//! Who sends one is told by the access token alone, no cookie: no page of another site can send one in somebody's name.

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use berth_kernel::{
    auth::{SignedIn, TokenVerifier},
    metrics,
    telemetry::Origin,
};
use serde_json::json;

use crate::{
    accounts::Accounts,
    avatar::{Format, MAX_BYTES, Rejected, Unfit},
    error::{Error, Refusal},
};

#[derive(Clone)]
struct Desk {
    accounts: Accounts,
    tokens: TokenVerifier,
}

/// `POST /me/avatar` and `GET /avatars/{file}`.
pub(crate) fn router(accounts: Accounts, tokens: TokenVerifier) -> Router {
    Router::new().route("/me/avatar", post(take)).route("/avatars/{file}", get(show)).with_state(Desk { accounts, tokens })
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Body) -> Response {
    let person = match signed_in(&desk.tokens, &headers) {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let taken = match to_bytes(body, MAX_BYTES).await {
        Ok(file) => desk.accounts.set_avatar(&person, content_type, &file).await,
        Err(_) => Err(Unfit::TooLong.into()),
    };
    match taken {
        Ok(address) => {
            (StatusCode::CREATED, [(header::LOCATION, address.clone())], Json(json!({ "avatarUrl": address }))).into_response()
        }
        Err(Rejected::Unfit(unfit)) => unfitting(unfit),
        Err(Rejected::Failed(error)) => failed(&error),
    }
}

/// Who sends, by the same rules as in the graph.
fn signed_in(tokens: &TokenVerifier, headers: &HeaderMap) -> Result<SignedIn, Box<Response>> {
    let sent = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or("unreadable"));
    match tokens.viewer(sent) {
        Ok(viewer) => viewer.0.ok_or_else(|| Box::new(unauthenticated())),
        Err(error) => Err(Box::new(refused(StatusCode::UNAUTHORIZED, error.code(), &error.to_string()))),
    }
}

fn unauthenticated() -> Response {
    refused(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "sign in first: send the access token as Authorization: Bearer")
}

fn unfitting(unfit: Unfit) -> Response {
    let (status, code, message) = match unfit {
        Unfit::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "a picture has at most 262144 bytes"),
        Unfit::OtherType => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "send image/png, image/jpeg or image/webp, and the bytes of such a file",
        ),
        Unfit::Unreadable => {
            (StatusCode::UNPROCESSABLE_ENTITY, "IMAGE_UNREADABLE", "the picture is damaged, ends early, or moves")
        }
        Unfit::TooLarge => {
            (StatusCode::UNPROCESSABLE_ENTITY, "IMAGE_TOO_LARGE", "a picture has at most 8 megapixels and 4096 on a side")
        }
    };
    refused(status, code, message)
}

fn failed(error: &Error) -> Response {
    match error {
        Error::Refused(Refusal::RateLimited { retry_after }) => later(retry_after.num_milliseconds().max(1)),
        Error::Refused(Refusal::AccountSuspended) => {
            refused(StatusCode::FORBIDDEN, "ACCOUNT_SUSPENDED", "the account is suspended")
        }
        Error::Stranger => unauthenticated(),
        fault => {
            tracing::error!(error = fault.chain(), "avatar.failed");
            unavailable()
        }
    }
}

fn unavailable() -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", "the service can't answer now")
}

/// A refusal of the request, in the form that all others have at the public port.
fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    metrics::refused(code);
    let retryable = status == StatusCode::SERVICE_UNAVAILABLE;
    let mut response = (status, Json(errors(message, json!({ "code": code, "retryable": retryable })))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    response
}

fn later(retry_after_ms: i64) -> Response {
    metrics::refused("RATE_LIMITED");
    let extensions = json!({ "code": "RATE_LIMITED", "retryable": true, "retryAfterMs": retry_after_ms });
    let secs = (retry_after_ms + 999) / 1000;
    let body = Json(errors("too many pictures: wait before you send another", extensions));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, secs.to_string())], body).into_response()
}

fn errors(message: &str, mut extensions: serde_json::Value) -> serde_json::Value {
    if let Some(id) = Origin::current().request_id() {
        extensions["requestId"] = id.into();
    }
    json!({ "errors": [{ "message": message, "extensions": extensions }] })
}

/// A picture, for everybody who knows its address. What is at an address never changes.
async fn show(State(desk): State<Desk>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(format) = Format::of_file(&file) else { return StatusCode::NOT_FOUND.into_response() };
    let tag = format!("\"{file}\"");
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| value.to_str().is_ok_and(|tags| names(tags, &tag)));
    let found = if known {
        desk.accounts.has_avatar_file(&file).await.map(|is_there| is_there.then_some(None))
    } else {
        desk.accounts.avatar_file(&file).await.map(|image| image.map(Some))
    };
    match found {
        Ok(Some(Some(image))) => (marks(&tag), [(header::CONTENT_TYPE, format.content_type())], image).into_response(),
        Ok(Some(None)) => (StatusCode::NOT_MODIFIED, marks(&tag)).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => failed(&error),
    }
}

fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

fn marks(tag: &str) -> [(header::HeaderName, String); 3] {
    [
        (header::ETAG, tag.to_owned()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin".to_owned()),
    ]
}
