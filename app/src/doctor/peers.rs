//! The services of other processes: whether they are ready, whether their clocks are ours, and whether one of each takes our
//! credential.

use berth_kernel::service::{SERVICE_HEADER, ServiceKey, ServiceSigner};
use chrono::{DateTime, TimeDelta};
use reqwest::{Response, StatusCode, header};

use super::{
    Findings,
    databases::clock,
    outside::{client, reason},
};
use crate::{
    config::Config,
    role::{Role, Roles, Service},
};

/// A date in a header has whole seconds.
const DATE_IS_EXACT_TO: TimeDelta = TimeDelta::seconds(2);

/// Asks each replica of each service that is not in this process.
pub async fn look(config: &Config, roles: &Roles, findings: &mut Findings) {
    for service in Service::ALL.into_iter().filter(|service| !roles.has(Role::Service(*service))) {
        for url in config.subgraph(service) {
            if let Err(error) = ask(config, roles, service, &url, findings).await {
                findings.fail(&about(service, &url), format!("does not answer: {}", reason(error)));
            }
        }
    }
}

fn about(service: Service, url: &str) -> String {
    format!("peer {} {url}", service.name())
}

async fn ask(config: &Config, roles: &Roles, service: Service, url: &str, findings: &mut Findings) -> reqwest::Result<()> {
    let about = about(service, url);
    let client = client(url)?;
    let answer = client.get(format!("{url}/readyz")).send().await?;
    compare_clocks(config, &answer, &about, findings);
    match answer.status() {
        StatusCode::OK => findings.ok(&about, "is ready"),
        status => findings.fail(&about, format!("is not ready (HTTP {})", status.as_u16())),
    }
    let (caller, folder) = (roles.peer_caller(), config.key_file(""));
    // The front door asks nobody but user. A key that is not there would be made by being read.
    if !ServiceKey::is_in(&folder, caller.name()) || (caller == Role::Router && service != Service::User) {
        return Ok(());
    }
    let Ok(key) = ServiceKey::load_or_create(&folder, caller.name()) else { return Ok(()) };
    let credential = ServiceSigner::new(key, config.clock()).credential(service.name());
    let asked = client.post(format!("{url}/peer/{}", method(service))).header(SERVICE_HEADER, &*credential).body("{}");
    match asked.send().await?.status() {
        // The arguments are missing, so nothing is done; who asks was looked at before.
        StatusCode::BAD_REQUEST => findings.ok(&about, format!("knows the key of {}", caller.name())),
        status => {
            let problem = "does not take the credential of";
            let why = "other keys, or a clock that is off";
            findings.fail(&about, format!("{problem} {}: {why} (HTTP {})", caller.name(), status.as_u16()));
        }
    }
    Ok(())
}

/// A method of each service that needs arguments.
const fn method(service: Service) -> &'static str {
    match service {
        Service::User => "sessions_ended",
        Service::Inventory => "hold",
        Service::Booking => "payable",
        Service::Payment => "payments",
    }
}

fn compare_clocks(config: &Config, answer: &Response, about: &str, findings: &mut Findings) {
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let Some(there) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) else { return };
    let off = there.to_utc() - config.clock().now();
    if off.abs() > DATE_IS_EXACT_TO {
        clock(about, off, findings);
    }
}
