//! Bank accounts of sellers and organizers.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::graphql::{
    accounts,
    result::{AddBankAccountResult, RemoveBankAccountResult, answer},
    types::bank::{AddBankAccountInput, AddBankAccountSuccess, RemoveBankAccountInput, RemoveBankAccountSuccess},
};

#[derive(Default)]
pub struct Banks;

#[Object]
impl Banks {
    /// Adds a bank account to which you are paid out. At most 5. You get a letter about it.
    #[graphql(directive = authenticated::apply())]
    async fn add_bank_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The bank account.")] input: AddBankAccountInput,
    ) -> Result<AddBankAccountResult> {
        let person = signed_in(ctx)?;
        let added = accounts(ctx)?.add_bank_account(person.user_id, &input.bank_code, &input.holder_name, &input.number).await;
        answer(added.map(AddBankAccountSuccess::from))
    }

    /// Removes a bank account of yours.
    #[graphql(directive = authenticated::apply())]
    async fn remove_bank_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The bank account.")] input: RemoveBankAccountInput,
    ) -> Result<RemoveBankAccountResult> {
        let person = signed_in(ctx)?;
        let removed = accounts(ctx)?.remove_bank_account(person.user_id, &input.bank_account_id).await;
        answer(removed.map(RemoveBankAccountSuccess::from))
    }
}
