//! Public addresses beside the graph: the picture of a ticket's QR code.

use axum::{
    Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use crate::Bookings;

#[derive(Deserialize)]
struct Capability {
    #[serde(default)]
    t: String,
}

/// `GET /tickets/{id}/qr.svg?t=...`; 404 for a wrong ticket and for a wrong token alike.
pub(crate) fn router(bookings: Bookings) -> Router {
    Router::new().route("/tickets/{id}/qr.svg", get(qr)).with_state(bookings)
}

async fn qr(State(bookings): State<Bookings>, Path(id): Path<String>, Query(capability): Query<Capability>) -> Response {
    match bookings.qr_svg(&id, &capability.t).await {
        Ok(Some(svg)) => {
            let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "private, max-age=300")];
            (headers, svg).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(error = %error.chain(), "ticket.qr.failed");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
