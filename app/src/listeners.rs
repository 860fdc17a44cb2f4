//! The listeners of the roles beside the front door: subgraphs, and the worker's health.

pub mod port;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::TcpListener;

use crate::{
    config::{Config, Refusal},
    role::{Role, Roles, Service},
};

/// The bound listeners of this process.
pub struct Listeners {
    /// The front door's; bound here to be refused early, and again by the router.
    pub front: Option<SocketAddr>,
    /// Those of services and worker.
    pub inner: Vec<(Role, TcpListener)>,
    addresses: Vec<(Role, SocketAddr)>,
    /// Where router and provider of this very process find its services, when it does everything.
    pub loopback: Option<TcpListener>,
}

impl Listeners {
    /// Binds every address of the configuration.
    pub async fn bind(config: &Config, roles: &Roles) -> anyhow::Result<Self> {
        let front = roles.has(Role::Router).then(|| free_port(config.address(Role::Router))).transpose()?;
        if roles.is_everything() {
            let loopback = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            return Ok(Self { front, inner: Vec::new(), addresses: Vec::new(), loopback: Some(loopback) });
        }
        let (mut inner, mut addresses) = (Vec::new(), Vec::new());
        for role in roles.named().iter().copied().filter(|role| *role != Role::Router) {
            let address = config.address(role);
            let listener = TcpListener::bind(address).await.map_err(|error| in_use(address, &error))?;
            addresses.push((role, listener.local_addr()?));
            inner.push((role, listener));
        }
        Ok(Self { front, inner, addresses, loopback: None })
    }

    /// Where the services of a process that does everything are, each under its name.
    pub fn loopback_url(&self) -> anyhow::Result<Option<String>> {
        self.loopback.as_ref().map(|loopback| Ok(format!("http://{}", loopback.local_addr()?))).transpose()
    }

    /// Base URL of a service whose door is in this process.
    pub fn base_url(&self, service: Service) -> anyhow::Result<Option<String>> {
        if let Some(url) = self.loopback_url()? {
            return Ok(Some(format!("{url}/{}", service.name())));
        }
        let own = self.addresses.iter().find(|(role, _)| *role == Role::Service(service));
        Ok(own.map(|(_, address)| format!("http://{}", reachable(*address))))
    }

    /// Tells where the process listens: `<role>.addr` for each role, `berth.addr` for the front.
    /// Answers the same in one line.
    pub fn note(&self, config: &Config, front: Option<SocketAddr>) -> anyhow::Result<String> {
        let mut known: Vec<(String, SocketAddr)> =
            self.addresses.iter().map(|(role, address)| (role.name().to_owned(), *address)).collect();
        known.extend(front.map(|address| (Role::Router.name().to_owned(), address)));
        let listen: Vec<String> = known.iter().map(|(role, address)| format!("{role}={address}")).collect();
        let berth = front.or_else(|| known.first().map(|(_, address)| *address));
        known.extend(berth.map(|address| ("berth".to_owned(), address)));
        for (name, address) in known {
            let file = config.file(format!("{name}.addr"));
            std::fs::write(&file, format!("{address}\n")).with_context(|| file.display().to_string())?;
        }
        Ok(listen.join(" "))
    }
}

/// Port 0 is settled here, because links in mails and the provider's notices need the address before the door opens.
fn free_port(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    let bound = std::net::TcpListener::bind(listen).map_err(|error| in_use(listen, &error))?;
    Ok(bound.local_addr()?)
}

fn in_use(address: SocketAddr, error: &std::io::Error) -> Refusal {
    Refusal::new("listen", format!("{address}: {error}"), "--listen 127.0.0.1:4001")
}

/// `0.0.0.0` is where to listen, not where to go.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() { SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port())) } else { listen }
}
