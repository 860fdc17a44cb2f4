//! Passwords: change, and a new one by link.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::graphql::{
    accounts,
    result::{ChangePasswordResult, RequestPasswordResetResult, ResetPasswordResult, answer},
    types::password::{
        ChangePasswordInput, ChangePasswordSuccess, RequestPasswordResetInput, RequestPasswordResetSuccess, ResetPasswordInput,
        ResetPasswordSuccess,
    },
};

#[derive(Default)]
pub struct Passwords;

#[Object]
impl Passwords {
    /// Sets a new password for who knows the present one. Every other session ends, and the owner gets a letter. A wrong present
    /// password counts like a failed sign-in.
    #[graphql(directive = authenticated::apply())]
    async fn change_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The present password and the wanted one.")] input: ChangePasswordInput,
    ) -> Result<ChangePasswordResult> {
        let person = signed_in(ctx)?;
        let changed = accounts(ctx)?.change_password(person, &input.current_password, &input.new_password).await;
        answer(changed.map(ChangePasswordSuccess::from))
    }

    /// Sends a link that sets a new password to the address, if it has an account; the answer is the same if not. The link works
    /// once, for 30 minutes; a newer one replaces it. Links to one address are at least 60 seconds apart: what is asked for sooner
    /// is not sent. `RATE_LIMITED` after 3 links for an address (then one a minute), or 20 for a client (then one every 30 seconds).
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address.")] input: RequestPasswordResetInput,
    ) -> Result<RequestPasswordResetResult> {
        answer(accounts(ctx)?.request_reset(&input.email).await.map(|()| RequestPasswordResetSuccess { accepted: true }))
    }

    /// Sets a new password for who got the link. Every session of the account ends, and the owner gets a letter.
    async fn reset_password(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token and the wanted password.")] input: ResetPasswordInput,
    ) -> Result<ResetPasswordResult> {
        let reset = accounts(ctx)?.reset_password(&input.token, &input.new_password).await;
        answer(reset.map(|()| ResetPasswordSuccess { reset: true }))
    }
}
