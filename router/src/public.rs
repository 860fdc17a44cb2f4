//! The bridge to the app's own routes: they run on the app's runtime, not on a worker.

use bytes::Bytes;
use http::StatusCode;
use ntex::{
    http::Response,
    web::{DefaultError, HttpRequest, WebRequest},
};

use crate::{
    client,
    door::Door,
    http_graphql,
    refusal::{Json, Refusal},
};

/// Answers a request that is not GraphQL.
pub(crate) async fn answer(door: &Door, request: WebRequest<DefaultError>, request_id: &str) -> (HttpRequest, Response) {
    let client = client::address(&request, door.clients.trusted_proxies);
    let (request, payload) = request.into_parts();
    let body = match http_graphql::body(door, payload).await {
        Ok(body) => Bytes::copy_from_slice(&body),
        Err(refusal) => return (request, refusal.response(Json::Plain, request_id)),
    };
    let routes = door.routes.clone();
    let trace_parent = door.observer.trace_parent();
    let response = match inside(&request, body, request_id, &client, trace_parent) {
        Ok(inside) => match door.runtime.spawn(async move { routes.call(inside).await }).await {
            Ok(response) => outside(response),
            Err(_) => unavailable(request_id),
        },
        Err(_) => Refusal::bad_request("The request is not readable.").response(Json::Plain, request_id),
    };
    (request, response)
}

fn unavailable(request_id: &str) -> Response {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "The request could not be answered.")
        .response(Json::Plain, request_id)
}

fn inside(
    request: &HttpRequest,
    body: Bytes,
    request_id: &str,
    client: &str,
    trace_parent: Option<String>,
) -> Result<http::Request<Bytes>, http::Error> {
    let mut builder = http::Request::builder().method(request.method().clone()).uri(request.uri().clone());
    for (name, value) in request.headers() {
        if !matches!(name.as_str(), "x-request-id" | "traceparent" | "x-berth-client") {
            builder = builder.header(name.as_str(), value.as_bytes());
        }
    }
    if let Some(peer) = request.peer_addr() {
        builder = builder.extension(peer);
    }
    builder = builder.header("x-berth-client", client);
    if let Some(parent) = trace_parent {
        builder = builder.header("traceparent", parent);
    }
    builder.header("x-request-id", request_id).body(body)
}

fn outside(response: http::Response<Bytes>) -> Response {
    let (head, body) = response.into_parts();
    let mut response = Response::build(head.status);
    for (name, value) in &head.headers {
        response.header(name.as_str(), value.as_bytes());
    }
    response.body(ntex::util::Bytes::copy_from_slice(&body))
}
