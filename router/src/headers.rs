//! What every answer on the public port carries, whatever made it.

use ntex::http::{
    Response,
    header::{self, HeaderName, HeaderValue},
};

/// An answer that is no page loads nothing, and nobody frames it. Pages bring a policy of their own.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A year, for this very host: what else lives under the domain is not ours to decide.
const HTTPS_ONLY: &str = "max-age=31536000";

/// What an answer's headers depend on.
pub(crate) struct Signature<'r> {
    /// Told to the client.
    pub request_id: &'r str,
    /// The request's origin, when pages of it may read our answers.
    pub origin: Option<HeaderValue>,
    /// The answer is for who asked: no cache keeps it.
    pub private: bool,
    /// The public reaches us by HTTPS.
    pub https: bool,
}

impl Signature<'_> {
    /// Puts the headers on an answer.
    pub(crate) fn put(self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(self.request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        for (name, value) in [(header::CONTENT_SECURITY_POLICY, NOTHING), (header::REFERRER_POLICY, "no-referrer")] {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        if self.private {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
        }
        if let Some(origin) = self.origin {
            allow(headers, origin);
        }
    }
}

fn allow(headers: &mut ntex::http::HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, accept, x-request-id"),
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
