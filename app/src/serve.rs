//! `berth serve`: the roles of this process, from its listeners to its end.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use berth_kernel::{
    agreed_time::{self, AgreedTime},
    auth::TokenVerifier,
    clock::Clock,
    ended::EndedSessions,
    metrics,
    peer::standing,
    random,
    secret::Secret,
    service::{ServiceKey, ServiceSigner},
    telemetry::{self, TelemetryConfig, TelemetryError},
};
use berth_payment::Sandbox;
use berth_router::{RouterConfig, RunningRouter};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Profile, Refusal},
    databases,
    doors::{Doors, Guards},
    ended, files,
    front::{self, Public},
    import,
    keys::{self, Keys, Missing},
    listeners::{self, Listeners, reachable},
    observe,
    pages::{self, Pages},
    readiness::Readiness,
    remote::Subgraphs,
    role::{Role, Roles, Service},
    sandbox,
    services::{Common, Peers, Services},
    shared_clock::SharedClock,
    signals::Signals,
};

/// What a process may need to answer what it has begun.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// What background work may need to finish what it has in hand: the longest is a call to a provider or a mail server.
const BATCH_WITHIN: Duration = Duration::from_secs(5);

/// The commit this program was built from, if it is a release.
const COMMIT: &str = env!("BERTH_BUILD_COMMIT");

/// Serves until it is told to stop.
pub fn run(config: Config) -> anyhow::Result<()> {
    let started = Instant::now();
    files::prepare(&config)?;
    let roles = config.roles()?;
    let _lock = databases::lock(&config, &roles.opened())?;
    databases::watch_disk(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("berth").build()?;
    let lines = lines(&config, &roles, config.otlp_url.clone());
    let telemetry = telemetry::start(&lines, runtime.handle()).map_err(|error| of_telemetry(&error))?;
    metrics::begin(env!("CARGO_PKG_VERSION"), COMMIT);
    files::narrow(&config);
    let ended = runtime.block_on(serve(config, roles, started));
    telemetry.stop();
    ended
}

/// What is logged, and where traces go.
pub fn lines(config: &Config, roles: &Roles, otlp_url: Option<Secret>) -> TelemetryConfig {
    let json = config.profile == Profile::Production;
    TelemetryConfig { service: roles.to_string(), filter: config.log.clone(), json, otlp_url }
}

fn of_telemetry(error: &TelemetryError) -> Refusal {
    match error {
        TelemetryError::Filter(_) => Refusal::new("log", error, "BERTH_LOG=warn,berth=info"),
        // The cause may repeat the URL.
        TelemetryError::Collector(_) => Refusal::new("otlp_url", "can't be used", "BERTH_OTLP_URL=http://collector:4318"),
    }
}

/// The parts of a process, wired but not started.
struct Process {
    config: Config,
    roles: Roles,
    keys: Keys,
    common: Common,
    clock: SharedClock,
    /// What no test moves: credentials of services go by it.
    machine: Clock,
    services: Services,
    sandbox: Option<Sandbox>,
    tokens: TokenVerifier,
    /// The sessions whose tokens are refused.
    ended: EndedSessions,
    /// The process was told to stop: it is ready for nothing new.
    leaving: CancellationToken,
    /// Ends listeners and live streams; background work ends after them.
    stop: CancellationToken,
}

async fn serve(config: Config, roles: Roles, started: Instant) -> anyhow::Result<()> {
    let mut signals = Signals::take()?;
    let opening = Serving::begin(config, roles, started);
    // It may wait for a database for a minute.
    let serving = tokio::select! {
        serving = opening => serving?,
        signal = signals.stop() => {
            tracing::info!(signal, "berth.stopped");
            return Ok(());
        }
    };
    let signal = signals.stop().await;
    tracing::info!(signal, "berth.stopping");
    let asked = Instant::now();
    serving.end().await?;
    tracing::info!(after_ms = asked.elapsed().as_millis(), "berth.stopped");
    Ok(())
}

/// A process whose doors are open.
struct Serving {
    process: Process,
    router: Option<RunningRouter>,
    doors: Vec<JoinHandle<()>>,
}

impl Serving {
    async fn begin(config: Config, roles: Roles, started: Instant) -> anyhow::Result<Self> {
        let mut listeners = Listeners::bind(&config, &roles).await?;
        let process = Process::open(config, roles, &listeners).await?;
        process.start();
        let (router, doors) = process.listen(&mut listeners).await?;
        let front = router.as_ref().map(RunningRouter::address);
        let listen = listeners.note(&process.config, front)?;
        process.announce(&listen, front, started);
        Ok(Self { process, router, doors })
    }

    async fn end(self) -> anyhow::Result<()> {
        self.process.end(self.router, self.doors).await
    }
}

impl Process {
    async fn open(config: Config, roles: Roles, listeners: &Listeners) -> anyhow::Result<Self> {
        let clock = config.clock();
        let keys = Keys::load(&config, &clock, Missing::when_serving(&config))?;
        keys::demand_service_keys(&config, &roles)?;
        let common = Common::new(&config, clock, keys.sealer.clone())?;
        let clock = SharedClock::follow(common.clock.clone(), config.clock_file.clone(), &common.background);
        let machine = config.clock();
        let addresses = sandbox::addresses(&config, &roles, listeners)?;
        let standing = common.standing.clone();
        let peers = Peers { config: &config, caller: roles.peer_caller(), machine: machine.clone(), standing };
        let services = Services::open(&config, &roles, &common, &keys, &addresses, &peers).await?;
        look_around(&roles, &services, &common, &peers).await?;
        if let Some(inventory) = services.inventory.as_ref().filter(|_| config.imports_demo()) {
            import::demo(inventory).await?;
        }
        let sandbox = sandbox::open(&config, &roles, &common, &addresses, listeners).await?;
        let ended = ended::follow(&services, &common, &peers).await?;
        let tokens = TokenVerifier::new(keys.access.clone(), common.clock.clone()).refusing(ended.clone());
        let (leaving, stop) = (CancellationToken::new(), CancellationToken::new());
        Ok(Self { config, roles, keys, common, clock, machine, services, sandbox, tokens, ended, leaving, stop })
    }

    fn start(&self) {
        self.services.start();
        if let Some(sandbox) = self.sandbox.as_ref().filter(|_| self.roles.background().contains(&Service::Payment)) {
            sandbox.start(&self.common.background);
        }
    }

    fn readiness(&self) -> Router {
        let (bus, standing) = (self.common.bus.clone(), self.common.standing.clone());
        Readiness { databases: self.services.databases().into(), bus, standing, leaving: self.leaving.clone() }.routes()
    }

    /// Opens every listener, the public one last.
    async fn listen(&self, listeners: &mut Listeners) -> anyhow::Result<(Option<RunningRouter>, Vec<JoinHandle<()>>)> {
        let loopback_url = listeners.loopback_url()?;
        let mut serving = Vec::new();
        for (role, listener) in std::mem::take(&mut listeners.inner) {
            let routes = match role {
                Role::Service(service) => self.service_routes(service),
                Role::Router | Role::Worker => Router::new(),
            };
            let routes = observe::counted(role.name(), routes).merge(self.readiness());
            serving.push(listeners::serve(listener, routes, self.stop.clone()));
        }
        let Some(listen) = listeners.front else { return Ok((None, serving)) };
        let (config, public) = if let (Some(loopback), Some(url)) = (listeners.loopback.take(), loopback_url) {
            let secret = random::token();
            let doors = Doors::new(&self.services, &self.tokens, &secret);
            serving.push(listeners::serve(loopback, self.loopback_routes(&doors), self.stop.clone()));
            let public = Public { here: self.public_routes(), elsewhere: None };
            (self.router_config(listen, doors.subgraphs(&self.config, &url), secret), public)
        } else {
            let elsewhere = self.subgraphs(listeners).await?;
            let config = self.router_config(listen, elsewhere.list(), elsewhere.secret().to_owned());
            (config, Public { here: self.pages(), elsewhere: Some(elsewhere) })
        };
        let router = berth_router::start(config, Arc::new(public), Handle::current()).await?;
        Ok((Some(router), serving))
    }

    /// The subgraphs as the router of a fleet sees them, those of its own process included.
    async fn subgraphs(&self, listeners: &Listeners) -> anyhow::Result<Subgraphs> {
        let key = ServiceKey::load_or_create(&self.config.key_file(""), Role::Router.name())?;
        let signer = ServiceSigner::new(key, self.machine.clone()).with_standing(self.common.standing.clone());
        let mut places = Vec::with_capacity(Service::ALL.len());
        for service in Service::ALL {
            let here = listeners.base_url(service)?;
            places.push((service.name(), here.map_or_else(|| self.config.subgraph(service), |here| vec![here])));
        }
        Ok(Subgraphs::new(&signer, &places, self.stop.clone()).await?)
    }

    fn service_routes(&self, service: Service) -> Router {
        let guards = Guards {
            config: &self.config,
            tokens: self.tokens.clone(),
            clock: self.machine.clone(),
            standing: self.common.standing.clone(),
            stop: self.stop.clone(),
        };
        guards.routes(service, &self.services, self.sandbox.as_ref())
    }

    fn loopback_routes(&self, doors: &Doors) -> Router {
        let provider = self.sandbox.as_ref().map(Sandbox::provider_routes);
        provider.into_iter().fold(doors.routes(), |all, provider| all.nest("/payment/provider", provider))
    }

    fn router_config(&self, listen: SocketAddr, subgraphs: Vec<berth_router::Subgraph>, secret: String) -> RouterConfig {
        front::router_config(&self.config, &self.common, &self.keys, &self.ended, listen, subgraphs, secret)
    }

    fn pages(&self) -> Router {
        let pages = Pages {
            mail: self.common.mail.clone(),
            sms: self.common.sms.clone(),
            clock: self.clock.clone(),
            keys: self.keys.clone(),
            development: self.config.profile == Profile::Development,
        };
        pages::routes(pages).merge(self.readiness())
    }

    /// Pages, and the public routes of all services.
    fn public_routes(&self) -> Router {
        let mut public = self.pages();
        public = self.services.payment.iter().fold(public, |all, payment| all.merge(payment.public_routes()));
        public = self.services.user.iter().fold(public, |all, user| all.merge(user.public_routes(self.tokens.clone())));
        public = self.services.booking.iter().fold(public, |all, booking| all.merge(booking.public_routes()));
        self.sandbox.iter().fold(public, |all, sandbox| all.merge(sandbox.public_routes()))
    }

    /// First nobody new is sent here, then nobody gets in, then who is in is answered, then background work ends after the batch in hand.
    async fn end(self, router: Option<RunningRouter>, serving: Vec<JoinHandle<()>>) -> anyhow::Result<()> {
        self.leaving.cancel();
        if let Some(router) = router {
            router.stop().await?;
        }
        self.stop.cancel();
        let drained = tokio::time::timeout(DRAIN_WITHIN, futures_util::future::join_all(serving)).await;
        if drained.is_err() {
            tracing::warn!("berth.stopping.not_drained");
        }
        if !self.common.background.end(BATCH_WITHIN).await {
            tracing::warn!("berth.stopping.batch_cut");
        }
        Ok(())
    }

    /// A log line for operators; in development also what a newcomer reads first.
    #[expect(clippy::print_stdout, reason = "standard output is for people")]
    fn announce(&self, listen: &str, front: Option<SocketAddr>, started: Instant) {
        let (version, commit) = (env!("CARGO_PKG_VERSION"), COMMIT);
        let (profile, roles, after_ms) = (self.config.profile.name(), self.roles.to_string(), started.elapsed().as_millis());
        tracing::info!(version, commit, profile, roles, listen, after_ms, "berth.started");
        if self.config.profile == Profile::Production {
            return;
        }
        println!("Berth ({}) is ready after {} ms.", self.roles, started.elapsed().as_millis());
        let Some(url) = front.map(|address| format!("http://{}", reachable(address))) else { return };
        println!("  {url}/           where everything is");
        println!("  {url}/graphql    the graph");
        println!("  {url}/graphiql   the graph, for people: try the tabs from left to right");
        println!("  {url}/dev/mail   caught mail: your one-time password is there");
    }
}

/// What time it is elsewhere, and whether the other processes know this one: from now on.
async fn look_around(roles: &Roles, services: &Services, common: &Common, peers: &Peers<'_>) -> anyhow::Result<()> {
    let (machine, background) = (peers.machine.clone(), &common.background);
    let time = AgreedTime::new(common.clock.clone(), common.standing.clone(), background);
    let database = services.databases().into_iter().next();
    let told_by_peers = database.is_none().then(|| time.clone());
    if let Some((_, db)) = database {
        agreed_time::follow(db, machine.clone(), time, background).await?;
    }
    if !roles.is_everything() {
        let lines = peers.lines_past(&roles.doors())?;
        standing::follow(lines, common.standing.clone(), machine, told_by_peers, background).await;
    }
    Ok(())
}
