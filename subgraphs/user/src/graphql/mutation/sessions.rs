//! Sessions: open, refresh, list, end.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::graphql::{
    accounts,
    result::{RefreshSessionResult, RevokeSessionResult, SignInResult, SignOutEverywhereResult, SignOutResult, answer},
    types::session::{
        RefreshSessionInput, RevokeSessionInput, RevokeSessionSuccess, SessionSuccess, SignInInput, SignOutEverywhereSuccess,
        SignOutSuccess,
    },
};

#[derive(Default)]
pub struct Sessions;

#[Object]
impl Sessions {
    /// Opens a session with e-mail address, phone number or user name, and password. An unknown name and a wrong password get the same
    /// answer. An account with a second factor gets `SecondFactorRequired` instead of a session: see completeSignIn. `RATE_LIMITED`
    /// after 20 attempts for a name (then one every 3 seconds), or 100 of a client (then one a second). The names of one account share
    /// 21: when these are used up under several names, the answer is that of a wrong password.
    async fn sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Address and password.")] input: SignInInput,
    ) -> Result<SignInResult> {
        answer(accounts(ctx)?.sign_in(&input.email, &input.password, input.device.as_deref()).await.map(SignInResult::from))
    }

    /// Exchanges the refresh token for a new access token and a new refresh token. When the answer is lost, the same refresh
    /// token may be sent again as long as no token of the lost answer was used. Any other second use ends the session on every
    /// device that shares it, and the user gets a letter. `RATE_LIMITED` after 10 uses of one token (then one every 30 seconds), or 300
    /// refreshes of a client (then five a second).
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: RefreshSessionInput,
    ) -> Result<RefreshSessionResult> {
        answer(accounts(ctx)?.refresh(&input.refresh_token).await.map(SessionSuccess::from))
    }

    /// Ends the session of the access token: its refresh tokens work no more, and its access tokens are refused with
    /// `SESSION_REVOKED` within seconds, the one of this request included.
    #[graphql(directive = authenticated::apply())]
    async fn sign_out(&self, ctx: &Context<'_>) -> Result<SignOutResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.sign_out(person).await.map(|()| SignOutSuccess { signed_out: true }))
    }

    /// Ends every session of the signed-in person, on every device, this one included. Their access tokens are refused with
    /// `SESSION_REVOKED` within seconds.
    #[graphql(directive = authenticated::apply())]
    async fn sign_out_everywhere(&self, ctx: &Context<'_>) -> Result<SignOutEverywhereResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.sign_out_everywhere(person).await.map(SignOutEverywhereSuccess::from))
    }

    /// Ends one session of your list: that device must sign in again, within seconds. Ending one twice is no error.
    #[graphql(directive = authenticated::apply())]
    async fn revoke_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session.")] input: RevokeSessionInput,
    ) -> Result<RevokeSessionResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.revoke_session(person, &input.session_id).await.map(RevokeSessionSuccess::from))
    }
}
