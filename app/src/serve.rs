//! `berth serve`: the roles of this process, from its listeners to its end.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use berth_kernel::{auth::TokenVerifier, random};

use crate::{
    config::{Config, Profile},
    databases,
    doors::Doors,
    front, import,
    keys::Keys,
    listeners::{self, Listeners, reachable},
    pages,
    readiness::Readiness,
    role::{Role, Roles, Service},
    sandbox,
    services::{Common, Services},
    shared_clock::SharedClock,
};

/// Serves until SIGINT or SIGTERM.
pub fn run(config: Config) -> anyhow::Result<()> {
    let started = Instant::now();
    config.prepare_data_dir()?;
    start_log(&config);
    let roles = config.roles()?;
    let _lock = databases::lock(&config, &roles.opened())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("berth").build()?;
    runtime.block_on(serve(config, roles, started))
}

fn start_log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::new(&config.log);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber exists only in tests, where the first is as good.
    let _already_set = if config.profile == Profile::Production { log.json().try_init() } else { log.try_init() };
}

async fn serve(config: Config, roles: Roles, started: Instant) -> anyhow::Result<()> {
    let keys = Keys::load(&config)?;
    let common = Common::new(&config, keys.sealer.clone())?;
    let clock = SharedClock::follow(common.clock.clone(), config.clock_file.clone(), common.cancel.clone());
    let listeners = Listeners::bind(&config, &roles).await?;
    let addresses = sandbox::addresses(&config, &listeners)?;
    let services = Services::open(&config, &roles, &common, &keys, &addresses).await?;
    if let Some(inventory) = services.inventory.as_ref().filter(|_| config.demo) {
        import::demo(inventory).await?;
    }
    let sandbox = sandbox::open(&config, &roles, &common, &addresses, &listeners).await?;
    let secret = random::token();
    let verifier = TokenVerifier::new(std::slice::from_ref(&keys.access), common.clock.clone());
    let doors = Doors::new(&services, &roles.doors(), &verifier, &secret);
    let readiness = Readiness { databases: services.databases().into(), bus: common.bus.clone() };
    let pages = pages::Pages {
        mail: common.mail.clone(),
        clock,
        jwks: keys.jwks().into(),
        development: config.profile == Profile::Development,
    };
    let mut public = pages::routes(pages).merge(readiness.routes());
    public = services.payment.iter().fold(public, |all, payment| all.merge(payment.public_routes()));
    public = services.booking.iter().fold(public, |all, booking| all.merge(booking.public_routes()));
    let mut loopback = doors.routes();
    if let Some(sandbox) = &sandbox {
        loopback = loopback.nest("/payment/provider", sandbox.provider_routes());
        public = public.merge(sandbox.public_routes());
    }
    let loopback_url = listeners.base_url(Service::User)?.unwrap_or_default().trim_end_matches("/user").to_owned();
    services.start();
    if let Some(sandbox) = &sandbox {
        sandbox.start(&common.cancel);
    }
    let serving = listeners.loopback.map(|listener| listeners::serve(listener, loopback, common.cancel.clone()));
    let listen = listeners.front.unwrap_or_else(|| Role::Router.default_address());
    let router_config = front::router_config(&config, &common, &keys, listen, doors.subgraphs(&config, &loopback_url), secret);
    let router = berth_router::start(router_config, Arc::new(front::Public(public)), tokio::runtime::Handle::current()).await?;
    announce(&config, router.address(), started)?;
    until_told_to_stop().await?;
    tracing::info!("berth.stopping");
    router.stop().await?;
    common.cancel.cancel();
    drop(serving);
    Ok(())
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
