//! What is refused before anything starts.

use super::{Config, Profile, Refusal};
use crate::role::Service;

impl Config {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if !(5..=7200).contains(&self.hold_ttl_secs) {
            return Err(Refusal::new("hold_ttl_secs", "must be between 5 and 7200", "BERTH_HOLD_TTL_SECS=900"));
        }
        if self.allowed_origins.split(',').any(|origin| origin.trim() == "*") {
            return Err(Refusal::new("allowed_origins", "a wildcard is refused", "BERTH_ALLOWED_ORIGINS=https://shop.example"));
        }
        if self.sign_up_work > 30 {
            return Err(Refusal::new("sign_up_work", "must be between 0 and 30", "BERTH_SIGN_UP_WORK=20"));
        }
        self.check_clients()?;
        if self.provider_url.is_some() {
            self.check_provider_key()?;
        }
        self.roles()?;
        self.check_databases()?;
        self.check_urls()?;
        self.poll_after_secs()?;
        self.limits()?;
        self.check_production()
    }

    fn check_clients(&self) -> Result<(), Refusal> {
        if self.client_work_ms != 0 && !(10..=10_000).contains(&self.client_work_ms) {
            return Err(Refusal::new("client_work_ms", "must be 0, or between 10 and 10000", "BERTH_CLIENT_WORK_MS=200"));
        }
        if !(10..=1_000_000).contains(&self.max_connections) {
            return Err(Refusal::new("max_connections", "must be between 10 and 1000000", "BERTH_MAX_CONNECTIONS=20000"));
        }
        if !(1..=self.max_connections).contains(&self.client_connections) {
            let problem = "must be between 1 and max_connections";
            return Err(Refusal::new("client_connections", problem, "BERTH_CLIENT_CONNECTIONS=1000"));
        }
        Ok(())
    }

    fn check_provider_key(&self) -> Result<(), Refusal> {
        let key = self.provider_server_key.as_deref().unwrap_or_default();
        let placeholder = ["changeme", "change-me", "secret", "password", "placeholder"];
        let weak = key.len() < 16 || placeholder.iter().any(|word| key.eq_ignore_ascii_case(word));
        let example = "BERTH_PROVIDER_SERVER_KEY=<the key of your account, 16 characters or more>";
        if weak { Err(Refusal::new("provider_server_key", "is empty, short or a placeholder", example)) } else { Ok(()) }
    }

    fn check_databases(&self) -> Result<(), Refusal> {
        let example = "BERTH_DATABASE_URL=postgres://berth:password@db.example/berth";
        let known = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        if Service::ALL.iter().filter_map(|service| self.database(*service)).any(|url| !known(url)) {
            return Err(Refusal::new("database_url", "is no URL of PostgreSQL", example));
        }
        // A transaction and a read beside it; the migration's lock and the migration.
        if !(2..=1000).contains(&self.database_max_connections) {
            let example = "BERTH_DATABASE_MAX_CONNECTIONS=10";
            return Err(Refusal::new("database_max_connections", "must be between 2 and 1000", example));
        }
        let timeouts = [
            ("database_statement_timeout_ms", self.database_statement_timeout_ms),
            ("database_lock_timeout_ms", self.database_lock_timeout_ms),
        ];
        match timeouts.into_iter().find(|(_, millis)| !(100..=600_000).contains(millis)) {
            Some((key, _)) => Err(Refusal::new(key, "must be between 100 and 600000", &format!("{key} = 5000"))),
            None => Ok(()),
        }
    }

    fn check_urls(&self) -> Result<(), Refusal> {
        let redis = |url: &str| url.starts_with("redis://") || url.starts_with("rediss://");
        if !self.redis_url.as_deref().is_none_or(redis) {
            return Err(Refusal::new("redis_url", "is no URL of Redis", "BERTH_REDIS_URL=redis://127.0.0.1:6379"));
        }
        self.check_sms()?;
        for service in Service::ALL {
            let bases = self.subgraph(service);
            if bases.is_empty() || !bases.iter().all(|url| url.starts_with("http://") || url.starts_with("https://")) {
                let key = format!("subgraph_{}", service.name());
                return Err(Refusal::new(&key, "must be URLs separated by commas", "http://10.0.0.1:4102,http://10.0.0.2:4102"));
            }
        }
        Ok(())
    }

    fn check_sms(&self) -> Result<(), Refusal> {
        let Some(url) = &self.sms_url else { return Ok(()) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Refusal::new("sms_url", "is no URL of HTTP", "BERTH_SMS_URL=https://sms.example/messages"));
        }
        if self.sms_token.as_deref().is_none_or(|token| token.trim().is_empty()) {
            return Err(Refusal::new(
                "sms_token",
                "the gateway needs a bearer token",
                "BERTH_SMS_TOKEN_FILE=/run/secrets/sms_token",
            ));
        }
        Ok(())
    }

    fn check_production(&self) -> Result<(), Refusal> {
        if self.profile != Profile::Production {
            return Ok(());
        }
        if self.provider_url.is_none() {
            let example = "BERTH_PROVIDER_URL=https://provider.example";
            return Err(Refusal::new("provider_url", "production takes no sandbox payments", example));
        }
        if self.smtp_url.is_none() {
            let example = "BERTH_SMTP_URL=smtps://user:password@mail.example";
            return Err(Refusal::new("smtp_url", "production sends real mail", example));
        }
        if self.clock_file.is_some() || self.clock_offset_secs != 0 {
            return Err(Refusal::new("clock_file", "production does not move its clock", "leave it out"));
        }
        Ok(())
    }
}
