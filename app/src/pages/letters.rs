//! `/dev/letters`: every letter in every language, filled with examples.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use berth_contracts::Locale;
use berth_kernel::mail::Letter;

use super::escape;

pub async fn page() -> Response {
    match letters() {
        Ok(letters) => {
            let articles: String = letters.iter().map(|(name, locale, letter)| article(name, *locale, letter)).collect();
            Html(include_str!("../../assets/letters.html").replace("{{letters}}", &articles)).into_response()
        }
        Err(error) => {
            tracing::error!(error = %error, "dev.letters");
            (StatusCode::INTERNAL_SERVER_ERROR, "a letter can't be written: see the log").into_response()
        }
    }
}

fn letters() -> anyhow::Result<Vec<(String, Locale, Letter)>> {
    let user = berth_user::letters::previews()?.into_iter().map(|preview| (preview.name, preview.locale, preview.letter));
    let booking = berth_booking::letter::previews()?;
    let booking = booking.into_iter().map(|preview| (preview.name.to_owned(), preview.locale, preview.letter));
    Ok(user.chain(booking).collect())
}

fn article(name: &str, locale: Locale, letter: &Letter) -> String {
    format!(
        "<article><h2>{}</h2><p class=meta>{} &middot; {}</p><iframe sandbox srcdoc=\"{}\"></iframe><pre>{}</pre></article>\n",
        escape(&letter.subject),
        escape(name),
        locale.word(),
        escape(&letter.html),
        escape(&letter.text)
    )
}
