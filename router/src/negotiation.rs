//! What the client wants to read: JSON of either kind, a stream, or a page.

use http::Method;
use ntex::http::{HeaderMap, header};

use crate::refusal::{Json, Refusal};

/// The outcome of reading `Accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A browser opened the address.
    Page,
    /// A GraphQL answer; refusals use this JSON type.
    Answer(Json),
}

/// Reads `Accept`. No header means anything is fine.
pub(crate) fn negotiate(method: &Method, headers: &HeaderMap) -> Result<Wanted, Refusal> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.trim().is_empty() {
        return Ok(Wanted::Answer(Json::Plain));
    }
    let mut best: Option<(f32, Wanted)> = None;
    for part in accept.split(',') {
        let (media, quality) = media_and_quality(part);
        let Some(wanted) = wanted(&media, method) else { continue };
        if quality > 0.0 && best.is_none_or(|(other, _)| quality > other) {
            best = Some((quality, wanted));
        }
    }
    best.map(|(_, wanted)| wanted).ok_or_else(not_acceptable)
}

/// Whether the client reads streams only, as graphql-sse does: then everything, also the answer to
/// a query, is an event.
pub(crate) fn wants_stream_only(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut media = accept.split(',').map(media_and_quality).filter(|(_, quality)| *quality > 0.0).peekable();
    media.peek().is_some() && media.all(|(media, _)| matches!(media.as_str(), "text/event-stream" | "multipart/mixed"))
}

fn not_acceptable() -> Refusal {
    Refusal::new(
        http::StatusCode::NOT_ACCEPTABLE,
        "NOT_ACCEPTABLE",
        "Accept must allow application/json, application/graphql-response+json, text/event-stream or multipart/mixed.",
    )
}

fn media_and_quality(part: &str) -> (String, f32) {
    let mut pieces = part.split(';');
    let media = pieces.next().unwrap_or_default().trim().to_ascii_lowercase();
    let quality = pieces.find_map(|parameter| parameter.trim().strip_prefix("q=")?.trim().parse().ok()).unwrap_or(1.0);
    (media, quality)
}

fn wanted(media: &str, method: &Method) -> Option<Wanted> {
    match media {
        "text/html" | "application/xhtml+xml" if method == Method::GET => Some(Wanted::Page),
        "application/graphql-response+json" => Some(Wanted::Answer(Json::GraphQl)),
        "application/json" | "application/*" | "*/*" | "text/event-stream" | "text/*" | "multipart/mixed" | "multipart/*" => {
            Some(Wanted::Answer(Json::Plain))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, accept: &str) -> Result<Wanted, Refusal> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = ntex::http::header::HeaderValue::try_from(accept) {
            headers.insert(header::ACCEPT, value);
        }
        negotiate(method, &headers)
    }

    #[test]
    fn a_browser_gets_the_page_and_a_client_gets_json() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(read(&Method::GET, browser), Ok(Wanted::Page));
        assert_eq!(read(&Method::POST, browser), Ok(Wanted::Answer(Json::Plain)));
        assert_eq!(read(&Method::GET, "*/*"), Ok(Wanted::Answer(Json::Plain)));
        assert_eq!(read(&Method::GET, ""), Ok(Wanted::Answer(Json::Plain)));
    }

    #[test]
    fn the_preferred_json_type_wins() {
        let both = "application/graphql-response+json, application/json;q=0.9";
        assert_eq!(read(&Method::POST, both), Ok(Wanted::Answer(Json::GraphQl)));
        let other = "application/json, application/graphql-response+json;q=0.5";
        assert_eq!(read(&Method::POST, other), Ok(Wanted::Answer(Json::Plain)));
    }

    #[test]
    fn streams_only_is_said_by_listing_nothing_else() {
        let only = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, ntex::http::header::HeaderValue::from_static(accept));
            wants_stream_only(&headers)
        };
        assert!(only("text/event-stream"));
        assert!(only("multipart/mixed;subscriptionSpec=1.0, text/event-stream;q=0.5"));
        assert!(!only("text/event-stream, application/json"));
        assert!(!only("*/*"));
        assert!(!wants_stream_only(&HeaderMap::new()));
    }

    #[test]
    fn a_type_that_graphql_never_is_is_refused() {
        assert_eq!(read(&Method::POST, "image/png").map_err(|refusal| refusal.code), Err("NOT_ACCEPTABLE"));
        assert_eq!(read(&Method::POST, "application/json;q=0").map_err(|r| r.code), Err("NOT_ACCEPTABLE"));
    }
}
