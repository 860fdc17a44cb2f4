//! Leaving, and a copy of one's data.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::graphql::{
    accounts,
    result::{DeleteAccountResult, ExportPersonalDataResult, answer},
    types::privacy::{DeleteAccountInput, DeleteAccountSuccess, ExportPersonalDataInput, ExportPersonalDataSuccess},
};

#[derive(Default)]
pub struct Privacy;

#[Object]
impl Privacy {
    /// Deletes your account for good, with profile, passengers and sessions; access tokens are refused from then on. What the law
    /// makes us keep of bookings and payments names you no more. Refused while a booking is unfinished or its journey to come. The
    /// address may sign up again, as somebody new. A wrong password counts like a failed sign-in.
    #[graphql(directive = authenticated::apply())]
    async fn delete_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password.")] input: DeleteAccountInput,
    ) -> Result<DeleteAccountResult> {
        let person = signed_in(ctx)?;
        let deleted = accounts(ctx)?.delete_account(person, &input.password).await;
        answer(deleted.map(|()| DeleteAccountSuccess { deleted: true }))
    }

    /// Everything that is kept about you, in one JSON document: at most 5 times in 24 hours. You get a letter that it was taken. A
    /// wrong password counts like a failed sign-in.
    #[graphql(directive = authenticated::apply())]
    async fn export_personal_data(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password.")] input: ExportPersonalDataInput,
    ) -> Result<ExportPersonalDataResult> {
        let person = signed_in(ctx)?;
        let exported = accounts(ctx)?.export(person, &input.password).await;
        answer(exported.map(ExportPersonalDataSuccess::from))
    }
}
