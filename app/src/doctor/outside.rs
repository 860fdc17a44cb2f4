//! What is not ours: Redis, mail server, SMS gateway, payment provider, collector. Each is greeted; nothing is sent, bought or
//! paid.

use std::time::Duration;

use berth_kernel::{
    bus::{Bus, RedisSettings},
    jobs::Background,
    secret::Secret,
    urls,
};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use reqwest::Client;

use super::Findings;
use crate::{
    config::Config,
    role::{Role, Roles, Service},
};

/// How long anybody has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Greets each of them that this process would ask.
pub async fn look(config: &Config, roles: &Roles, findings: &mut Findings) {
    if let Some(url) = &config.redis_url {
        redis(url, findings).await;
    }
    if let Some(url) = config.smtp_url.as_ref().filter(|_| roles.has(Role::Worker)) {
        smtp(url, findings).await;
    }
    if let Some(url) = &config.sms_url {
        web("SMS gateway", url.reveal(), findings).await;
    }
    if let Some(url) = config.provider_url.as_ref().filter(|_| roles.opened().contains(&Service::Payment)) {
        web("payment provider", url, findings).await;
    }
    if let Some(url) = &config.otlp_url {
        web("collector", url.reveal(), findings).await;
    }
}

/// Asked as a process asks it, so that what works here works there.
async fn redis(url: &Secret, findings: &mut Findings) {
    let place = urls::shown(url.reveal());
    let background = Background::default();
    let answered = async {
        let bus = Bus::redis(url.reveal(), RedisSettings::default(), background.clone()).ok()?;
        while !bus.is_healthy() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Some(())
    };
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Some(())) => findings.ok("Redis", format!("{place} answers")),
        Ok(None) => findings.fail("Redis", format!("{place} can't be used: is the URL right?")),
        Err(_) => findings.fail("Redis", format!("{place} does not answer, or refuses the password")),
    }
    background.end(PATIENCE).await;
}

/// EHLO, the login if there is one, and NOOP: no letter.
async fn smtp(url: &Secret, findings: &mut Findings) {
    let place = urls::shown(url.reveal());
    let greeted = match AsyncSmtpTransport::<Tokio1Executor>::from_url(url.reveal()) {
        Ok(builder) => builder.timeout(Some(PATIENCE)).build::<Tokio1Executor>().test_connection().await,
        Err(error) => Err(error),
    };
    match greeted {
        Ok(true) => findings.ok("mail server", format!("{place} takes this login")),
        Ok(false) => findings.fail("mail server", format!("{place} answers, but not as a mail server does")),
        Err(error) if error.is_permanent() => findings.fail("mail server", format!("{place} refuses: {error}")),
        Err(error) => findings.fail("mail server", format!("{place} can't be used: {error}")),
    }
}

/// Any answer will do: what is asked for here is nothing that these servers have.
async fn web(about: &str, url: &str, findings: &mut Findings) {
    let place = urls::shown(url);
    let answer = match client(url) {
        Ok(client) => client.head(url).send().await.map(|answer| answer.status().as_u16()),
        Err(error) => Err(error),
    };
    match answer {
        Ok(status) => findings.ok(about, format!("{place} answers (HTTP {status} to a question for nothing)")),
        Err(error) => findings.fail(about, format!("{place} does not answer: {}", reason(error))),
    }
}

/// A client that waits no longer than anybody here.
pub fn client(url: &str) -> reqwest::Result<Client> {
    let builder = Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    // Plain HTTP needs no certificates; a bare machine has none, and the client would refuse to start.
    if url.starts_with("http://") { builder.tls_certs_only([]).build() } else { builder.build() }
}

/// The innermost cause, without the URL.
pub fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
