//! Midtrans's Core API as far as Berth uses it. Only who knows the server key is answered.

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::{
    Error, Sandbox, answer,
    desk::Order,
    transaction::{Refund, Status},
};

/// Midtrans's QRIS codes live 15 minutes unless told otherwise.
const LIFETIME: TimeDelta = TimeDelta::minutes(15);

/// The routes.
pub fn routes(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/v2/charge", post(charge))
        .route("/v2/{order_id}/status", get(status))
        .route("/v2/{order_id}/cancel", post(cancel))
        .route("/v2/{order_id}/expire", post(expire))
        .route("/v2/{order_id}/refund", post(refund))
        .layer(middleware::from_fn_with_state(sandbox.clone(), authenticate))
        .with_state(sandbox)
}

async fn authenticate(State(sandbox): State<Sandbox>, request: Request, next: Next) -> Response {
    let expected = format!("Basic {}", STANDARD.encode(format!("{}:", sandbox.server_key)));
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    if given.ct_eq(expected.as_bytes()).into() { next.run(request).await } else { said("401", "Unknown Merchant server_key/id") }
}

fn said(code: &str, message: &str) -> Response {
    let status = code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "status_code": code, "status_message": message }))).into_response()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let code = match &self {
            Self::NotFound => "404",
            Self::Duplicate => "406",
            Self::NotModifiable => "412",
            Self::Invalid(_) => "400",
            Self::Database(error) => {
                tracing::error!(error = %error, "sandbox.database.failed");
                "500"
            }
        };
        said(code, &self.to_string())
    }
}

#[derive(Deserialize)]
struct ChargeRequest {
    payment_type: String,
    transaction_details: Details,
    qris: Option<QrisDetails>,
    custom_expiry: Option<CustomExpiry>,
    custom_field1: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    order_id: String,
    gross_amount: i64,
}

#[derive(Deserialize)]
struct QrisDetails {
    acquirer: Option<String>,
}

#[derive(Deserialize)]
struct CustomExpiry {
    order_time: Option<String>,
    expiry_duration: i64,
    unit: Option<String>,
}

impl CustomExpiry {
    fn expires_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let ordered = match &self.order_time {
            None => now,
            Some(text) => DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S %z").ok()?.with_timezone(&Utc),
        };
        let span = match self.unit.as_deref() {
            Some("second") => TimeDelta::try_seconds(self.expiry_duration),
            None | Some("minute") => TimeDelta::try_minutes(self.expiry_duration),
            Some("hour") => TimeDelta::try_hours(self.expiry_duration),
            Some("day") => TimeDelta::try_days(self.expiry_duration),
            Some(_) => None,
        };
        ordered.checked_add_signed(span?).filter(|expires_at| *expires_at > now)
    }
}

fn order_of(request: ChargeRequest, now: DateTime<Utc>) -> Result<Order, Error> {
    let well_formed =
        |id: &str| (1..=50).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_~.".contains(&b));
    if request.payment_type != "qris" {
        return Err(Error::Invalid("payment_type must be qris here"));
    }
    if !well_formed(&request.transaction_details.order_id) {
        return Err(Error::Invalid("order_id must have 1 to 50 letters, digits, or - _ ~ ."));
    }
    if request.transaction_details.gross_amount < 1 {
        return Err(Error::Invalid("gross_amount must be at least 1"));
    }
    let expires_at = match &request.custom_expiry {
        None => now + LIFETIME,
        Some(custom) => custom.expires_at(now).ok_or(Error::Invalid("custom_expiry is not in the future"))?,
    };
    Ok(Order {
        order_id: request.transaction_details.order_id,
        gross_amount: request.transaction_details.gross_amount,
        acquirer: request.qris.and_then(|qris| qris.acquirer).unwrap_or_else(|| "gopay".to_owned()),
        label: request.custom_field1,
        expires_at,
    })
}

async fn charge(State(sandbox): State<Sandbox>, Json(request): Json<ChargeRequest>) -> Result<Response, Error> {
    let order = order_of(request, sandbox.clock.now())?;
    let new = sandbox.order(order).await?;
    Ok((StatusCode::CREATED, Json(answer::charged(&new))).into_response())
}

async fn status(State(sandbox): State<Sandbox>, Path(order_id): Path<String>) -> Result<Json<Value>, Error> {
    let (found, refunds) = sandbox.look(&order_id).await?;
    let now = found.status_at(sandbox.clock.now());
    Ok(Json(answer::transaction(&found, now, &refunds)))
}

async fn cancel(State(sandbox): State<Sandbox>, Path(order_id): Path<String>) -> Result<Json<Value>, Error> {
    let cancelled = sandbox.move_to(order_id, Status::Cancel).await?;
    Ok(Json(answer::transaction(&cancelled, cancelled.status, &[])))
}

async fn expire(State(sandbox): State<Sandbox>, Path(order_id): Path<String>) -> Result<Json<Value>, Error> {
    let expired = sandbox.move_to(order_id, Status::Expire).await?;
    Ok(Json(answer::transaction(&expired, expired.status, &[])))
}

#[derive(Deserialize)]
struct RefundRequest {
    refund_key: String,
    amount: i64,
    reason: Option<String>,
}

async fn refund(
    State(sandbox): State<Sandbox>,
    Path(order_id): Path<String>,
    Json(request): Json<RefundRequest>,
) -> Result<Json<Value>, Error> {
    let refund = Refund {
        refund_key: request.refund_key,
        amount: request.amount,
        reason: request.reason.unwrap_or_default(),
        at: sandbox.clock.now(),
    };
    let (refunded, refunds) = sandbox.give_back(order_id, refund).await?;
    Ok(Json(answer::transaction(&refunded, refunded.status, &refunds)))
}
