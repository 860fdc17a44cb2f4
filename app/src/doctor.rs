//! `berth doctor`: looks at everything a start needs and says what to do about what it finds. Changes nothing but missing files.

use std::net::TcpListener;

use crate::{
    config::{Config, Profile},
    databases,
    keys::Keys,
    role::Role,
    schema,
};

/// Prints a line per check; fails when one of them does.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checks = [
        ("data directory", config.prepare_data_dir().map_err(anyhow::Error::from)),
        ("keys", Keys::load(config, &config.clock()).map(|_| ())),
        ("schema", schema::check_supergraph()),
        ("databases", runtime.block_on(databases(config))),
        ("ports", ports(config)),
        ("production", production(config)),
    ];
    let failed = checks.iter().filter(|(name, outcome)| !told(name, outcome)).count();
    if failed == 0 { Ok(()) } else { anyhow::bail!("{failed} of {} checks failed", checks.len()) }
}

#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
fn told(name: &str, outcome: &anyhow::Result<()>) -> bool {
    match outcome {
        Ok(()) => println!("ok    {name}"),
        Err(problem) => println!("FAIL  {name}: {problem:#}"),
    }
    outcome.is_ok()
}

/// Opening a database runs the version check of SQLite; a file that does not exist yet is fine.
async fn databases(config: &Config) -> anyhow::Result<()> {
    for service in config.roles()?.opened() {
        if databases::exists(config, service) {
            databases::connect_to(config, service).await?.integrity().await?;
        }
    }
    Ok(())
}

fn ports(config: &Config) -> anyhow::Result<()> {
    let roles = config.roles()?;
    let named = if roles.is_everything() { &[Role::Router] } else { roles.named() };
    for role in named {
        let address = config.address(*role);
        TcpListener::bind(address).map_err(|error| anyhow::anyhow!("{address}: {error}; is Berth running already?"))?;
    }
    Ok(())
}

fn production(config: &Config) -> anyhow::Result<()> {
    if config.profile == Profile::Production && config.public_url.is_none() {
        anyhow::bail!("set BERTH_PUBLIC_URL: links in mails point to {} otherwise", config.address(Role::Router));
    }
    Ok(())
}
