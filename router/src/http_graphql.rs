//! GraphQL over HTTP: GET and POST, answered as JSON or as a stream (SSE, multipart).

use std::{rc::Rc, time::Duration};

use http::{Method, StatusCode};
use ntex::{
    http::{
        Payload, Response,
        header::{self, HeaderName, HeaderValue},
    },
    util::{Bytes, BytesMut},
    web::{DefaultError, HttpRequest, HttpResponse, WebRequest},
};

use tokio::time::{Instant, timeout_at};

use crate::{
    auth, client,
    config::{Connection, Limits},
    door::Door,
    graphiql, live,
    negotiation::{Wanted, negotiate, wants_stream_only},
    operation::Operation,
    params,
    plugin::Caller,
    refusal::{Json, Refusal},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const CLIENT: HeaderName = HeaderName::from_static("x-berth-client");

/// Answers `/graphql`.
pub(crate) async fn answer(
    door: &Rc<Door>,
    mut request: WebRequest<DefaultError>,
    request_id: &str,
) -> (HttpRequest, HttpResponse) {
    let wanted = match negotiate(request.method(), request.headers()) {
        Ok(wanted) => wanted,
        Err(refusal) => return refused(request, &refusal, Json::Plain, request_id),
    };
    let json = match wanted {
        Wanted::Page if door.graphiql => return finish(request, graphiql::page()),
        Wanted::Page => Json::Plain,
        Wanted::Answer(json) => json,
    };
    let caller = match prepare(door, &mut request, request_id) {
        Ok(caller) => caller,
        Err(refusal) => return refused(request, &refusal, json, request_id),
    };
    let stream_only = stream_only(&mut request);
    let (mut request, payload) = request.into_parts();
    let response = match ask(door, &mut request, payload, caller).await {
        Ok(response) => response,
        Err(refusal) if refusal.document || !stream_only => refusal.response(json, request_id),
        Err(refusal) => return (request, refusal.response(json, request_id)),
    };
    if stream_only && live::is_json(&response) {
        let response = live::as_stream(&request, response).await;
        return (request, response);
    }
    (request, response)
}

/// The embedded router cannot answer a query to a client that reads streams only, so it is let
/// answer in JSON, which then becomes an event.
fn stream_only(request: &mut WebRequest<DefaultError>) -> bool {
    let only = wants_stream_only(request.headers());
    if only {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accept = format!("{accept}, application/json;q=0.001");
        set(request.headers_mut(), header::ACCEPT, &accept);
    }
    only
}

async fn ask(door: &Rc<Door>, request: &mut HttpRequest, payload: Payload, caller: Caller) -> Result<HttpResponse, Refusal> {
    let sent = if *request.method() == Method::GET { None } else { Some(body(door, payload).await?) };
    let mut work = door.begin(&caller).await?;
    let operation = work.measure_now(|| match sent {
        None => params::from_address(request.query_string(), &door.engine.documents),
        Some(sent) => params::from_json(&sent, &door.engine.documents),
    })?;
    door.admit(&mut work, &operation.counts).await?;
    Ok(work.measure(run(door, request, operation, caller)).await)
}

async fn run(door: &Rc<Door>, request: &mut HttpRequest, operation: Operation, caller: Caller) -> HttpResponse {
    if operation.is_subscription()
        && let Some(response) = live::over_http(door, request, &operation, &caller).await
    {
        return response;
    }
    door.engine.run(request, operation, caller).await.response
}

/// Checks everything that the head of the request tells, and sets the headers that go on inside.
fn prepare(door: &Door, request: &mut WebRequest<DefaultError>, request_id: &str) -> Result<Caller, Refusal> {
    check_head(request, &door.limits)?;
    let viewer = door.tokens.viewer(request.headers())?;
    let client = client::address(request, door.clients.trusted_proxies);
    let trace_parent = door.observer.trace_parent();
    let headers = request.headers_mut();
    headers.remove(auth::TICKET);
    if let Some(viewer) = &viewer {
        set(headers, auth::TICKET, &viewer.ticket());
        let sent = headers.get(header::AUTHORIZATION).and_then(|sent| sent.to_str().ok()?.strip_prefix("Bearer "));
        if sent != Some(&*viewer.token) {
            set(headers, header::AUTHORIZATION, &format!("Bearer {}", viewer.token));
        }
    }
    set(headers, REQUEST_ID, request_id);
    set(headers, CLIENT, &client);
    headers.remove(TRACE_PARENT);
    if let Some(parent) = &trace_parent {
        set(headers, TRACE_PARENT, parent);
    }
    Ok(Caller { viewer, request_id: request_id.to_owned(), client, trace_parent })
}

fn set(headers: &mut ntex::http::HeaderMap, name: HeaderName, value: &str) {
    headers.remove(&name);
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

fn check_head(request: &WebRequest<DefaultError>, limits: &Limits) -> Result<(), Refusal> {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Use POST, or GET for queries."));
    }
    let size: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > limits.header_bytes {
        let message = format!("The headers are longer than {} bytes.", limits.header_bytes);
        return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "HEADERS_TOO_LARGE", message));
    }
    if *request.method() == Method::POST {
        params::check_content_type(request.headers())?;
    }
    Ok(())
}

/// Reads a body of limited length, which must come in time or at the least rate.
pub(crate) async fn body(door: &Door, mut payload: Payload) -> Result<Bytes, Refusal> {
    let limit = door.limits.body_bytes;
    let pace = Pace::new(&door.limits);
    let mut body = BytesMut::new();
    let mut first: Option<Bytes> = None;
    loop {
        let read = first.as_ref().map_or(body.len(), Bytes::len);
        let Ok(chunk) = timeout_at(pace.until(read), payload.recv()).await else {
            door.observer.connection(Connection::Ended("body"));
            return Err(Refusal::late());
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| Refusal::bad_request("The body ended early."))?;
        if read + chunk.len() > limit {
            let _late = timeout_at(pace.until(limit), drain(&mut payload, limit)).await;
            let message = format!("The body is longer than {limit} bytes.");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", message));
        }
        match first.take() {
            // most bodies come in one chunk, which needs no copy
            None if body.is_empty() => first = Some(chunk),
            None => body.extend_from_slice(&chunk),
            Some(start) => {
                body.extend_from_slice(&start);
                body.extend_from_slice(&chunk);
            }
        }
    }
    Ok(first.unwrap_or_else(|| body.freeze()))
}

/// How long a body may take.
struct Pace {
    started: Instant,
    arrival: Duration,
    rate: usize,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        Self { started: Instant::now(), arrival: limits.arrival, rate: limits.body_rate.max(1) }
    }

    /// Until when more must be there, when so many bytes are.
    fn until(&self, read: usize) -> Instant {
        let secs = u64::try_from(read / self.rate).unwrap_or(u64::MAX);
        self.started + self.arrival + Duration::from_secs(secs)
    }
}

/// Takes some more of a body that is too long: a connection closed over unread bytes is reset, and
/// the client would never see why.
async fn drain(payload: &mut Payload, limit: usize) {
    let mut left = limit.saturating_mul(4);
    while let Some(Ok(chunk)) = payload.recv().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}

fn refused(request: WebRequest<DefaultError>, refusal: &Refusal, json: Json, request_id: &str) -> (HttpRequest, Response) {
    finish(request, refusal.response(json, request_id))
}

fn finish(request: WebRequest<DefaultError>, response: Response) -> (HttpRequest, Response) {
    (request.into_parts().0, response)
}
