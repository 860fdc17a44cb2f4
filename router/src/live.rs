//! One upstream per live feed and worker, however many people watch it.
//!
//! `seatAvailability` is the same for everybody, so its watchers share one upstream subscription and
//! the bytes of each event. The embedded router can share streams too, but whoever joins late then
//! misses the snapshot that the contract promises first. Here each watcher starts with an event of its
//! own (the snapshot, or the changes since a version) and continues with the shared events that are
//! newer. A watcher that lags behind starts over with a snapshot instead of missing changes silently.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hive_router::{
    graphql_tools::static_graphql::query::{Document, Field, OperationDefinition, Selection},
    sonic_rs::{self, JsonValueTrait},
};
use ntex::{
    http::{
        body::{Body, ResponseBody},
        header,
    },
    rt,
    web::{HttpRequest, HttpResponse},
};
use tokio::sync::{broadcast, mpsc};

use crate::{
    auth::Viewer,
    door::Door,
    framing::Form,
    operation::Operation,
    plugin::Caller,
    refusal::{Refusal, Told},
    rules,
    walk::sums::operations_of,
    websocket::synthetic,
};

/// The JSON of one event.
pub(crate) type Event = Bytes;

/// Events a watcher may be behind before it starts over.
const LAG: usize = 256;
/// Events on their way to one client.
const IN_FLIGHT: usize = 16;
/// The field whose feed is shared.
const SHARED_FIELD: &str = "seatAvailability";

/// The shared upstreams of one worker.
#[derive(Default)]
pub(crate) struct Feeds(HashMap<Rc<Key>, broadcast::Sender<Event>>);

/// What a feed is known by: the whole of what it was asked with.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    query: String,
    operation_name: Option<String>,
    /// As JSON.
    variables: String,
}

/// An operation whose events may be shared, and where its version stands in them.
struct Shareable {
    key: Rc<Key>,
    root: String,
    version: String,
}

impl Shareable {
    fn read(operation: &Operation) -> Option<Self> {
        let params = &operation.params;
        let field = shared_field(&operation.known.document)?;
        let version = field.selection_set.items.iter().find_map(|selection| match selection {
            Selection::Field(field) if field.name == "version" && field.directives.is_empty() => Some(response_key(field)),
            _ => None,
        })?;
        let variables: BTreeMap<_, _> = params.variables.iter().collect();
        let key = Key {
            query: params.query.clone()?,
            operation_name: params.operation_name.clone(),
            variables: sonic_rs::to_string(&variables).ok()?,
        };
        Some(Self { key: key.into(), root: response_key(field), version })
    }

    /// The version of an event; `None` when it carries none, such as an error.
    fn version_of(&self, event: &[u8]) -> Option<u64> {
        let path = ["data", self.root.as_str(), self.version.as_str()];
        let value = sonic_rs::get(event, path).ok()?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }
}

fn shared_field(document: &Document) -> Option<&Field> {
    let mut operations = operations_of(document);
    let operation = operations.next().filter(|operation| matches!(operation, OperationDefinition::Subscription(_)))?;
    if operations.next().is_some() {
        return None;
    }
    match rules::root_fields(operation, document).as_slice() {
        [field] if field.name == SHARED_FIELD && field.directives.is_empty() => Some(field),
        _ => None,
    }
}

fn response_key(field: &Field) -> String {
    field.alias.as_ref().unwrap_or(&field.name).clone()
}

/// Joins the feed of an operation. `None` when it cannot be shared or did not start: then it runs
/// like any other operation and tells its client why.
pub(crate) async fn join(door: &Rc<Door>, operation: &Operation, caller: &Caller) -> Option<mpsc::Receiver<Event>> {
    let shareable = Shareable::read(operation)?;
    let watcher = Watcher { door: door.clone(), shareable, operation: operation.copy(), caller: caller.clone() };
    // attached before the own event is taken, so that no change falls between the two
    let shared = watcher.attach();
    let own = watcher.open().await?;
    let (out, events) = mpsc::channel(IN_FLIGHT);
    rt::spawn(watcher.follow(shared, own, out));
    Some(events)
}

struct Watcher {
    door: Rc<Door>,
    shareable: Shareable,
    operation: Operation,
    caller: Caller,
}

impl Watcher {
    fn attach(&self) -> broadcast::Receiver<Event> {
        let mut feeds = self.door.feeds.borrow_mut();
        if let Some(feed) = feeds.0.get(&self.shareable.key) {
            return feed.subscribe();
        }
        let (feed, events) = broadcast::channel(LAG);
        feeds.0.insert(self.shareable.key.clone(), feed.clone());
        rt::spawn(pump(self.door.clone(), self.shareable.key.clone(), self.operation.copy(), self.caller.clone(), feed));
        events
    }

    /// A subscription of its own; `None` when it did not start.
    async fn open(&self) -> Option<ResponseBody<Body>> {
        open(&self.door, self.operation.copy(), self.caller.clone()).await
    }

    async fn follow(self, mut shared: broadcast::Receiver<Event>, own: ResponseBody<Body>, out: mpsc::Sender<Event>) {
        let Some(mut known) = self.start(own, &out).await else { return };
        let (mut settled, mut told) = (false, false);
        loop {
            let event = tokio::select! {
                event = shared.recv() => event,
                () = out.closed() => return,
            };
            match event {
                Ok(event) => {
                    let version = self.shareable.version_of(&event);
                    // events from before the own one are already part of it
                    settled = settled || version.is_some_and(|version| version > known);
                    // an error has no version, and ends the feed
                    told = version.is_none();
                    if (settled || told) && out.send(event).await.is_err() {
                        return;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let Some(own) = self.open().await else { return };
                    let Some(version) = self.start(own, &out).await else { return };
                    known = version;
                    settled = false;
                }
                Err(broadcast::error::RecvError::Closed) => {
                    // no watcher ends a feed: its subgraph went away
                    if told {
                        return;
                    }
                    let _ = out.send(last_event(&self.door, &Refusal::restarting(), &self.caller.request_id)).await;
                    return;
                }
            }
        }
    }

    /// Sends the first event and returns its version. An event without a version is not the start of
    /// a feed: then the client gets the rest of its own stream, and `None` comes back at its end.
    async fn start(&self, mut own: ResponseBody<Body>, out: &mpsc::Sender<Event>) -> Option<u64> {
        loop {
            let event = tokio::select! {
                event = next_event(&mut own) => event?,
                () = out.closed() => return None,
            };
            let version = self.shareable.version_of(&event);
            out.send(event).await.ok()?;
            if version.is_some() {
                return version;
            }
        }
    }
}

/// Passes the events of one upstream on until nobody listens.
async fn pump(door: Rc<Door>, key: Rc<Key>, operation: Operation, caller: Caller, feed: broadcast::Sender<Event>) {
    // public data: the feed must not end with the token of whoever came first
    let caller = Caller { viewer: None, ..caller };
    if let Some(mut upstream) = open(&door, operation, caller).await {
        loop {
            tokio::select! {
                event = next_event(&mut upstream) => match event {
                    Some(event) => drop(feed.send(event)),
                    None => break,
                },
                () = feed.closed() => break,
            }
        }
    }
    let mut feeds = door.feeds.borrow_mut();
    if feeds.0.get(&key).is_some_and(|current| current.same_channel(&feed)) {
        feeds.0.remove(&key);
    }
}

async fn open(door: &Door, operation: Operation, caller: Caller) -> Option<ResponseBody<Body>> {
    let mut answer = door.engine.run(&mut synthetic(&caller), operation, caller).await;
    is_stream(&answer.response).then(|| answer.response.take_body())
}

async fn next_event(body: &mut ResponseBody<Body>) -> Option<Event> {
    while let Some(Ok(chunk)) = body.next().await {
        if let Some(text) = event(&chunk) {
            return Some(Bytes::copy_from_slice(text.as_bytes()));
        }
    }
    None
}

/// Whether an answer is a stream of server-sent events.
pub(crate) fn is_stream(response: &HttpResponse) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"))
}

/// The JSON in one chunk of the embedded router's event stream: each chunk is one event.
pub(crate) fn event(chunk: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(chunk).ok()?;
    Some(text.strip_prefix("event: next\ndata: ")?.trim_end_matches('\n'))
}

/// A subscription as an HTTP stream, in the form that the client accepts. `None` when the operation
/// is none or does not start: then it runs like a query and tells its client why.
pub(crate) async fn over_http(
    door: &Rc<Door>,
    request: &HttpRequest,
    operation: &Operation,
    caller: &Caller,
) -> Option<HttpResponse> {
    let form = Form::accepted(request)?;
    let slot = door.engine.reserve_stream()?;
    let events = match join(door, operation, caller).await {
        Some(events) => events,
        None => alone(door, operation, caller).await?,
    };
    let events = stream::unfold((events, slot), |(mut events, slot)| async move {
        let event = events.recv().await?;
        Some((event, (events, slot)))
    });
    Some(form.response(Box::pin(events)))
}

/// A subscription of its own. A private one ends when its token or its session does.
async fn alone(door: &Rc<Door>, operation: &Operation, caller: &Caller) -> Option<mpsc::Receiver<Event>> {
    let mut answer = door.engine.run(&mut synthetic(caller), operation.copy(), caller.clone()).await;
    if !is_stream(&answer.response) {
        return None;
    }
    let viewer = caller.viewer.clone().filter(|_| !answer.public);
    let body = answer.response.take_body();
    let (out, events) = mpsc::channel(IN_FLIGHT);
    rt::spawn(pass_on(door.clone(), body, viewer, out, caller.request_id.clone()));
    Some(events)
}

async fn pass_on(
    door: Rc<Door>,
    mut body: ResponseBody<Body>,
    viewer: Option<Viewer>,
    out: mpsc::Sender<Event>,
    request_id: String,
) {
    let expiry = over(viewer.as_ref());
    tokio::pin!(expiry);
    loop {
        let event = tokio::select! {
            event = next_event(&mut body) => event,
            () = out.closed() => return,
            refusal = &mut expiry => {
                let _ = out.send(last_event(&door, &refusal, &request_id)).await;
                return;
            }
        };
        let Some(event) = event else { return };
        if out.send(event).await.is_err() {
            return;
        }
    }
}

/// The last event of a stream that ends for this reason.
fn last_event(door: &Door, refusal: &Refusal, request_id: &str) -> Event {
    door.observer.refused(refusal.code);
    refusal.event(request_id)
}

/// Waits until the caller's token is worth nothing, and tells why; for ever where nobody is signed in.
pub(crate) async fn over(viewer: Option<&Viewer>) -> Refusal {
    match viewer {
        Some(viewer) => viewer.over().await,
        None => std::future::pending().await,
    }
}

/// A single answer as the only event of a stream.
pub(crate) async fn as_stream(request: &HttpRequest, mut answer: HttpResponse) -> HttpResponse {
    let Some(form) = Form::accepted(request) else { return answer };
    let mut text = Vec::new();
    let told = answer.extensions_mut().remove::<Told>();
    let mut body = answer.take_body();
    while let Some(Ok(chunk)) = body.next().await {
        text.extend_from_slice(&chunk);
    }
    let response = form.response(stream::iter([Event::from(text)]));
    if let Some(told) = told {
        response.extensions_mut().insert(told);
    }
    response
}

/// Whether an answer is one JSON document.
pub(crate) fn is_json(response: &HttpResponse) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Limits, documents::Documents, params, walk::shape::Shape};

    fn shareable(query: &str) -> Option<Shareable> {
        let documents = Documents::new(&Limits::default(), [0; 16], Shape::empty());
        let body = serde_json::json!({ "query": query }).to_string();
        Shareable::read(&params::from_json(body.as_bytes(), &documents).ok()?)
    }

    #[test]
    fn only_versioned_seat_feeds_are_shared() {
        assert!(shareable("subscription { seatAvailability(tripId: 1) { version seats { seatId } } }").is_some());
        assert!(shareable("subscription { seatAvailability(tripId: 1) { seats { seatId } } }").is_none());
        assert!(shareable("subscription { bookingStatus(bookingId: 1) { version } }").is_none());
        assert!(shareable("{ seatAvailability { version } }").is_none());
        assert!(
            shareable("subscription A { seatAvailability { version } } subscription B { seatAvailability { version } }")
                .is_none()
        );
    }

    #[test]
    fn the_version_is_found_under_aliases() {
        let found = shareable("subscription { live: seatAvailability(tripId: 1) { v: version } }").expect("shareable");
        assert_eq!(found.version_of(br#"{"data":{"live":{"v":"42"}}}"#), Some(42));
        assert_eq!(found.version_of(br#"{"data":{"live":{"v":7}}}"#), Some(7));
        assert_eq!(found.version_of(br#"{"data":null,"errors":[]}"#), None);
    }

    #[test]
    fn heartbeats_and_ends_are_no_events() {
        assert_eq!(event(b"event: next\ndata: {\"a\":1}\n\n"), Some("{\"a\":1}"));
        assert_eq!(event(b":\n\n"), None);
        assert_eq!(event(b"event: complete\n\n"), None);
    }
}
