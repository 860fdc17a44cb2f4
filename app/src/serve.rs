//! `berth serve`: everything in one process. Two listeners: the public front door, and a loopback one on which the subgraphs
//! and the sandbox provider answer the router, live feeds and the payment adapter.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use async_trait::async_trait;
use axum::{Router, body::Body};
use berth_kernel::{
    auth::{AUDIENCE, ISSUER, TokenVerifier},
    random,
    server::Door,
};
use berth_migrations::SandboxMigrator;
use berth_payment::Sandbox;
use berth_router::{InProcess, PublicRoutes, RouterConfig, Subgraph};
use bytes::Bytes;
use fs2::FileExt;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::{
    config::{Config, Profile, Refusal, Transport},
    import, pages,
    schema::SUPERGRAPH,
    services::{Addresses, Common, Keys, Services, open},
};

/// Serves until SIGINT or SIGTERM.
pub fn run(config: Config) -> anyhow::Result<()> {
    let started = Instant::now();
    config.prepare_data_dir()?;
    start_log(&config);
    let _lock = lock(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("berth").build()?;
    runtime.block_on(serve(config, started))
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::new(&config.log);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber exists only in tests, where the first is as good.
    let _already_set = if config.profile == Profile::Production { log.json().try_init() } else { log.try_init() };
}

/// Two processes on one SQLite directory would each think they are the only writer.
fn lock(config: &Config) -> anyhow::Result<File> {
    let file = File::create(config.file("berth.lock"))?;
    let taken =
        || Refusal::new("data_dir", format!("{} is served by another process", config.data_dir.display()), "--data-dir ./data-2");
    FileExt::try_lock_exclusive(&file).map_err(|_| taken())?;
    Ok(file)
}

async fn serve(config: Config, started: Instant) -> anyhow::Result<()> {
    let keys = Keys::load(&config)?;
    let common = Common::new(&config, keys.sealer.clone())?;
    let listen = free_port(config.listen)?;
    let internal = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let internal_url = format!("http://{}", internal.local_addr()?);
    let addresses = addresses(&config, listen, &internal_url)?;
    let services = Services::open(&config, &common, &keys, &addresses).await?;
    if config.demo {
        import::demo(&services.inventory).await?;
    }
    let sandbox = sandbox(&config, &common, &addresses, listen).await?;
    let secret = random::token();
    let verifier = TokenVerifier::new(std::slice::from_ref(&keys.access), common.clock.clone());
    let doors = Doors::new(&services, &verifier, &secret);
    let mut loopback = doors.routes();
    let mut public = public_routes(&config, &common, &keys, &services);
    if let Some(sandbox) = &sandbox {
        loopback = loopback.nest("/provider", sandbox.provider_routes());
        public = public.merge(sandbox.public_routes());
    }
    let serving = axum::serve(internal, loopback);
    tokio::spawn(async move { serving.await });
    services.start();
    if let Some(sandbox) = &sandbox {
        sandbox.start(&common.cancel);
    }
    let router_config = RouterConfig {
        listen,
        supergraph_sdl: SUPERGRAPH.to_owned(),
        subgraphs: doors.subgraphs(&config, &internal_url),
        jwks_json: serde_json::json!({ "keys": [keys.access.jwk()] }).to_string(),
        jwt_issuer: ISSUER.to_owned(),
        jwt_audience: AUDIENCE.to_owned(),
        now_secs: now_secs(&common),
        service_secret: secret,
        graphiql: config.profile == Profile::Development,
        introspection: true,
        limits: berth_router::Limits::default(),
        workers: config.workers,
        allowed_origins: config.origins(),
    };
    let router = berth_router::start(router_config, Arc::new(Public(public)), tokio::runtime::Handle::current()).await?;
    announce(&config, router.address(), started)?;
    until_told_to_stop().await?;
    tracing::info!("berth.stopping");
    router.stop().await?;
    common.cancel.cancel();
    Ok(())
}

fn now_secs(common: &Common) -> berth_router::NowSecs {
    let clock = common.clock.clone();
    Arc::new(move || u64::try_from(clock.now().timestamp()).unwrap_or(0))
}

/// Port 0 is settled here, because links in mails and the provider's notices need the address before the door opens.
fn free_port(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    let bound = TcpListener::bind(listen)
        .map_err(|error| Refusal::new("listen", format!("{listen}: {error}"), "--listen 127.0.0.1:4001"))?;
    Ok(bound.local_addr()?)
}

fn addresses(config: &Config, listen: SocketAddr, internal_url: &str) -> anyhow::Result<Addresses> {
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{}", reachable(listen)));
    let sandbox_key = || sandbox_key(config);
    let provider_key = config.provider_server_key.clone().map_or_else(sandbox_key, Ok)?;
    let provider_url = config.provider_url.clone().unwrap_or_else(|| format!("{internal_url}/provider"));
    Ok(Addresses { public_url: public_url.trim_end_matches('/').to_owned(), provider_url, provider_key })
}

/// `0.0.0.0` is where to listen, not where to go.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() { SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port())) } else { listen }
}

/// The sandbox's server key is made once and kept, so that notices from before a restart still verify.
fn sandbox_key(config: &Config) -> anyhow::Result<String> {
    let file = config.file("keys/sandbox.key");
    if let Ok(key) = std::fs::read_to_string(&file) {
        return Ok(key);
    }
    let key = random::token();
    berth_kernel::auth::write_private(&file, key.as_bytes()).context("keys/sandbox.key")?;
    Ok(key)
}

async fn sandbox(config: &Config, common: &Common, addresses: &Addresses, listen: SocketAddr) -> anyhow::Result<Option<Sandbox>> {
    if config.provider_url.is_some() {
        return Ok(None);
    }
    let db = open::<SandboxMigrator>(&config.file("sandbox.sqlite")).await?;
    // Port 9 discards: a provider whose notifications never arrive.
    let door = if config.sandbox_webhooks { reachable(listen) } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 9)) };
    let notify = format!("http://{door}/webhooks/payments/sandbox");
    Ok(Some(Sandbox::new(db, common.clock.clone(), &addresses.provider_key, &notify)?))
}

fn public_routes(config: &Config, common: &Common, keys: &Keys, services: &Services) -> Router {
    let pages = pages::Pages {
        mail: common.mail.clone(),
        clock: common.clock.clone(),
        jwks: keys.jwks().into(),
        databases: services.databases.clone(),
        development: config.profile == Profile::Development,
    };
    pages::routes(pages).merge(services.payment.public_routes()).merge(services.booking.public_routes())
}

/// The routes of the app behind the front door.
struct Public(Router);

#[async_trait]
impl PublicRoutes for Public {
    async fn call(&self, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let answer = self.0.clone().oneshot(request.map(Body::from)).await;
        let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
        // Every route answers with a body in memory; reading it can't fail.
        let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        http::Response::from_parts(parts, bytes)
    }
}

/// The four subgraphs, each behind its door.
struct Doors(Vec<(&'static str, Arc<dyn InProcess>, Router)>);

impl Doors {
    fn new(services: &Services, verifier: &TokenVerifier, secret: &str) -> Self {
        let mut doors: Vec<(&'static str, Arc<dyn InProcess>, Router)> = Vec::with_capacity(4);
        macro_rules! open_door {
            ($name:literal, $service:expr) => {
                let door = Door::new($service.schema(), $service.prepare(), verifier.clone(), secret);
                doors.push(($name, Arc::new(Inside(door.clone())), door.routes()));
            };
        }
        open_door!("user", services.user);
        open_door!("inventory", services.inventory);
        open_door!("booking", services.booking);
        open_door!("payment", services.payment);
        Self(doors)
    }

    fn routes(&self) -> Router {
        self.0.iter().fold(Router::new(), |all, (name, _, routes)| all.nest(&format!("/{name}"), routes.clone()))
    }

    fn subgraphs(&self, config: &Config, internal_url: &str) -> Vec<Subgraph> {
        let in_process = config.subgraph_transport == Transport::InProcess;
        let subgraph = |(name, inside, _): &(&'static str, Arc<dyn InProcess>, Router)| Subgraph {
            name: (*name).to_owned(),
            url: format!("{internal_url}/{name}/graphql"),
            executor: in_process.then(|| inside.clone()),
        };
        self.0.iter().map(subgraph).collect()
    }
}

/// A door used from the same process.
struct Inside<E>(Door<E>);

#[async_trait]
impl<E: async_graphql::Executor> InProcess for Inside<E> {
    async fn execute(&self, headers: http::HeaderMap, body: Bytes) -> Bytes {
        let authorization = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.0.execute(authorization, &body).await.into()
    }
}

#[expect(clippy::print_stdout, reason = "the first thing a newcomer reads")]
fn announce(config: &Config, address: SocketAddr, started: Instant) -> anyhow::Result<()> {
    let url = format!("http://{}", reachable(address));
    println!("Berth is ready after {} ms.", started.elapsed().as_millis());
    println!("  {url}/           where everything is");
    println!("  {url}/graphql    the graph");
    if config.profile == Profile::Development {
        println!("  {url}/graphiql   the graph, for people: try the tabs from left to right");
        println!("  {url}/dev/mail   caught mail: your one-time password is there");
    }
    std::fs::write(config.file("berth.addr"), format!("{address}\n"))?;
    Ok(())
}

async fn until_told_to_stop() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
