//! The pages for people: where to go, and, in development, what was caught and the clock.

mod letters;
mod sms;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use berth_kernel::{
    mail::{Caught, Mail},
    page::page,
    sms::Sms,
};
use chrono::TimeDelta;
use serde::Deserialize;

use crate::{keys::Keys, shared_clock::SharedClock};

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// Caught letters.
    pub mail: Arc<Mail>,
    /// Caught text messages.
    pub sms: Arc<Sms>,
    /// The clock that development may move.
    pub clock: SharedClock,
    /// What signs, for the key set.
    pub keys: Keys,
    /// Whether the `/dev` pages exist.
    pub development: bool,
}

/// `/`, `/reset-password` and `/stop-change` (where links of letters lead), `/.well-known/jwks.json`, and the `/dev` pages.
pub fn routes(pages: Pages) -> Router {
    let public = Router::new()
        .route("/", get(landing))
        .route("/reset-password", get(reset_password))
        .route("/stop-change", get(stop_change))
        .route("/.well-known/jwks.json", get(jwks));
    let all = if pages.development {
        public
            .route("/dev/mail", get(mail_page))
            .route("/dev/mail.json", get(mail_json))
            .route("/dev/letters", get(letters::page))
            .route("/dev/sms", get(sms::page))
            .route("/dev/sms.json", get(sms::json))
            .route("/dev/clock", post(move_clock).get(clock))
    } else {
        public
    };
    all.with_state(pages)
}

async fn landing(State(pages): State<Pages>) -> Response {
    let template = include_str!("../assets/landing.html");
    let hidden = if pages.development { "" } else { "hidden" };
    page(template, template.replace("{{development}}", hidden))
}

async fn reset_password() -> Response {
    page_of_a_link(include_str!("../assets/reset-password.html"))
}

async fn stop_change() -> Response {
    page_of_a_link(include_str!("../assets/stop-change.html"))
}

fn page_of_a_link(template: &'static str) -> Response {
    let mut answer = page(template, template.to_owned());
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

async fn jwks(State(pages): State<Pages>) -> Response {
    ([("content-type", "application/json"), ("cache-control", "public, max-age=300")], pages.keys.jwks()).into_response()
}

#[derive(Deserialize)]
struct MailQuery {
    to: Option<String>,
}

async fn mail_json(State(pages): State<Pages>, Query(query): Query<MailQuery>) -> Json<Vec<Caught>> {
    Json(pages.mail.caught(query.to.as_deref()))
}

async fn mail_page(State(pages): State<Pages>, Query(query): Query<MailQuery>) -> Response {
    let letters: String = pages.mail.caught(query.to.as_deref()).iter().map(letter).collect();
    let body = if letters.is_empty() { "<p>No letters yet.</p>".to_owned() } else { letters };
    let template = include_str!("../assets/mail.html");
    page(template, template.replace("{{letters}}", &body))
}

fn letter(caught: &Caught) -> String {
    let letter = &caught.letter;
    format!(
        "<article><h2>{}</h2><p class=meta>to {} &middot; {}</p><pre>{}</pre></article>",
        escape(&letter.subject),
        escape(&letter.to),
        caught.at.to_rfc3339(),
        escape(&letter.text)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[derive(Deserialize)]
struct ClockQuery {
    advance_secs: i64,
}

/// At most ten years at a time: a slip of the finger must not end in year 200,000.
async fn move_clock(State(pages): State<Pages>, Query(query): Query<ClockQuery>) -> Response {
    if query.advance_secs.abs() > 315_360_000 {
        return (StatusCode::BAD_REQUEST, "advance_secs must be within ten years").into_response();
    }
    if let Err(error) = pages.clock.advance(TimeDelta::seconds(query.advance_secs)).await {
        tracing::error!(error = %error, "dev.clock");
        return (StatusCode::SERVICE_UNAVAILABLE, "the clock's file can't be written").into_response();
    }
    clock(State(pages)).await.into_response()
}

async fn clock(State(pages): State<Pages>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "now": pages.clock.clock().now() }))
}
