//! Pages for people, each with a content security policy: a browser runs and paints only what stands in the page's own template.

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// An answer with a page. `template` is its source: what is written into it later is never trusted, whatever it says. The page is
/// for who asked now, so no cache keeps it.
pub fn page(template: &str, html: String) -> Response {
    with_policy(policy(template), html)
}

/// A page that shows documents of another make in frames without scripts: their styles are theirs.
pub fn gallery(html: String) -> Response {
    with_policy(format!("default-src 'none'; style-src 'unsafe-inline'; {CLOSED}"), html)
}

/// What no page of ours needs.
const CLOSED: &str = "base-uri 'none'; frame-ancestors 'none'";

fn with_policy(policy: String, html: String) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        // A form of ours says where it comes from; other sites are told nothing.
        (header::REFERRER_POLICY, "same-origin".to_owned()),
    ];
    (headers, Html(html)).into_response()
}

/// Scripts and styles by their hashes; calls and forms to where the page comes from.
fn policy(template: &str) -> String {
    let scripts = allowed("script-src", template, "<script>", "</script>");
    let styles = allowed("style-src", template, "<style>", "</style>");
    let calls = if scripts.is_empty() { "" } else { "connect-src 'self'; " };
    format!("default-src 'none'; {scripts}{styles}{calls}form-action 'self'; {CLOSED}")
}

fn allowed(directive: &str, template: &str, open: &str, close: &str) -> String {
    let hash = |text: &str| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let hashes: String =
        template.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(text, _)| hash(text)).collect();
    if hashes.is_empty() { hashes } else { format!("{directive}{hashes}; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_template_holds_is_allowed() {
        let template = "<style>a{}</style><script>alert(1)</script>{{letters}}";
        let policy = policy(template);
        assert_eq!(
            policy,
            "default-src 'none'; script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='; \
             style-src 'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk='; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        );
        assert!(!policy.contains("unsafe"));
    }

    #[test]
    fn a_page_without_scripts_runs_none() {
        assert_eq!(policy("<p>text</p>"), "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    }
}
