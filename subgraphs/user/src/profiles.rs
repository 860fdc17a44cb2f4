//! Accounts and what they say about their owners.

use uuid::Uuid;

use crate::{account::Account, accounts::Accounts, error::Error, profile::ProfileChange, store};

impl Accounts {
    /// The account with this key.
    pub async fn account(&self, id: Uuid) -> Result<Option<Account>, Error> {
        store::account::find(self.deps.db.read(), &self.deps.sealer, id).await
    }

    /// Changes the profile of the signed-in person.
    pub async fn update_profile(&self, user_id: Uuid, change: ProfileChange) -> Result<Account, Error> {
        let (sealer, now) = (self.deps.sealer.clone(), self.deps.clock.now());
        self.deps
            .db
            .write(move |tx| {
                Box::pin(async move {
                    if !store::account::take(tx, user_id, now).await? {
                        return Err(Error::Stranger);
                    }
                    let mut account = store::account::find(tx, &sealer, user_id).await?.ok_or(Error::Stranger)?;
                    account.profile = account.profile.changed(change, now)?;
                    store::account::set_profile(tx, &sealer, user_id, &account.profile).await?;
                    Ok(account)
                })
            })
            .await
    }
}
