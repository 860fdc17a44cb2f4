//! Bank accounts to which somebody is paid out. Another person's does not exist.

use berth_contracts::Kind;
use uuid::Uuid;

use crate::{
    accounts::Accounts,
    bank_account::BankAccount,
    error::{Error, Refusal},
    notification::{Facts, Kind as Notified, Notice},
    store,
};

const MISSING: Refusal = Refusal::NotFound { field: "bankAccountId" };

impl Accounts {
    /// Adds a bank account. Its owner gets a letter: money will go there.
    pub async fn add_bank_account(
        &self,
        user_id: Uuid,
        bank_code: &str,
        holder_name: &str,
        number: &str,
    ) -> Result<BankAccount, Error> {
        let added = BankAccount::checked(self.deps.clock.new_key(), bank_code, holder_name, number)?;
        let (desk, now, limit) = (self.clone(), self.deps.clock.now(), self.config.bank_account_limit);
        let added = self.deps.db.write(move |tx| {
            Box::pin(async move {
                // Takes the account first: of racing calls each sees what the ones before added.
                if !store::account::take(tx, user_id, now).await? {
                    return Err(Error::Stranger);
                }
                if store::bank_account::count(tx, user_id).await? >= i64::from(limit) {
                    return Err(Refusal::BankAccountLimit { limit }.into());
                }
                store::bank_account::insert(tx, &desk.deps.sealer, user_id, &added, now).await?;
                let facts = Facts { account_number: Some(added.number.masked()), ..Facts::default() };
                desk.tell(tx, user_id, &Notice::about(Notified::BankAccountAdded, added.id, facts)).await?;
                Ok::<_, Error>(added)
            })
        });
        let added = added.await?;
        self.wake_told();
        Ok(added)
    }

    /// Removes a bank account.
    pub async fn remove_bank_account(&self, user_id: Uuid, id: &str) -> Result<Uuid, Error> {
        let id = Kind::BankAccount.decode(id).map_err(|_| MISSING)?;
        let removed = self
            .deps
            .db
            .write(move |tx| Box::pin(async move { Ok::<_, Error>(store::bank_account::delete(tx, user_id, id).await?) }));
        if removed.await? { Ok(id) } else { Err(MISSING.into()) }
    }

    /// The person's bank accounts, oldest first.
    pub async fn bank_accounts(&self, user_id: Uuid) -> Result<Vec<BankAccount>, Error> {
        store::bank_account::list(self.deps.db.read(), &self.deps.sealer, user_id).await
    }
}
