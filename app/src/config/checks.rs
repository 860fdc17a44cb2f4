//! What is refused before anything starts, whatever the process is for.

use berth_kernel::{
    secret::Secret,
    telemetry,
    urls::{self, Parts, UrlProblem},
};
use lettre::message::Mailbox;

use super::{Config, Refusals, variables::example};
use crate::role::Service;

impl Config {
    pub(super) fn check(&self, problems: &mut Refusals) {
        self.check_numbers(problems);
        self.check_urls(problems);
        self.check_subgraphs(problems);
        self.check_origins(problems);
        problems.take(self.roles());
        problems.take(self.poll_after_secs());
        problems.take(self.limits());
        if let Err(problem) = telemetry::check_filter(&self.log) {
            problems.unless(false, "log", problem, "BERTH_LOG=warn,berth=info");
        }
        let sender = "BERTH_MAIL_FROM=Berth <tickets@your-domain>";
        problems.unless(self.mail_from.parse::<Mailbox>().is_ok(), "mail_from", "is no address of mail", sender);
    }

    /// The settings that are URLs and may hold a login, by key.
    pub(super) fn urls(&self) -> Vec<(&'static str, &Secret)> {
        let all = [
            ("database_url", &self.database_url),
            ("database_url_user", &self.database_url_user),
            ("database_url_inventory", &self.database_url_inventory),
            ("database_url_booking", &self.database_url_booking),
            ("database_url_payment", &self.database_url_payment),
            ("redis_url", &self.redis_url),
            ("smtp_url", &self.smtp_url),
            ("sms_url", &self.sms_url),
            ("otlp_url", &self.otlp_url),
        ];
        all.into_iter().filter_map(|(key, url)| Some((key, url.as_ref()?))).collect()
    }

    fn check_numbers(&self, problems: &mut Refusals) {
        let mut within = |key: &str, value: u64, least: u64, most: u64| {
            problems.unless((least..=most).contains(&value), key, format!("must be between {least} and {most}"), &example(key));
        };
        within("hold_ttl_secs", self.hold_ttl_secs.into(), 5, 7_200);
        within("sign_up_work", self.sign_up_work.into(), 0, 30);
        // A transaction and a read beside it; the migration's lock and the migration.
        within("database_max_connections", self.database_max_connections.into(), 2, 1_000);
        within("database_statement_timeout_ms", self.database_statement_timeout_ms, 100, 600_000);
        within("database_lock_timeout_ms", self.database_lock_timeout_ms, 100, 600_000);
        within("database_wait_secs", self.database_wait_secs.into(), 0, 3_600);
        within("trusted_proxies", self.trusted_proxies as u64, 0, 16);
        // Ten years: beyond that no calendar reaches.
        within("clock_offset_secs", self.clock_offset_secs.unsigned_abs(), 0, 315_360_000);
        within("workers", self.workers.unwrap_or(1) as u64, 1, 1_024);
    }

    fn check_urls(&self, problems: &mut Refusals) {
        for (key, url) in self.urls() {
            let (parsed, example) = match key {
                "redis_url" => (urls::redis(url.reveal()), "BERTH_REDIS_URL=redis://127.0.0.1:6379"),
                "smtp_url" => (urls::smtp(url.reveal()), "BERTH_SMTP_URL=smtps://user:password@mail.your-domain"),
                "sms_url" => (urls::http(url.reveal()), "BERTH_SMS_URL=https://sms.your-domain/messages"),
                "otlp_url" => (urls::otlp(url.reveal()), "BERTH_OTLP_URL=http://collector:4318"),
                _ => (urls::postgres(url.reveal()), "BERTH_DATABASE_URL=postgres://berth:password@db.your-domain/berth"),
            };
            tell(problems, key, parsed.map(|_| ()), example);
        }
        self.check_plain_urls(problems);
        if self.sms_url.is_some() {
            let token = self.sms_token.as_ref().map_or("", Secret::reveal).trim();
            let example = "BERTH_SMS_TOKEN_FILE=/run/secrets/sms_token";
            problems.unless(!token.is_empty(), "sms_token", "the gateway needs a bearer token", example);
            problems.unless(
                token.bytes().all(|byte| byte.is_ascii_graphic()),
                "sms_token",
                "has signs that no token has",
                example,
            );
        }
    }

    /// Those that hold no login, because they are told to others.
    fn check_plain_urls(&self, problems: &mut Refusals) {
        if let Some(url) = &self.provider_url {
            let plain = urls::http(url).map(|parts| parts.login.is_none() && parts.parameters.is_empty());
            let example = "BERTH_PROVIDER_URL=https://provider.your-domain";
            let plain = tell(problems, "provider_url", plain, example).unwrap_or(true);
            problems.unless(plain, "provider_url", "must have no login and no parameters", example);
        }
        if let Some(url) = &self.public_url {
            let example = "BERTH_PUBLIC_URL=https://tickets.your-domain";
            let origin = tell(problems, "public_url", urls::http(url).map(|parts| is_origin(&parts)), example).unwrap_or(true);
            problems.unless(origin, "public_url", "must be scheme, host and port, without a path or anything else", example);
        }
    }

    fn check_subgraphs(&self, problems: &mut Refusals) {
        for service in Service::ALL {
            let bases = self.subgraph(service);
            let key = format!("subgraph_{}", service.name());
            let plain = |url: &String| urls::http(url).is_ok_and(|parts| parts.login.is_none() && parts.parameters.is_empty());
            let problem = "must be URLs of HTTP without a login, separated by commas";
            problems.unless(
                !bases.is_empty() && bases.iter().all(plain),
                &key,
                problem,
                "http://10.0.0.1:4102,http://10.0.0.2:4102",
            );
        }
    }

    /// A browser sends scheme, host and port in small letters, without the port that goes without saying: anything else never fits.
    fn check_origins(&self, problems: &mut Refusals) {
        let example = "BERTH_ALLOWED_ORIGINS=https://shop.your-domain";
        for origin in self.origins() {
            let exact = |parts: Parts<'_>| {
                let unsaid = if parts.scheme == "https" { 443 } else { 80 };
                parts.path.is_empty() && is_origin(&parts) && parts.hosts.iter().all(|(_, port)| *port != Some(unsaid))
            };
            let fits = urls::http(&origin).is_ok_and(exact) && origin.to_lowercase() == origin;
            let wildcard = if origin.contains('*') { "a wildcard is refused: list each origin" } else { "" };
            let problem = "no browser sends such an origin: scheme, host and port in small letters, nothing behind";
            problems.unless(fits, "allowed_origins", if wildcard.is_empty() { problem } else { wildcard }, example);
        }
    }
}

/// Notes what is wrong with a URL.
fn tell<T>(problems: &mut Refusals, key: &str, parsed: Result<T, UrlProblem>, example: &str) -> Option<T> {
    parsed.map_err(|problem| problems.unless(false, key, problem, example)).ok()
}

/// Scheme, host and port alone, as a link begins. A slash at the end is let pass.
fn is_origin(parts: &Parts<'_>) -> bool {
    parts.login.is_none() && parts.parameters.is_empty() && matches!(parts.path, "" | "/")
}
