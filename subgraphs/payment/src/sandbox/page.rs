//! The payer's side: a page with buttons, and the same as plain requests.

use askama::Template;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use berth_contracts::{Currency, Money};
use berth_kernel::page;
use serde_json::json;

use super::{
    Error, Sandbox,
    transaction::{Status, Transaction},
};
use crate::webhook::svg;

/// The routes.
pub fn routes(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/sandbox/pay/{payment_id}", get(show))
        .route("/sandbox/payments/{payment_id}/qr.svg", get(picture))
        .route("/sandbox/payments/{payment_id}/{action}", post(act))
        .with_state(sandbox)
}

#[derive(Template)]
#[template(path = "pay.html")]
struct Page {
    payment_id: String,
    label: String,
    amount: String,
    status: &'static str,
    waits: bool,
    can_settle: bool,
    can_deny: bool,
    expires_at: String,
    qr_string: String,
    qr_svg: String,
}

impl Page {
    fn new(payment_id: String, found: Transaction, status: Status) -> Self {
        Self {
            payment_id,
            label: found.label.unwrap_or_default(),
            amount: rupiah(found.gross_amount),
            status: status.name(),
            waits: status == Status::Pending,
            can_settle: status.may_become(Status::Settlement),
            can_deny: status.may_become(Status::Deny),
            expires_at: found.expires_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            qr_svg: svg(&found.qr_string).unwrap_or_default(),
            qr_string: found.qr_string,
        }
    }
}

/// `Rp 185.000`, as Indonesians write it.
fn rupiah(whole: i64) -> String {
    let digits = whole.to_string();
    let mut text = String::from("Rp ");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

async fn show(State(sandbox): State<Sandbox>, Path(payment_id): Path<String>) -> Result<Response, PayerError> {
    let found = sandbox.newest(&payment_id).await?;
    let status = found.status_at(sandbox.clock.now());
    let html =
        Page::new(payment_id, found, status).render().map_err(|_| PayerError(Error::Invalid("the page can't be drawn")))?;
    Ok(page::page(include_str!("../../templates/pay.html"), html))
}

async fn picture(State(sandbox): State<Sandbox>, Path(payment_id): Path<String>) -> Result<Response, PayerError> {
    let found = sandbox.newest(&payment_id).await?;
    let svg = svg(&found.qr_string).ok_or(PayerError(Error::NotFound))?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response())
}

async fn act(
    State(sandbox): State<Sandbox>,
    Path((payment_id, action)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, PayerError> {
    let found = sandbox.newest(&payment_id).await?;
    let next = match action.as_str() {
        "settle" => Status::Settlement,
        "expire" => Status::Expire,
        "deny" => Status::Deny,
        "resend" => {
            let count = sandbox.resend(found.order_id).await?;
            return Ok(Json(json!({ "paymentId": payment_id, "resent": count })).into_response());
        }
        _ => return Err(PayerError(Error::NotFound)),
    };
    let moved = sandbox.move_to(found.order_id, next).await?;
    if from_page(&headers) {
        return Ok(Redirect::to(&format!("/sandbox/pay/{payment_id}")).into_response());
    }
    let amount = Money::from_major(moved.gross_amount, Currency::IDR).map(Money::decimal).unwrap_or_default();
    Ok(Json(json!({ "paymentId": payment_id, "status": moved.status.name(), "amount": amount })).into_response())
}

/// A browser that sent a form wants a page back; a program wants data.
fn from_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// Refusals on this side, in our words.
struct PayerError(Error);

impl From<Error> for PayerError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for PayerError {
    fn into_response(self) -> Response {
        let (status, code) = match &self.0 {
            Error::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Error::NotModifiable | Error::Duplicate => (StatusCode::CONFLICT, "INVALID_TRANSITION"),
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, "INVALID_INPUT"),
            Error::Database(error) => {
                tracing::error!(error = %error, "sandbox.database.failed");
                (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE")
            }
        };
        (status, Json(json!({ "code": code, "message": self.0.to_string() }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use berth_contracts::Kind;

    use super::*;

    #[test]
    fn rupiah_are_grouped() {
        assert_eq!((rupiah(5), rupiah(185_000), rupiah(1_234_567)), ("Rp 5".into(), "Rp 185.000".into(), "Rp 1.234.567".into()));
    }

    #[test]
    fn ids_with_attempts_belong_to_their_payment() {
        let id = Kind::Payment.encode(berth_kernel::clock::Clock::system().new_key());
        assert!(format!("{id}-2") > format!("{id}-") && format!("{id}-9") < format!("{id}."));
    }
}
