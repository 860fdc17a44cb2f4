//! The router's way to subgraphs in other processes. The embedded router knows no replicas, no breakers and no credentials
//! that change, so queries go over a [`Line`] and live feeds through a relay on the loopback interface
//! (docs/decisions/0011-remote-subgraphs.md).

mod relay;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use berth_kernel::{
    metrics::{self, PeerCall},
    peer::{Call, Failure, Line, Passed, Repeat, bundle::Bundler},
    random,
    service::ServiceSigner,
};
use berth_router::{NO_ANSWER, Subgraph, SubgraphCall};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio_util::sync::CancellationToken;

/// How long a subgraph may take: as long as the front door waits.
const LIMIT: Duration = Duration::from_secs(10);
/// The headers of a client that the public routes of a service see. Nothing else goes in: least of all what says who calls.
const INWARD: [HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::IF_NONE_MATCH, header::USER_AGENT];
/// Headers of one connection, not of the answer.
const OF_A_CONNECTION: [HeaderName; 4] =
    [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, HeaderName::from_static("keep-alive")];

/// The subgraphs in other processes, as the router calls them.
#[derive(Clone)]
pub struct Subgraphs {
    ways: Arc<[Bundler]>,
    relay: std::net::SocketAddr,
    secret: Arc<str>,
}

impl Subgraphs {
    /// Subgraphs by their names, each at its base URLs (`http://127.0.0.1:4102`). Opens the relay, which ends with `cancel`.
    pub async fn new(signer: &ServiceSigner, places: &[(&str, Vec<String>)], cancel: CancellationToken) -> io::Result<Self> {
        let way = |(name, urls): &(&str, Vec<String>)| Line::new(signer.clone(), name, urls).map(Bundler::new);
        let ways: Arc<[Bundler]> = places.iter().map(way).collect::<Result<_, _>>().map_err(io::Error::other)?;
        let secret: Arc<str> = random::token().into();
        let relay = relay::serve(ways.clone(), secret.clone(), cancel).await?;
        Ok(Self { ways, relay, secret })
    }

    /// What the front door sends with every call (`RouterConfig::service_secret`): it opens the relay, and no subgraph.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The subgraphs for the front door. Put another executor in for those of this process.
    pub fn list(&self) -> Vec<Subgraph> {
        let subgraph = |way: &Bundler| {
            let name = way.line().replicas().service();
            let url = format!("http://{}/{name}/graphql", self.relay);
            Subgraph { name: name.to_owned(), url, executor: Some(Arc::new(Remote(way.clone()))) }
        };
        self.ways.iter().map(subgraph).collect()
    }

    /// Answers a request to a public route (`/webhooks/...`) by the service that has it.
    pub async fn forward(&self, service: &str, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let Some(line) = way(&self.ways, service).map(Bundler::line) else {
            return plain(StatusCode::NOT_FOUND, "NOT_FOUND");
        };
        let counted = PeerCall::to(service);
        match line.send(public_call(&path(request.uri()), request)).await {
            Ok(mut answer) => {
                counted.ended("ok");
                for name in OF_A_CONNECTION {
                    answer.headers_mut().remove(name);
                }
                answer
            }
            Err(failure) => {
                counted.ended(failure.outcome());
                failed(service, &failure);
                metrics::told("SERVICE_UNAVAILABLE");
                plain(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE")
            }
        }
    }
}

/// The way to a service.
fn way<'a>(ways: &'a [Bundler], service: &str) -> Option<&'a Bundler> {
    ways.iter().find(|way| way.line().replicas().service() == service)
}

fn path(uri: &http::Uri) -> String {
    format!("/public{}", uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
}

fn public_call(path: &str, request: http::Request<Bytes>) -> Call<'_> {
    let (parts, body) = request.into_parts();
    let deadline = Instant::now() + LIMIT;
    let mut headers = Passed::of(&parts.headers).headers(deadline);
    for name in INWARD {
        if let Some(value) = parts.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let repeat = if parts.method.is_safe() { Repeat::Safe } else { Repeat::Unsent };
    Call { method: parts.method, path, headers, body, repeat, deadline }
}

fn failed(service: &str, failure: &Failure) {
    tracing::error!(peer.service = service, reason = %failure, "subgraph.call.failed");
}

/// An answer of our own to a public route.
fn plain(status: StatusCode, code: &str) -> http::Response<Bytes> {
    let error = serde_json::json!({ "extensions": { "code": code, "retryable": status == StatusCode::SERVICE_UNAVAILABLE } });
    let mut answer = http::Response::new(serde_json::json!({ "errors": [error] }).to_string().into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// One subgraph: queries and mutations.
struct Remote(Bundler);

impl Remote {
    async fn call(&self, from: &HeaderMap, body: Bytes, repeat: Repeat) -> Bytes {
        let deadline = Instant::now() + LIMIT;
        let mut headers = Passed::of(from).headers(deadline);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let call = Call { method: Method::POST, path: "/graphql", headers, body, repeat, deadline };
        let service = self.0.line().replicas().service();
        let counted = PeerCall::to(service);
        match self.0.send(call).await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                counted.ended("ok");
                answer.into_body()
            }
            Ok(answer) => {
                counted.ended("failed");
                tracing::error!(peer.service = service, status = answer.status().as_u16(), "subgraph.call.refused");
                Bytes::from_static(NO_ANSWER)
            }
            Err(failure) => {
                counted.ended(failure.outcome());
                failed(service, &failure);
                Bytes::from_static(NO_ANSWER)
            }
        }
    }
}

#[async_trait]
impl SubgraphCall for Remote {
    async fn execute(&self, headers: HeaderMap, body: Bytes) -> Bytes {
        self.call(&headers, body, Repeat::Safe).await
    }

    async fn execute_mutation(&self, headers: HeaderMap, body: Bytes) -> Bytes {
        self.call(&headers, body, Repeat::Unsent).await
    }

    fn runs_anywhere(&self) -> bool {
        true
    }
}
