//! What the operator decides about payments.

use std::{fmt, time::Duration};

use chrono::TimeDelta;

/// Settings of the payment service. The addresses are known once the ports are bound.
#[derive(Clone)]
pub struct PaymentConfig {
    /// Base URL of the provider's API, without a trailing slash: `https://api.sandbox.midtrans.com`.
    pub provider_url: String,
    /// The provider's secret: authenticates us there, and its notices here.
    pub server_key: String,
    /// Base URL of our public port, for links that people open.
    pub public_base_url: String,
    /// Life of a payment whose booking names no deadline.
    pub ttl: TimeDelta,
    /// How long a call to the provider may take.
    pub provider_timeout: Duration,
    /// When the provider is asked without being told to.
    pub polling: Polling,
    /// Pauses between attempts (of refunds and of notices); the last one repeats.
    pub retries: Vec<TimeDelta>,
    /// How often the workers look for due work when nothing wakes them.
    pub tick: Duration,
}

impl PaymentConfig {
    /// The defaults, for these addresses and this key.
    pub fn new(provider_url: impl Into<String>, server_key: impl Into<String>, public_base_url: impl Into<String>) -> Self {
        Self {
            provider_url: provider_url.into().trim_end_matches('/').to_owned(),
            server_key: server_key.into(),
            public_base_url: public_base_url.into().trim_end_matches('/').to_owned(),
            ttl: TimeDelta::minutes(15),
            provider_timeout: Duration::from_secs(6),
            polling: Polling::default(),
            retries: [1, 2, 5, 15, 60, 300, 600].map(TimeDelta::seconds).to_vec(),
            tick: Duration::from_secs(1),
        }
    }

    /// The pause after the `attempts`th attempt.
    pub fn retry_after(&self, attempts: i64) -> TimeDelta {
        let index = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX);
        let pause = self.retries.get(index).or(self.retries.last());
        pause.copied().unwrap_or(TimeDelta::minutes(1))
    }
}

/// The server key stays out of logs.
impl fmt::Debug for PaymentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentConfig")
            .field("provider_url", &self.provider_url)
            .field("public_base_url", &self.public_base_url)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// When a payment that may still bring money is looked at, besides webhooks.
#[derive(Debug, Clone)]
pub struct Polling {
    /// Spans after the payment was created.
    pub after_creation: Vec<TimeDelta>,
    /// Spans after its deadline; the later ones catch late money when webhooks are lost.
    pub after_expiry: Vec<TimeDelta>,
    /// Pause between looks at a payment that is open although all the others have passed.
    pub afterwards: TimeDelta,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            after_creation: [1, 2, 5, 10, 30].map(TimeDelta::minutes).to_vec(),
            after_expiry: [2, 10, 30, 120, 720, 1440].map(TimeDelta::minutes).to_vec(),
            afterwards: TimeDelta::minutes(10),
        }
    }
}
