//! Pictures of people: one for each account. A new one takes the place of the old, whose address then leads nowhere.

use berth_contracts::Kind;
use berth_kernel::{auth::SignedIn, random};
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    avatar::{self, Avatar, Rejected},
    error::{Error, Refusal},
    store,
};

impl Accounts {
    /// Takes a file as the picture of the signed-in person; answers its address.
    pub async fn set_avatar(&self, person: &SignedIn, content_type: Option<&str>, file: &[u8]) -> Result<String, Rejected> {
        let (format, picture) = avatar::examine(content_type, file)?;
        let account = self.account(person.user_id).await?.ok_or(Error::Stranger)?;
        if account.standing.is_suspended() {
            return Err(Refusal::AccountSuspended.into());
        }
        self.throttle.avatar(account.id).await?;
        let drawn = self.darkroom.redraw(format, picture.to_vec()).await?;
        let file = format!("{}.{}", random::token(), drawn.format.ending());
        let avatar = Avatar { file, image: drawn.image, created_at: self.deps.clock.now() };
        let (address, now) = (self.address_of(&avatar.file), avatar.created_at);
        let kept = self.deps.db.write(move |tx| {
            Box::pin(async move {
                // Takes the account first: it may be gone by now.
                if !store::account::take(tx, account.id, now).await? {
                    return Err(Error::Stranger);
                }
                Ok(store::avatar::put(tx, account.id, &avatar).await?)
            })
        });
        kept.await?;
        tracing::info!(user.id = Kind::User.encode(person.user_id), "avatar.set");
        Ok(address)
    }

    /// Removes the picture of the signed-in person, if there is one.
    pub async fn remove_avatar(&self, person: &SignedIn) -> Result<Account, Error> {
        let account = self.account(person.user_id).await?.ok_or(Error::Stranger)?;
        let id = account.id;
        self.deps.db.write(move |tx| Box::pin(async move { store::avatar::delete(tx, id).await })).await?;
        tracing::info!(user.id = Kind::User.encode(id), "avatar.removed");
        Ok(account)
    }

    /// The address of an account's picture.
    pub async fn avatar_url(&self, account_id: Uuid) -> Result<Option<String>, Error> {
        let file = store::avatar::file_of(self.deps.db.read(), account_id).await?;
        Ok(file.map(|file| self.address_of(&file)))
    }

    /// The picture of an account.
    pub async fn avatar_of(&self, account_id: Uuid) -> Result<Option<Avatar>, Error> {
        Ok(store::avatar::of_account(self.deps.db.read(), account_id).await?)
    }

    /// The file with this name.
    pub async fn avatar_file(&self, file: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(store::avatar::find(self.deps.db.read(), file).await?)
    }

    /// Whether there is a file with this name.
    pub async fn has_avatar_file(&self, file: &str) -> Result<bool, Error> {
        Ok(store::avatar::exists(self.deps.db.read(), file).await?)
    }

    /// Where the public finds a file.
    pub fn address_of(&self, file: &str) -> String {
        format!("{}/avatars/{file}", self.config.public_url)
    }
}
