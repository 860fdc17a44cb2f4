//! A front door before two small real subgraphs, reached in process or over HTTP.
#![allow(clippy::disallowed_methods, reason = "a test may stop at the first surprise")]
#![allow(dead_code, reason = "each test file uses a part of the rig")]

pub mod socket;
pub mod subgraphs;

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use berth_router::{Limits, PublicRoutes, RouterConfig, RunningRouter, Subgraph, SubgraphCall, start};
use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey, pkcs8::EncodePrivateKey};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use subgraphs::Live;

pub const SECRET: &str = "a-service-secret-of-decent-length";
pub const ISSUER: &str = "berth";
pub const AUDIENCE: &str = "berth-graph";

/// Which way the front door takes to its subgraphs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    InProcess,
    Http,
}

pub struct Rig {
    pub router: RunningRouter,
    pub client: reqwest::Client,
    pub live: Arc<Live>,
}

impl Rig {
    pub async fn start(way: Way) -> Self {
        Self::with(way, |_| {}).await
    }

    pub async fn with(way: Way, change: impl FnOnce(&mut RouterConfig)) -> Self {
        let live = Arc::new(Live::default());
        let catalog = subgraphs::catalog(live.clone());
        let accounts = subgraphs::accounts();
        let catalog_url = subgraphs::serve(catalog.clone()).await;
        let accounts_url = subgraphs::serve(accounts.clone()).await;
        let local = way == Way::InProcess;
        let mut config = config();
        config.subgraphs = vec![
            Subgraph { name: "catalog".into(), url: catalog_url, executor: local.then_some(catalog as Arc<dyn SubgraphCall>) },
            Subgraph { name: "accounts".into(), url: accounts_url, executor: local.then_some(accounts as Arc<dyn SubgraphCall>) },
        ];
        change(&mut config);
        let router = start(config, Arc::new(Pages::default()), tokio::runtime::Handle::current()).await.expect("starts");
        Self { router, client: reqwest::Client::new(), live }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.router.address())
    }

    pub fn post(&self, body: &Value) -> reqwest::RequestBuilder {
        self.client
            .post(self.url("/graphql"))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(body.to_string())
    }

    /// Sends a query and gives status and body.
    pub async fn query(&self, query: &str, token: Option<&str>) -> (u16, Value) {
        let mut request = self.post(&json!({ "query": query }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        read(request).await
    }
}

pub async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}")))
}

/// The code of the first error.
pub fn code(body: &Value) -> &str {
    body["errors"][0]["extensions"]["code"].as_str().unwrap_or("none")
}

fn config() -> RouterConfig {
    RouterConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        supergraph_sdl: include_str!("../fixtures/supergraph.graphql").to_owned(),
        subgraphs: vec![],
        keys: std::sync::Arc::new(|kid| (kid == "k1").then(public)),
        jwt_issuer: ISSUER.to_owned(),
        jwt_audience: AUDIENCE.to_owned(),
        now_secs: std::sync::Arc::new(now),
        sessions: Arc::new(berth_router::Unending),
        service_secret: SECRET.to_owned(),
        document_key: [9; 16],
        graphiql: true,
        introspection: true,
        limits: Limits { execution: Duration::from_secs(2), ..Limits::default() },
        workers: Some(2),
        allowed_origins: vec!["https://shop.example".to_owned()],
        public_url: "http://127.0.0.1:4000".to_owned(),
        home_paths: vec!["/graphiql"],
        trusted_proxies: 1,
        observer: Arc::new(berth_router::Unobserved),
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public() -> String {
    URL_SAFE_NO_PAD.encode(key().verifying_key().as_bytes())
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub fn claims(user: &str) -> Value {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": user, "exp": now() + 600, "roles": ["USER"] })
}

/// A token that the front door accepts.
pub fn token(user: &str) -> String {
    signed("at+jwt", &claims(user))
}

pub fn signed(kind: &str, claims: &Value) -> String {
    let der = key().to_pkcs8_der().expect("a key");
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(kind.to_owned());
    header.kid = Some("k1".to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(der.as_bytes())).expect("a token")
}

/// A token with a header of the caller's choice, and the given signature.
pub fn forged(header: &Value, claims: &Value, sign: bool) -> String {
    let head = URL_SAFE_NO_PAD.encode(header.to_string());
    let body = URL_SAFE_NO_PAD.encode(claims.to_string());
    let text = format!("{head}.{body}");
    let signature = if sign { URL_SAFE_NO_PAD.encode(key().sign(text.as_bytes()).to_bytes()) } else { String::new() };
    format!("{text}.{signature}")
}

/// Signed with the public key as an HMAC secret: the classic confusion of algorithms.
pub fn confused(claims: &Value) -> String {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some("k1".to_owned());
    let secret = EncodingKey::from_secret(key().verifying_key().as_bytes());
    jsonwebtoken::encode(&header, claims, &secret).expect("a token")
}

#[derive(Default)]
struct Pages {
    calls: AtomicUsize,
}

#[async_trait]
impl PublicRoutes for Pages {
    async fn call(&self, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let peer = request.extensions().get::<std::net::SocketAddr>().is_some();
        let text = format!("{} {} {} {peer}", request.method(), request.uri(), request.body().len());
        http::Response::builder().status(202).header("x-page", "yes").body(text.into()).expect("a response")
    }
}
