//! The listener, its workers, and a graceful stop.

use std::{future::Future, net::SocketAddr, rc::Rc, sync::Arc, thread::JoinHandle, time::Duration};

use hive_router::{background_tasks::CancellationToken, build_http_service_config, init_rustls_crypto_provider};
use ntex::{
    SharedCfg,
    time::Seconds,
    web::{App, DefaultError, HttpServer, WebRequest},
};
use tokio::{net::TcpSocket, runtime::Handle, sync::oneshot};

use crate::{
    auth::TokenVerifier,
    config::{PublicRoutes, RouterConfig, RouterError},
    door::{Door, Shared},
    engine::Engine,
    hosts::Home,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How long a stopping service still accepts: each answer of this time tells its client to connect anew, so that few
/// connections are left to be cut when the listener closes.
const LEAVING: Duration = Duration::from_millis(250);
/// Time that open requests get to finish when the service stops.
const GRACE: Seconds = Seconds(10);

/// A front door that runs on threads of its own.
#[derive(Debug)]
pub struct RunningRouter {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), RouterError>>,
}

impl RunningRouter {
    /// The address in use, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the front door has ended by itself.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends streams, lets open requests finish, and waits for the threads.
    pub async fn stop(self) -> Result<(), RouterError> {
        let _ = self.stop.send(());
        joined(self.thread).await
    }
}

async fn joined(thread: JoinHandle<Result<(), RouterError>>) -> Result<(), RouterError> {
    let ended = tokio::task::spawn_blocking(move || thread.join()).await;
    ended.map_err(|_| RouterError::Ended)?.map_err(|_| RouterError::Ended)?
}

/// Starts the front door on threads of its own and returns once it answers. `runtime` runs the
/// subgraphs of this process and the public routes.
pub async fn start(config: RouterConfig, routes: Arc<dyn PublicRoutes>, runtime: Handle) -> Result<RunningRouter, RouterError> {
    let (ready, bound) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("router".to_owned()).spawn(move || {
        let door = serve(
            config,
            routes,
            runtime,
            move |address| {
                let _ = ready.send(address);
            },
            async move { drop(stopped.await) },
        );
        ntex::rt::System::build().name("router").build(ntex::rt::DefaultRuntime).block_on(door)
    })?;
    match bound.await {
        Ok(address) => Ok(RunningRouter { address, stop, thread }),
        Err(_) => Err(joined(thread).await.err().unwrap_or(RouterError::Ended)),
    }
}

/// Serves the public port until `shutdown` resolves. Must run inside an ntex system, on its thread:
/// `ntex::rt::System::build().build(ntex::rt::DefaultRuntime).block_on(serve(..))`; [`start`] does that.
/// `ready` gets the bound address once requests are answered.
pub async fn serve(
    config: RouterConfig,
    routes: Arc<dyn PublicRoutes>,
    runtime: Handle,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()> + 'static,
) -> Result<(), RouterError> {
    install_tls();
    let tokens = TokenVerifier::new(&config);
    let listener = listen(config.listen)?;
    let address = listener.local_addr()?;
    let (engine, tasks) = Engine::start(&config, &runtime).await?;
    let stopping = CancellationToken::new();
    let shared = Shared {
        engine: engine.clone(),
        tokens: Arc::new(tokens),
        routes,
        runtime,
        limits: Arc::new(config.limits),
        graphiql: config.graphiql,
        allowed_origins: config.allowed_origins.into(),
        https: config.public_url.starts_with("https://"),
        home: Arc::new(Home::new(config.home_paths, &config.public_url)),
        trusted_proxies: config.trusted_proxies,
        observer: config.observer,
        stopping: stopping.clone(),
    };
    let settings = SharedCfg::new("BERTH").add(build_http_service_config(engine.hive_config()));
    let mut server = HttpServer::new(async move || {
        let door = Rc::new(Door::new(shared.clone()));
        App::new().default_service(move |request: WebRequest<DefaultError>| door.clone().answer(request))
    })
    .config(settings)
    .disable_signals()
    .shutdown_timeout(GRACE);
    if let Some(workers) = config.workers {
        server = server.workers(workers);
    }
    let server = server.listen(listener)?.run();
    ready(address);
    let handle = server.clone();
    let streams = engine.clone();
    ntex::rt::spawn(async move {
        shutdown.await;
        stopping.cancel();
        streams.close_streams();
        ntex::time::sleep(LEAVING).await;
        handle.stop(true).await;
    });
    let ended = server.await;
    engine.stop(tasks).await;
    Ok(ended?)
}

fn listen(address: SocketAddr) -> Result<std::net::TcpListener, RouterError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    bound().map_err(|source| RouterError::Listen { address, source })
}

/// The embedded router's HTTP client asks for a process-wide TLS provider, even for plain HTTP.
fn install_tls() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(init_rustls_crypto_provider);
}
