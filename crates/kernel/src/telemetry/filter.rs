//! What a filter of log lines may say. A target with a typing error would otherwise filter nothing, and nobody would notice.

use tracing_subscriber::filter::Targets;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// Ours: the program, and a target for each crate.
const OURS: &str = "berth";
const CRATES: [&str; 9] = ["booking", "contracts", "inventory", "kernel", "migrations", "payment", "router", "user", "sabotage"];
/// The crates of the engine behind the front door begin so.
const ENGINE: &str = "hive_";
/// Libraries with log lines that somebody may want to read.
const LIBRARIES: [&str; 22] = [
    "async_graphql",
    "axum",
    "h2",
    "hickory_proto",
    "hyper",
    "hyper_util",
    "lettre",
    "mio",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "redis",
    "reqwest",
    "rustls",
    "sea_orm",
    "sea_orm_migration",
    "sqlx",
    "sqlx_core",
    "tokio",
    "tower",
    "tower_http",
    "tungstenite",
];

/// Says what is wrong with a filter, if anything is.
pub fn check_filter(filter: &str) -> Result<(), String> {
    filter.parse::<Targets>().map_err(|error| format!("can't be read: {error}"))?;
    filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()).try_for_each(check_directive)
}

/// `LEVEL`, `TARGET`, `TARGET=LEVEL`.
fn check_directive(directive: &str) -> Result<(), String> {
    if LEVELS.iter().any(|level| directive.eq_ignore_ascii_case(level)) {
        return Ok(());
    }
    let target = directive.split('=').next().unwrap_or_default();
    let name = target.split("::").next().unwrap_or_default();
    let ours = name == OURS || name.strip_prefix("berth_").is_some_and(|rest| CRATES.contains(&rest));
    if ours || LIBRARIES.contains(&name) || name.starts_with(ENGINE) {
        return Ok(());
    }
    let known = format!("{OURS}, {OURS}_{}, and libraries such as sqlx and hyper", CRATES.join(", berth_"));
    Err(format!("{name:?} is no level and no target; levels are {}; targets are {known}", LEVELS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_none_is_seen() {
        for good in ["warn,berth=info", "info", "WARN", "berth_kernel::outbox=debug,sqlx=warn", "off"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for bad in ["warn,brth=debug", "wrn", "berth=loud", "berth[request]=trace", "berth_kernal=debug"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }
}
