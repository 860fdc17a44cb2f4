//! The public HTTP of this service: where providers knock, and QR codes as pictures.

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use berth_contracts::Kind;
use berth_kernel::peer::Passed;
use fast_qr::{ECL, QRBuilder, convert::svg::SvgBuilder};
use serde_json::json;

use crate::{Payments, error::chain, notices::Receipt};

const MAX_BODY_BYTES: usize = 64 * 1024;

/// The routes.
pub fn routes(payments: Payments) -> Router {
    berth_kernel::metrics::webhooks_begin("midtrans");
    Router::new()
        .route("/webhooks/payments/{provider}", post(notified))
        .route("/payments/{payment_id}/qr.svg", get(picture))
        .with_state(payments)
}

async fn notified(State(payments): State<Payments>, Path(provider): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let client = Passed::of(&headers);
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return told(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "a notification has at most 65536 bytes");
    };
    match payments.receive(&provider, client.client().unwrap_or_default(), &body).await {
        Ok(receipt) => answer(receipt),
        Err(error) => {
            tracing::error!(error = chain(&error), "payment.notice.not_stored");
            // Midtrans repeats after a 503 four times, after a 500 once.
            told(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", "the notification could not be stored: send it again")
        }
    }
}

fn answer(receipt: Receipt) -> Response {
    let (status, message) = match receipt {
        Receipt::Accepted => (StatusCode::OK, "noted"),
        Receipt::Duplicate => (StatusCode::OK, "noted before"),
        Receipt::UnknownProvider => (StatusCode::NOT_FOUND, "no such payment provider"),
        Receipt::Malformed => (StatusCode::BAD_REQUEST, "the body is no notification of this provider"),
        Receipt::BadSignature => (StatusCode::UNAUTHORIZED, "the signature does not match"),
        Receipt::UnknownOrder => (StatusCode::NOT_FOUND, "no such order"),
    };
    told(status, receipt.name(), message)
}

fn told(status: StatusCode, code: &str, message: &str) -> Response {
    if !status.is_success() {
        berth_kernel::metrics::refused(code);
    }
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}

async fn picture(State(payments): State<Payments>, Path(payment_id): Path<String>) -> Response {
    let not_found = || told(StatusCode::NOT_FOUND, "NOT_FOUND", "no such QR code");
    let Ok(id) = Kind::Payment.decode(&payment_id) else { return not_found() };
    match payments.qr_payload(id).await {
        Ok(Some(payload)) => match svg(&payload) {
            Some(svg) => {
                ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "private, max-age=300")], svg).into_response()
            }
            None => not_found(),
        },
        Ok(None) => not_found(),
        Err(error) => {
            tracing::error!(error = chain(&error), "payment.picture.failed");
            told(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", "try again")
        }
    }
}

/// A text as a QR code; `None` when it is too long for one.
pub fn svg(text: &str) -> Option<String> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    Some(SvgBuilder::default().to_str(&code))
}
