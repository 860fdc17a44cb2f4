//! Names of accounts: who is meant by what somebody types, and the choice of a user name.

use berth_kernel::db::Tx;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    error::{Error, Invalid, Refusal},
    identifier::{Address, Kind, Name, Username},
    store,
};

impl Accounts {
    /// The account that a name means.
    pub(crate) async fn account_named(&self, name: &Name) -> Result<Option<Account>, Error> {
        let (read, sealer) = (self.deps.db.read(), &self.deps.sealer);
        let (kind, value) = match name {
            Name::Address(Address::Email(email)) => return store::account::find_by_email(read, sealer, email.as_str()).await,
            Name::Address(Address::Phone(number)) => (Kind::Phone, number.as_str()),
            Name::Username(name) => (Kind::Username, name.as_str()),
        };
        // An unknown name is looked up as long as a known one.
        let id = store::identifier::find(read, kind, value).await?.unwrap_or_default();
        store::account::find(read, sealer, id).await
    }

    /// Whether an address has an account.
    pub(crate) async fn is_known(&self, connection: &impl ConnectionTrait, address: &Address) -> Result<bool, Error> {
        Ok(match address {
            Address::Email(email) => store::account::exists(connection, email.as_str()).await?,
            Address::Phone(number) => store::identifier::find(connection, Kind::Phone, number).await?.is_some(),
        })
    }

    /// A new account of a proved address; `false` when the address has one already.
    pub(crate) async fn open_account(&self, tx: &Tx, id: Uuid, address: &Address, password_hash: &str) -> Result<bool, Error> {
        let now = self.deps.clock.now();
        match address {
            Address::Email(email) => Ok(store::account::insert(tx, id, email.as_str(), password_hash, now).await?),
            Address::Phone(number) => {
                if store::identifier::find(tx, Kind::Phone, number).await?.is_some() {
                    return Ok(false);
                }
                let made = store::account::insert(tx, id, &store::account::no_email(id), password_hash, now).await?;
                // Two processes may race for one number: the key lets one through, and the other's account must not stay.
                if made && store::identifier::insert(tx, Kind::Phone, number, id, Some(now)).await? {
                    return Ok(true);
                }
                store::account::delete(tx, id).await?;
                Ok(false)
            }
        }
    }

    /// The name of a kind that the person has.
    pub async fn name_of(&self, user_id: Uuid, kind: Kind) -> Result<Option<String>, Error> {
        Ok(store::identifier::of_account(self.deps.db.read(), user_id, kind).await?)
    }

    /// Gives the person a user name in place of the one before; without one, only takes that away.
    pub async fn set_username(&self, user_id: Uuid, wanted: Option<&str>) -> Result<Account, Error> {
        let wanted = wanted.map(Username::parse).transpose().map_err(|why| Invalid { field: "username", why })?;
        // Whether a name is free can be asked here: not often.
        self.throttle.sign_up(&user_id.to_string()).await?;
        let sealer = self.deps.sealer.clone();
        let now = self.deps.clock.now();
        let set = self.deps.db.write(move |tx| {
            Box::pin(async move {
                if !store::account::take(tx, user_id, now).await? {
                    return Err(Error::Stranger);
                }
                store::identifier::delete(tx, user_id, Kind::Username).await?;
                if let Some(name) = wanted
                    && !store::identifier::insert(tx, Kind::Username, name.as_str(), user_id, None).await?
                {
                    return Err(Refusal::UsernameTaken.into());
                }
                store::account::find(tx, &sealer, user_id).await?.ok_or(Error::Stranger)
            })
        });
        set.await
    }
}
