//! What holds when nothing is set.

use std::path::PathBuf;

use super::{Config, Profile, Transport};

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            roles: String::new(),
            listen: None,
            listen_router: None,
            listen_user: None,
            listen_inventory: None,
            listen_booking: None,
            listen_payment: None,
            listen_worker: None,
            subgraph_user: None,
            subgraph_inventory: None,
            subgraph_booking: None,
            subgraph_payment: None,
            database_url: None,
            database_url_user: None,
            database_url_inventory: None,
            database_url_booking: None,
            database_url_payment: None,
            database_max_connections: 10,
            database_statement_timeout_ms: 5_000,
            database_lock_timeout_ms: 2_000,
            database_wait_secs: 60,
            redis_url: None,
            keys_dir: None,
            otlp_url: None,
            public_url: None,
            profile: Profile::Development,
            hold_ttl_secs: 900,
            hold_sweeper: true,
            smtp_url: None,
            mail_from: "Berth <no-reply@berth.example>".to_owned(),
            sms_url: None,
            sms_token: None,
            mail_file: None,
            clock_file: None,
            clock_offset_secs: 0,
            provider_url: None,
            provider_server_key: None,
            payment_poll_secs: "60,120,300,600,1800".to_owned(),
            sandbox_webhooks: true,
            subgraph_transport: Transport::InProcess,
            demo: None,
            allowed_origins: String::new(),
            trusted_proxies: 0,
            private_clients: false,
            client_work_ms: 200,
            client_connections: 1_000,
            max_connections: 20_000,
            sign_up_work: 0,
            document_limits: String::new(),
            workers: None,
            log: "warn,berth=info,sqlx=error".to_owned(),
        }
    }
}
