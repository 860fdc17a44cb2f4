//! `/dev/sms`: text messages that were caught.

use axum::{
    Json,
    extract::{Query, State},
    response::Response,
};
use berth_kernel::{page, sms::CaughtText};
use serde::Deserialize;

use super::{Pages, escape};

#[derive(Deserialize)]
pub struct SmsQuery {
    to: Option<String>,
}

pub async fn json(State(pages): State<Pages>, Query(query): Query<SmsQuery>) -> Json<Vec<CaughtText>> {
    Json(pages.sms.caught(query.to.as_deref()))
}

pub async fn page(State(pages): State<Pages>, Query(query): Query<SmsQuery>) -> Response {
    let messages: String = pages.sms.caught(query.to.as_deref()).iter().map(message).collect();
    let body = if messages.is_empty() { "<p>No text messages yet.</p>".to_owned() } else { messages };
    let template = include_str!("../../assets/sms.html");
    page::page(template, template.replace("{{messages}}", &body))
}

fn message(caught: &CaughtText) -> String {
    let (to, text) = (escape(&caught.message.to), escape(&caught.message.text));
    format!("<article><p class=meta>to {to} &middot; {}</p><p>{text}</p></article>", caught.at.to_rfc3339())
}
