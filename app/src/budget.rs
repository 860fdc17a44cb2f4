//! The budgets of work, as the front door asks for them.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use berth_kernel::budget::{Budgets, Holder};
use berth_router::{Client, Unbudgeted};

use crate::{config::Config, services::Common};

/// The budgets that the configuration gives.
pub fn budgets(config: &Config, common: &Common) -> Arc<dyn berth_router::Budgets> {
    if config.client_work_ms == 0 {
        return Arc::new(Unbudgeted);
    }
    let work = Duration::from_millis(config.client_work_ms.into());
    Arc::new(AtTheDoor(Budgets::new(&common.bus, common.clock.clone(), common.sealer.clone(), work)))
}

struct AtTheDoor(Budgets);

#[async_trait]
impl berth_router::Budgets for AtTheDoor {
    async fn take(&self, client: &Client, estimate: Duration) -> Result<(), Duration> {
        match network(client) {
            Some(network) => self.0.take(holder(client, &network), estimate).await,
            None => Ok(()),
        }
    }

    fn settle(&self, client: &Client, estimate: Duration, used: Duration) {
        if let Some(network) = network(client) {
            self.0.settle(holder(client, &network), estimate, used);
        }
    }
}

fn network(client: &Client) -> Option<String> {
    client.network.map(|network| network.to_string())
}

fn holder<'a>(client: &'a Client, network: &'a str) -> Holder<'a> {
    Holder { network, account: client.account.as_deref() }
}
