//! What admins do about the accounts of others.

use async_graphql::{Context, Object, Result};
use berth_kernel::{
    graphql::{authenticated, signed_in},
    peer::Passed,
};

use crate::graphql::{
    accounts,
    result::{
        ChangeRoleResult, CreateAccountResult, ReinstateAccountResult, RemoveAccountResult, RevokeAccountSessionsResult,
        SuspendAccountResult, answer,
    },
    types::admin::{
        ChangeRoleInput, ChangeRoleSuccess, CreateAccountInput, CreateAccountSuccess, ReinstateAccountInput,
        ReinstateAccountSuccess, RemoveAccountInput, RemoveAccountSuccess, RevokeAccountSessionsInput,
        RevokeAccountSessionsSuccess, SuspendAccountInput, SuspendAccountSuccess,
    },
};

#[derive(Default)]
pub struct Admins;

#[Object]
impl Admins {
    /// For admins: makes an account for the owner of an address, who gets a link that sets the password, in the language that
    /// your Accept-Language likes best. Until then nobody can sign in to it.
    #[graphql(directive = authenticated::apply())]
    async fn create_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Whose account.")] input: CreateAccountInput,
    ) -> Result<CreateAccountResult> {
        let person = signed_in(ctx)?;
        let locale = Passed::current().locale().unwrap_or_default();
        let created = accounts(ctx)?.create_account(person, &input.email, input.role.into(), locale).await;
        answer(created.map(CreateAccountSuccess::from))
    }

    /// For admins: gives somebody else another role. One that may do more counts from the next refreshSession of each session on, after
    /// at most 10 minutes; one that may do less ends every session of the account. The same role again is no error.
    #[graphql(directive = authenticated::apply())]
    async fn change_role(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account and its new role.")] input: ChangeRoleInput,
    ) -> Result<ChangeRoleResult> {
        let person = signed_in(ctx)?;
        let changed = accounts(ctx)?.change_role(person, &input.account_id, input.role.into()).await;
        answer(changed.map(ChangeRoleSuccess::from))
    }

    /// For admins: suspends somebody else's account. Its sessions end, with their access tokens, and nobody can sign in to it.
    /// Suspending twice is no error.
    #[graphql(directive = authenticated::apply())]
    async fn suspend_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account, and why.")] input: SuspendAccountInput,
    ) -> Result<SuspendAccountResult> {
        let person = signed_in(ctx)?;
        let suspended = accounts(ctx)?.suspend_account(person, &input.account_id, input.reason.as_deref()).await;
        answer(suspended.map(SuspendAccountSuccess::from))
    }

    /// For admins: ends the suspension of an account. Its owner can sign in again. Doing it twice is no error.
    #[graphql(directive = authenticated::apply())]
    async fn reinstate_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: ReinstateAccountInput,
    ) -> Result<ReinstateAccountResult> {
        let person = signed_in(ctx)?;
        let reinstated = accounts(ctx)?.reinstate_account(person, &input.account_id).await;
        answer(reinstated.map(ReinstateAccountSuccess::from))
    }

    /// For admins: deletes somebody else's account for good, as deleteAccount does for its owner. Refused while it has bookings that
    /// are unfinished or whose journey is to come.
    #[graphql(directive = authenticated::apply())]
    async fn remove_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: RemoveAccountInput,
    ) -> Result<RemoveAccountResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.remove_account(person, &input.account_id).await.map(RemoveAccountSuccess::from))
    }

    /// For admins: ends every session of an account, on every device, with their access tokens.
    #[graphql(directive = authenticated::apply())]
    async fn revoke_account_sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account.")] input: RevokeAccountSessionsInput,
    ) -> Result<RevokeAccountSessionsResult> {
        let person = signed_in(ctx)?;
        let revoked = accounts(ctx)?.revoke_account_sessions(person, &input.account_id).await;
        answer(revoked.map(RevokeAccountSessionsSuccess::from))
    }
}
