//! The sandbox: where the payment provider is, and the one that plays it in development.

use std::net::{Ipv4Addr, SocketAddr};

use berth_payment::Sandbox;

use crate::{
    config::Config,
    databases,
    keys::sandbox_key,
    listeners::{Listeners, reachable},
    role::{Role, Roles, Service},
    services::{Addresses, Common},
};

/// A provider whose notifications never arrive: port 9 discards.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// The addresses that services tell others.
pub fn addresses(config: &Config, roles: &Roles, listeners: &Listeners) -> anyhow::Result<Addresses> {
    let provider_key = match &config.provider_server_key {
        Some(key) => key.clone(),
        None if roles.opened().contains(&Service::Payment) => sandbox_key(config)?.into(),
        // Nobody here asks the provider.
        None => "".into(),
    };
    let payment = listeners.base_url(Service::Payment)?;
    let payment = payment.or_else(|| config.subgraph(Service::Payment).into_iter().next()).unwrap_or_default();
    let provider_url = config.provider_url.clone().unwrap_or_else(|| format!("{payment}/provider"));
    let public_url = config.public_url.clone().unwrap_or_else(|| front_url(config, listeners));
    Ok(Addresses { public_url: public_url.trim_end_matches('/').to_owned(), provider_url, provider_key })
}

fn front_url(config: &Config, listeners: &Listeners) -> String {
    let front = listeners.front.unwrap_or_else(|| config.listen_router.unwrap_or_else(|| Role::Router.default_address()));
    format!("http://{}", reachable(front))
}

/// The sandbox, where payment's door or its background work is, and no other provider is set.
pub async fn open(
    config: &Config,
    roles: &Roles,
    common: &Common,
    addresses: &Addresses,
    listeners: &Listeners,
) -> anyhow::Result<Option<Sandbox>> {
    if config.provider_url.is_some() || !roles.opened().contains(&Service::Payment) {
        return Ok(None);
    }
    let db = databases::open_sandbox(config).await?;
    // Within one process the front door is asked by its own address, whatever the public calls it.
    let front = listeners.front.map_or_else(|| addresses.public_url.clone(), |front| format!("http://{}", reachable(front)));
    let door = if config.sandbox_webhooks { front } else { format!("http://{NOWHERE}") };
    let notify = format!("{door}/webhooks/payments/sandbox");
    Ok(Some(Sandbox::new(db, common.clock.clone(), addresses.provider_key.reveal(), &notify)?))
}
