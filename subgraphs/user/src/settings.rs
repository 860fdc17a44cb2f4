//! How the signed-in person wants to be written to.

use uuid::Uuid;

use crate::{
    accounts::Accounts,
    error::Error,
    setting::{Settings, SettingsChange},
    store,
};

impl Accounts {
    /// The settings of an account.
    pub async fn settings(&self, user_id: Uuid) -> Result<Settings, Error> {
        Ok(store::setting::find(self.deps.db.read(), user_id).await?)
    }

    /// Changes the settings of the signed-in person.
    pub async fn update_settings(&self, user_id: Uuid, change: SettingsChange) -> Result<Settings, Error> {
        let now = self.deps.clock.now();
        let changed = self.deps.db.write(move |tx| {
            Box::pin(async move {
                // Takes the account first: of racing changes each sees the one before.
                if !store::account::take(tx, user_id, now).await? {
                    return Err(Error::Stranger);
                }
                let settings = store::setting::find(tx, user_id).await?.changed(&change)?;
                store::setting::put(tx, user_id, &settings).await?;
                Ok(settings)
            })
        });
        changed.await
    }
}
