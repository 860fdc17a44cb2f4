//! `/dev/letters`: every letter in every language, filled with examples.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use berth_kernel::{mail::Preview, page::gallery};

use super::escape;

pub async fn page() -> Response {
    match letters() {
        Ok(letters) => {
            let articles: String = letters.iter().map(article).collect();
            gallery(include_str!("../../assets/letters.html").replace("{{letters}}", &articles))
        }
        Err(error) => {
            tracing::error!(error = %error, "dev.letters");
            (StatusCode::INTERNAL_SERVER_ERROR, "a letter can't be written: see the log").into_response()
        }
    }
}

fn letters() -> anyhow::Result<Vec<Preview>> {
    Ok([berth_user::letters::previews()?, berth_booking::letter::previews()?].concat())
}

fn article(Preview { name, locale, letter }: &Preview) -> String {
    format!(
        "<article><h2>{}</h2><p class=meta>{} &middot; {}</p><iframe sandbox srcdoc=\"{}\"></iframe><pre>{}</pre></article>\n",
        escape(&letter.subject),
        escape(name),
        locale.word(),
        escape(&letter.html),
        escape(&letter.text)
    )
}
