//! Batching within one request. A loader holds the viewer: what is not theirs is not found.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_graphql::{
    Context, Request, Result,
    dataloader::{DataLoader, Loader},
};
use berth_kernel::{auth::Viewer, graphql::internal};
use uuid::Uuid;

use super::result::told;
use crate::{account::Account, accounts::Accounts, error::Error, passenger::Passenger};

/// The viewer's account.
pub struct OwnAccount {
    accounts: Accounts,
    viewer: Option<Uuid>,
}

/// The viewer's passengers.
pub struct OwnPassengers {
    accounts: Accounts,
    viewer: Option<Uuid>,
}

impl Loader<Uuid> for OwnAccount {
    type Value = Arc<Account>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[Uuid]) -> Result<HashMap<Uuid, Self::Value>, Self::Error> {
        let Some(own) = self.viewer.filter(|own| keys.contains(own)) else { return Ok(HashMap::new()) };
        let found = self.accounts.account(own).await?;
        Ok(found.map(|account| (own, Arc::new(account))).into_iter().collect())
    }
}

impl Loader<Uuid> for OwnPassengers {
    type Value = Passenger;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[Uuid]) -> Result<HashMap<Uuid, Self::Value>, Self::Error> {
        let Some(own) = self.viewer else { return Ok(HashMap::new()) };
        let found = self.accounts.passengers_asked(own, keys).await?;
        Ok(found.into_iter().map(|passenger| (passenger.id, passenger)).collect())
    }
}

/// The request with the loaders of its viewer.
pub fn with_loaders(request: Request, accounts: &Accounts, viewer: &Viewer) -> Request {
    let viewer = viewer.user_id();
    let account = OwnAccount { accounts: accounts.clone(), viewer };
    let passengers = OwnPassengers { accounts: accounts.clone(), viewer };
    request
        .data(DataLoader::new(account, tokio::spawn).delay(Duration::ZERO))
        .data(DataLoader::new(passengers, tokio::spawn).delay(Duration::ZERO))
}

/// The account with this key, if it is the viewer's.
pub async fn account(ctx: &Context<'_>, id: Uuid) -> Result<Option<Arc<Account>>> {
    let loader = ctx.data::<DataLoader<OwnAccount>>()?;
    loader.load_one(id).await.map_err(|error| internal(&told(&error)))
}

/// The passenger with this key, if it is the viewer's.
pub async fn passenger(ctx: &Context<'_>, id: Uuid) -> Result<Option<Passenger>> {
    let loader = ctx.data::<DataLoader<OwnPassengers>>()?;
    loader.load_one(id).await.map_err(|error| internal(&told(&error)))
}
