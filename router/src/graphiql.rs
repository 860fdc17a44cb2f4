//! The bundled explorer. Its files are built by `graphiql/build.mjs` and committed, so that building
//! Berth needs no Node and running it needs no network.

use http::StatusCode;
use ntex::{
    http::{Response, header},
    util::Bytes,
};

const FILES: [(&str, &str, &[u8]); 6] = [
    ("index.html", "text/html; charset=utf-8", include_bytes!("../graphiql/dist/index.html")),
    ("graphiql.js", "text/javascript; charset=utf-8", include_bytes!("../graphiql/dist/graphiql.js")),
    ("graphiql.css", "text/css; charset=utf-8", include_bytes!("../graphiql/dist/graphiql.css")),
    ("editor.worker.js", "text/javascript; charset=utf-8", include_bytes!("../graphiql/dist/editor.worker.js")),
    ("json.worker.js", "text/javascript; charset=utf-8", include_bytes!("../graphiql/dist/json.worker.js")),
    ("graphql.worker.js", "text/javascript; charset=utf-8", include_bytes!("../graphiql/dist/graphql.worker.js")),
];

/// Everything comes from here. The editor writes its colours into the page as it goes, so no hash can know them; they are styles,
/// which run nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; font-src data:; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether a path belongs to the explorer.
pub(crate) fn serves(path: &str) -> bool {
    path == "/graphiql" || path.starts_with("/graphiql/")
}

/// The page.
pub(crate) fn page() -> Response {
    asset("/graphiql")
}

/// A file of the explorer.
pub(crate) fn asset(path: &str) -> Response {
    let name = match path.strip_prefix("/graphiql").unwrap_or_default().trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let Some((_, content_type, content)) = FILES.iter().find(|(file, ..)| *file == name) else {
        return Response::new(StatusCode::NOT_FOUND);
    };
    Response::build(StatusCode::OK)
        .set_header(header::CONTENT_TYPE, *content_type)
        .set_header(header::CACHE_CONTROL, "no-cache")
        .set_header(header::CONTENT_SECURITY_POLICY, POLICY)
        .body(Bytes::from_static(content))
}
