//! Bank accounts.

use async_graphql::{ID, InputObject, Object, SimpleObject};
use berth_contracts::Kind;
use uuid::Uuid;

use crate::bank_account;

/// A bank account of yours. Only visible to you.
pub struct BankAccount(pub bank_account::BankAccount);

/// A bank account of yours. Only visible to you.
#[Object]
impl BankAccount {
    /// Opaque id: bankaccount_...
    async fn id(&self) -> ID {
        Kind::BankAccount.encode(self.0.id).into()
    }

    /// Which bank: three digits, or a BIC.
    async fn bank_code(&self) -> &str {
        &self.0.bank_code
    }

    /// Whose name it is in.
    async fn holder_name(&self) -> &str {
        &self.0.holder_name
    }

    /// Its number with stars for all but the last four characters. The whole number is never shown.
    async fn number_masked(&self) -> String {
        self.0.number.masked()
    }
}

/// What addBankAccount needs.
#[derive(InputObject)]
pub struct AddBankAccountInput {
    /// Three digits as in Indonesia (014), or a BIC of 8 or 11 characters.
    pub bank_code: String,
    /// Whose name it is in, 1 to 100 characters.
    pub holder_name: String,
    /// Its number: 6 to 20 digits, or an IBAN. Stored encrypted.
    #[graphql(secret)]
    pub number: String,
}

/// What removeBankAccount needs.
#[derive(InputObject)]
pub struct RemoveBankAccountInput {
    /// The bank account.
    pub bank_account_id: ID,
}

/// The bank account was added.
#[derive(SimpleObject)]
pub struct AddBankAccountSuccess {
    /// As it is shown from now on.
    pub bank_account: BankAccount,
}

impl From<bank_account::BankAccount> for AddBankAccountSuccess {
    fn from(added: bank_account::BankAccount) -> Self {
        Self { bank_account: BankAccount(added) }
    }
}

/// The bank account was removed.
#[derive(SimpleObject)]
pub struct RemoveBankAccountSuccess {
    /// Which.
    pub removed_id: ID,
}

impl From<Uuid> for RemoveBankAccountSuccess {
    fn from(id: Uuid) -> Self {
        Self { removed_id: Kind::BankAccount.encode(id).into() }
    }
}
