//! The listener, its workers, and a graceful stop.

use std::{future::Future, net::SocketAddr, num::NonZeroUsize, rc::Rc, sync::Arc, thread::JoinHandle, time::Duration};

use hive_router::{background_tasks::CancellationToken, build_http_service_config, init_rustls_crypto_provider};
use ntex::{
    SharedCfg, chain_factory,
    http::HttpService,
    io::Io,
    server::{self, Server},
    service::{ServiceFactory, fn_service},
    time::Seconds,
    web::{App, DefaultError, WebRequest},
};
use tokio::{net::TcpSocket, runtime::Handle, sync::oneshot};

use crate::{
    auth::TokenVerifier,
    client::Clients,
    config::{PublicRoutes, RouterConfig, RouterError},
    connections::{Connections, end_dead_peers},
    door::{Door, Shared},
    engine::Engine,
    gate::Gate,
    hosts::Home,
    places::Places,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4_096;
/// How long a stopping service still accepts: each answer of this time tells its client to connect anew, so that few
/// connections are left to be cut when the listener closes.
const LEAVING: Duration = Duration::from_millis(250);
/// Connections that are being told that there is no place for them.
const SPARE: usize = 1_024;
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
    let listener = listen(config.listen, config.limits.stall)?;
    let address = listener.local_addr()?;
    let (engine, tasks) = Engine::start(&config, &runtime).await?;
    let stopping = CancellationToken::new();
    let workers = config.workers;
    let shared = shared(config, &engine, tokens, routes, runtime, stopping.clone());
    let server = server(shared, workers, listener)?;
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

fn shared(
    config: RouterConfig,
    engine: &Engine,
    tokens: TokenVerifier,
    routes: Arc<dyn PublicRoutes>,
    runtime: Handle,
    stopping: CancellationToken,
) -> Shared {
    let limits = config.limits;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Shared {
        engine: engine.clone(),
        tokens: Arc::new(tokens),
        routes,
        runtime,
        graphiql: config.graphiql,
        allowed_origins: config.allowed_origins.into(),
        https: config.public_url.starts_with("https://"),
        home: Arc::new(Home::new(config.home_paths, &config.public_url)),
        clients: Clients { trusted_proxies: config.trusted_proxies, private: config.private_clients },
        budgets: config.budgets,
        // Half of the machine is for those who ask little.
        gate: Gate::new(cores / 2),
        sockets: Places::new(limits.live_clients, limits.connections_of_client),
        streams: Places::new(limits.live_clients, limits.connections_of_client),
        limits: Arc::new(limits),
        observer: config.observer,
        stopping,
    }
}

fn server(shared: Shared, workers: Option<usize>, listener: std::net::TcpListener) -> std::io::Result<Server> {
    let limits = shared.limits.clone();
    let arrival = Seconds(u16::try_from(limits.arrival.as_secs()).unwrap_or(u16::MAX));
    let http = build_http_service_config(shared.engine.hive_config()).set_client_timeout(arrival);
    let settings: SharedCfg = SharedCfg::new("BERTH").add(http).into();
    let connections = Connections {
        places: Places::new(limits.connections, limits.connections_of_client),
        clients: shared.clients,
        observer: shared.observer.clone(),
    };
    // Where this server would stop to accept, nobody would hear why.
    let mut builder = server::build().disable_signals().shutdown_timeout(GRACE).maxconn(limits.connections + SPARE);
    if let Some(workers) = workers {
        builder = builder.workers(workers);
    }
    let builder = builder.listen("berth", listener, async move |config: server::Config| {
        config.config(settings.clone());
        let door = Rc::new(Door::new(shared.clone()));
        let app = App::new().default_service(move |request: WebRequest<DefaultError>| door.clone().answer(request));
        let connections = connections.clone();
        let admit = fn_service(move |io: Io| {
            let connections = connections.clone();
            async move { connections.admit(io).await }
        });
        chain_factory(admit).map_err(drop).and_then(HttpService::new(app).map_err(drop))
    })?;
    Ok(builder.run())
}

fn listen(address: SocketAddr, stall: Duration) -> Result<std::net::TcpListener, RouterError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        end_dead_peers(&listener, stall)?;
        listener.into_std()
    };
    bound().map_err(|source| RouterError::Listen { address, source })
}

/// The embedded router's HTTP client asks for a process-wide TLS provider, even for plain HTTP. It complains of one that is there.
fn install_tls() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            init_rustls_crypto_provider();
        }
    });
}
