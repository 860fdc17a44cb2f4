//! GraphQL over WebSocket. The embedded router's own server takes a bad token for an anonymous
//! caller and shares one plugin context between the operations of a socket; this one verifies
//! `connection_init` and gives each operation a request of its own.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use hive_router::{background_tasks::CancellationToken, sonic_rs};
use http::StatusCode;
use ntex::{
    chain,
    http::header,
    rt,
    service::{Service, fn_factory_with_config, fn_service, fn_shutdown},
    time::{Millis, sleep},
    util::Bytes,
    web::{self, HttpRequest, HttpResponse, test::TestRequest},
    ws::{Frame, Item, Message, WsSink},
};

use crate::{
    auth::{self, Viewer},
    config::Asked,
    door::Door,
    engine::Answer,
    live::{self, Event},
    operation::Operation,
    params,
    plugin::Caller,
    protocol::{self, Incoming},
    refusal::{self, Json, Refusal},
};

/// Time a client has for `connection_init`.
const INIT_WAIT: Duration = Duration::from_secs(10);
/// A ping goes out this often; three unanswered ones close the socket.
const PING_EVERY: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(65);
/// Time a client has to take what was sent, when its socket is full.
const STALL: Duration = Duration::from_secs(30);
const MAX_ID: usize = 128;

/// Upgrades a request to a socket.
pub(crate) async fn accept(
    door: Rc<Door>,
    request: HttpRequest,
    client: String,
    request_id: String,
) -> Result<HttpResponse, web::Error> {
    if door.sockets.get() >= door.limits.live_clients {
        let refusal =
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_CLIENTS", "Too many clients watch. Try again soon.");
        return Ok(refusal.response(Json::Plain, &request_id));
    }
    let known = web::ws::subprotocols(&request).any(|offered| offered == protocol::NAME);
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let factory = fn_factory_with_config(move |sink: WsSink| {
        let socket = Socket::new(door.clone(), sink, client.clone(), header.clone(), request_id.clone());
        async move { service(socket, known).await }
    });
    web::ws::start(request, known.then_some(protocol::NAME), factory).await
}

async fn service(
    socket: Rc<Socket>,
    known: bool,
) -> Result<impl Service<Frame, Response = Option<Message>, Error = io::Error>, web::Error> {
    socket.door.sockets.set(socket.door.sockets.get() + 1);
    if known {
        rt::spawn(socket.clone().watch());
    } else {
        let _ = socket.sink.send(protocol::close(4406, "Subprotocol not acceptable")).await;
    }
    let receiver = socket.clone();
    let frames = fn_service(move |frame| {
        let socket = receiver.clone();
        async move { Ok(socket.receive(frame)) }
    });
    let ended = fn_shutdown(async move || socket.end());
    Ok(chain(frames).and_then(ended))
}

/// One client's socket.
struct Socket {
    door: Rc<Door>,
    sink: WsSink,
    client: String,
    /// Authorization of the upgrade request, for clients that are not browsers.
    header: Option<String>,
    request_id: String,
    initialised: Cell<bool>,
    viewer: RefCell<Option<Viewer>>,
    operations: RefCell<HashMap<String, (u64, CancellationToken)>>,
    started: Cell<u64>,
    heard: Cell<Instant>,
    fragments: RefCell<Vec<u8>>,
    ended: Cell<bool>,
}

impl Socket {
    fn new(door: Rc<Door>, sink: WsSink, client: String, header: Option<String>, request_id: String) -> Rc<Self> {
        Rc::new(Self {
            door,
            sink,
            client,
            header,
            request_id,
            initialised: Cell::new(false),
            viewer: RefCell::default(),
            operations: RefCell::default(),
            started: Cell::new(0),
            heard: Cell::new(Instant::now()),
            fragments: RefCell::default(),
            ended: Cell::new(false),
        })
    }

    fn end(&self) {
        if !self.ended.replace(true) {
            self.door.sockets.set(self.door.sockets.get().saturating_sub(1));
        }
        for (_, (_, cancel)) in self.operations.borrow_mut().drain() {
            cancel.cancel();
        }
    }

    /// Closes a socket that never introduces itself, or that has gone, and all of them when the
    /// service stops.
    async fn watch(self: Rc<Self>) {
        let opened = Instant::now();
        let mut pinged = opened;
        while !self.ended.get() && !self.sink.io().is_closed() {
            tokio::select! {
                () = sleep(Millis(1_000)) => {}
                () = self.door.stopping.cancelled() => {
                    self.go_away().await;
                    return;
                }
            }
            if !self.initialised.get() && opened.elapsed() > INIT_WAIT {
                let _ = self.sink.send(protocol::close(4408, "Connection initialisation timeout")).await;
                return;
            }
            if self.heard.get().elapsed() > SILENCE {
                self.sink.io().close();
                return;
            }
            if pinged.elapsed() > PING_EVERY {
                pinged = Instant::now();
                let _ = self.sink.send(Message::Ping(Bytes::new())).await;
            }
        }
    }

    /// Ends every operation with the reason, then the socket.
    async fn go_away(&self) {
        let operations: Vec<_> = self.operations.borrow_mut().drain().collect();
        for (id, (_, cancel)) in operations {
            cancel.cancel();
            let _ = self.sink.send(self.refused(&id, &Refusal::restarting())).await;
        }
        let _ = self.sink.send(protocol::close(1001, refusal::RESTARTING_TEXT)).await;
    }

    fn receive(self: Rc<Self>, frame: Frame) -> Option<Message> {
        self.heard.set(Instant::now());
        match frame {
            Frame::Text(text) => self.message(&text),
            Frame::Continuation(item) => self.fragment(item),
            Frame::Ping(payload) => Some(Message::Pong(payload)),
            Frame::Pong(_) => None,
            Frame::Close(reason) => {
                self.end();
                Some(Message::Close(reason))
            }
            Frame::Binary(_) => Some(protocol::close(4400, "Text messages only")),
        }
    }

    fn fragment(self: Rc<Self>, item: Item) -> Option<Message> {
        let (part, last) = match item {
            Item::FirstText(part) | Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
            Item::FirstBinary(_) => return Some(protocol::close(4400, "Text messages only")),
        };
        let mut fragments = self.fragments.borrow_mut();
        if fragments.len() + part.len() > self.door.limits.body_bytes {
            return Some(protocol::close(1009, "Message too long"));
        }
        fragments.extend_from_slice(&part);
        let text = last.then(|| std::mem::take(&mut *fragments));
        drop(fragments);
        self.message(&text?)
    }

    fn message(self: Rc<Self>, text: &[u8]) -> Option<Message> {
        let Some(message) = Incoming::read(text) else {
            return Some(protocol::close(4400, "Invalid message"));
        };
        match message.kind.as_str() {
            "connection_init" => Some(self.initialise(&message)),
            "ping" => Some(protocol::pong()),
            "pong" => None,
            "subscribe" if self.initialised.get() => self.subscribe(message),
            "complete" if self.initialised.get() => {
                if let Some((_, cancel)) = self.operations.borrow_mut().remove(&message.id?) {
                    cancel.cancel();
                }
                None
            }
            "subscribe" | "complete" => Some(protocol::close(4401, "Unauthorized")),
            _ => Some(protocol::close(4400, "Invalid message type")),
        }
    }

    fn initialise(&self, message: &Incoming) -> Message {
        if self.initialised.get() {
            return protocol::close(4429, "Too many initialisation requests");
        }
        if let Some(token) = message.authorization().or_else(|| self.header.clone()) {
            match self.door.tokens.verify_header(&token) {
                Ok(viewer) => *self.viewer.borrow_mut() = Some(viewer),
                Err(refusal) => {
                    self.door.observer.refused(refusal.code);
                    return protocol::close_for(&refusal);
                }
            }
        }
        self.initialised.set(true);
        protocol::ack()
    }

    fn subscribe(self: Rc<Self>, message: Incoming) -> Option<Message> {
        let payload = message.payload_json();
        let (Some(id), Some(payload)) = (message.id, payload) else {
            return Some(protocol::close(4400, "Invalid message"));
        };
        if id.is_empty() || id.len() > MAX_ID {
            return Some(protocol::close(4400, "Invalid id"));
        }
        if self.operations.borrow().contains_key(&id) {
            return Some(protocol::close(4409, format!("Subscriber for {id} already exists")));
        }
        if self.operations.borrow().len() >= self.door.limits.operations_per_socket {
            let message = format!("One socket runs {} operations at once.", self.door.limits.operations_per_socket);
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "SUBSCRIPTION_LIMIT_EXCEEDED", message);
            return Some(self.refused(&id, &refusal));
        }
        match params::from_json(payload.as_bytes(), &self.door.engine.documents) {
            Ok(operation) => self.begin(id, operation),
            Err(refusal) => return Some(self.refused(&id, &refusal)),
        }
        None
    }

    fn begin(self: Rc<Self>, id: String, operation: Operation) {
        let serial = self.started.get() + 1;
        self.started.set(serial);
        let cancel = CancellationToken::new();
        self.operations.borrow_mut().insert(id.clone(), (serial, cancel.clone()));
        rt::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.operate(&id, operation, serial) => {}
            }
            let mut operations = self.operations.borrow_mut();
            if operations.get(&id).is_some_and(|(current, _)| *current == serial) {
                operations.remove(&id);
            }
        });
    }

    async fn operate(&self, id: &str, operation: Operation, serial: u64) {
        let viewer = self.viewer.borrow().clone();
        if let Some(refusal) = viewer.as_ref().and_then(Viewer::refusal) {
            self.send(self.refused(id, &refusal)).await;
            self.send(protocol::close_for(&refusal)).await;
            return;
        }
        let request_id = format!("{}-{serial}", self.request_id);
        let caller = Caller { viewer, request_id, client: self.client.clone(), trace_parent: None };
        if operation.is_subscription()
            && let Some(mut events) = live::join(&self.door, &operation, &caller).await
        {
            while let Some(event) = events.recv().await {
                self.send_event(id, &event).await;
            }
            self.end_stream(id).await;
            return;
        }
        self.execute(id, operation, caller).await;
    }

    async fn execute(&self, id: &str, operation: Operation, caller: Caller) {
        let viewer = caller.viewer.clone();
        let Some(mut answer) = self.run(operation, caller).await else { return };
        let single = !live::is_stream(&answer.response);
        let failed = !answer.response.status().is_success();
        let mut body = answer.response.take_body();
        let viewer = viewer.filter(|_| !answer.public);
        let mut text = Vec::new();
        let expiry = live::over(viewer.as_ref());
        tokio::pin!(expiry);
        loop {
            let chunk = tokio::select! {
                chunk = body.next() => chunk,
                refusal = &mut expiry, if !single => {
                    self.send(self.refused(id, &refusal)).await;
                    return;
                }
            };
            match chunk {
                Some(Ok(chunk)) if single => text.extend_from_slice(&chunk),
                Some(Ok(chunk)) => {
                    if let Some(event) = live::event(&chunk) {
                        self.send(protocol::next(id, event)).await;
                    }
                }
                Some(Err(_)) | None => break,
            }
        }
        if single {
            let text = String::from_utf8_lossy(&text);
            if failed {
                let errors = sonic_rs::get(text.as_bytes(), ["errors"]).ok();
                let errors = errors.as_ref().map_or("[]", |errors| errors.as_raw_str());
                return self.send(protocol::error(id, errors)).await;
            }
            self.send(protocol::next(id, &text)).await;
            return self.send(protocol::complete(id)).await;
        }
        self.end_stream(id).await;
    }

    /// Ends a stream: with the reason, when it is the stop of the service that ended it.
    async fn end_stream(&self, id: &str) {
        let stopping = self.door.stopping.is_cancelled();
        self.send(if stopping { self.refused(id, &Refusal::restarting()) } else { protocol::complete(id) }).await;
    }

    /// Runs the operation as a request of its own.
    async fn run(&self, operation: Operation, caller: Caller) -> Option<Answer> {
        let asked = Asked { request_id: caller.request_id.clone(), trace_parent: None, kind: "websocket" };
        let mut answered = None;
        let answer = async {
            let caller = Caller { trace_parent: self.door.observer.trace_parent(), ..caller };
            let answer = self.door.engine.run(&mut synthetic(&caller), operation, caller).await;
            let status = answer.response.status().as_u16();
            answered = Some(answer);
            status
        };
        self.door.observer.observe(asked, Box::pin(answer)).await;
        answered
    }

    async fn send_event(&self, id: &str, event: &Event) {
        if let Ok(text) = std::str::from_utf8(event) {
            self.send(protocol::next(id, text)).await;
        }
    }

    /// Sends when the client takes what was sent before; a client that does not is disconnected.
    async fn send(&self, message: Message) {
        let started = Instant::now();
        while self.sink.io().is_wr_backpressure() {
            if started.elapsed() > STALL {
                self.sink.io().close();
                return;
            }
            sleep(Millis(10)).await;
        }
        let _ = self.sink.send(message).await;
    }

    fn refused(&self, id: &str, refusal: &Refusal) -> Message {
        self.door.observer.refused(refusal.code);
        protocol::error(id, &refusal.errors_json(&self.request_id).to_string())
    }
}

/// The request that an operation of a socket would have been over HTTP.
pub(crate) fn synthetic(caller: &Caller) -> HttpRequest {
    let mut request = TestRequest::post()
        .uri("/graphql")
        .header("accept", "application/graphql-response+json, text/event-stream")
        .header("content-type", "application/json")
        .header("x-request-id", caller.request_id.as_str())
        .header("x-berth-client", caller.client.as_str());
    if let Some(parent) = &caller.trace_parent {
        request = request.header("traceparent", parent.as_str());
    }
    if let Some(viewer) = &caller.viewer {
        request = request.header("authorization", format!("Bearer {}", viewer.token)).header(auth::TICKET, viewer.ticket());
    }
    request.to_http_request()
}
