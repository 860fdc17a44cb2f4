//! Mutations: each reads its input, calls one use case and maps the outcome.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use super::{
    accounts,
    result::{
        AddPassengerResult, ChangePasswordResult, RefreshSessionResult, RemovePassengerResult, RequestPasswordResetResult,
        ResendOtpResult, ResetPasswordResult, RevokeSessionResult, SignInResult, SignOutEverywhereResult, SignOutResult,
        SignUpResult, UpdatePassengerResult, UpdateProfileResult, VerifyOtpResult, answer,
    },
    types::{
        passenger::{
            AddPassengerInput, AddPassengerSuccess, RemovePassengerInput, RemovePassengerSuccess, UpdatePassengerInput,
            UpdatePassengerSuccess,
        },
        password::{
            ChangePasswordInput, ChangePasswordSuccess, RequestPasswordResetInput, RequestPasswordResetSuccess,
            ResetPasswordInput, ResetPasswordSuccess,
        },
        session::{
            RefreshSessionInput, ResendOtpInput, ResendOtpSuccess, RevokeSessionInput, RevokeSessionSuccess, SessionSuccess,
            SignInInput, SignOutEverywhereSuccess, SignOutSuccess, SignUpInput, SignUpSuccess, VerifyOtpInput,
        },
        user::{UpdateProfileInput, UpdateProfileSuccess},
    },
};

/// Mutations of the user service.
pub struct Mutation;

/// Everything that can be changed.
#[Object]
impl Mutation {
    /// Starts a sign-up: sends a one-time password to the address, which verifyOtp wants. The answer is the same whether the
    /// address has an account or not; the owner of a known address gets a letter that says so. A new sign-up of an address
    /// replaces its earlier one. Letters to one address are at least 60 seconds apart: the code of a quick second sign-up
    /// arrives later.
    async fn sign_up(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Address and wanted password.")] input: SignUpInput,
    ) -> Result<SignUpResult> {
        answer(accounts(ctx)?.sign_up(&input.email, &input.password).await.map(SignUpSuccess::from))
    }

    /// Proves the address of a sign-up: makes the account and signs in. The code has six digits, lives 10 minutes, works once
    /// and in its own flow only; after five wrong tries the flow is locked until resendOtp.
    async fn verify_otp(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Flow and code.")] input: VerifyOtpInput,
    ) -> Result<VerifyOtpResult> {
        answer(accounts(ctx)?.verify(&input.flow_id, &input.code, input.device.as_deref()).await.map(SessionSuccess::from))
    }

    /// Sends a new one-time password for a sign-up, at the earliest 60 seconds after the last one. Only the newest code works;
    /// its five tries are counted anew.
    async fn resend_otp(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The flow.")] input: ResendOtpInput,
    ) -> Result<ResendOtpResult> {
        answer(accounts(ctx)?.resend(&input.flow_id).await.map(ResendOtpSuccess::from))
    }

    /// Opens a session with e-mail address and password. An unknown address and a wrong password get the same answer.
    async fn sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Address and password.")] input: SignInInput,
    ) -> Result<SignInResult> {
        answer(accounts(ctx)?.sign_in(&input.email, &input.password, input.device.as_deref()).await.map(SessionSuccess::from))
    }

    /// Exchanges the refresh token for a new access token and a new refresh token. When the answer is lost, the same refresh
    /// token may be sent again as long as no token of the lost answer was used. Any other second use ends the session on every
    /// device that shares it, and the user gets a letter.
    async fn refresh_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The refresh token.")] input: RefreshSessionInput,
    ) -> Result<RefreshSessionResult> {
        answer(accounts(ctx)?.refresh(&input.refresh_token).await.map(SessionSuccess::from))
    }

    /// Ends the session of the access token: its refresh tokens work no more. Access tokens that were given out live to their
    /// end, at most 10 minutes. Signing out twice is no error.
    #[graphql(directive = authenticated::apply())]
    async fn sign_out(&self, ctx: &Context<'_>) -> Result<SignOutResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.sign_out(person).await.map(|()| SignOutSuccess { signed_out: true }))
    }

    /// Ends every session of the signed-in person, on every device, this one included. Access tokens that were given out live to
    /// their end, at most 10 minutes.
    #[graphql(directive = authenticated::apply())]
    async fn sign_out_everywhere(&self, ctx: &Context<'_>) -> Result<SignOutEverywhereResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.sign_out_everywhere(person).await.map(SignOutEverywhereSuccess::from))
    }

    /// Ends one session of your list: that device must sign in again, at the latest when its access token ends, after at most
    /// 10 minutes. Ending one twice is no error.
    #[graphql(directive = authenticated::apply())]
    async fn revoke_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The session.")] input: RevokeSessionInput,
    ) -> Result<RevokeSessionResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.revoke_session(person, &input.session_id).await.map(RevokeSessionSuccess::from))
    }

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
    /// is not sent.
    async fn request_password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address.")] input: RequestPasswordResetInput,
    ) -> Result<RequestPasswordResetResult> {
        answer(accounts(ctx)?.request_reset(&input.email).map(|()| RequestPasswordResetSuccess { accepted: true }))
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

    /// Changes the profile. A fact that is left out or null stays as it is; a fact once set can be changed but not emptied. Once
    /// all six are set, the user is PREMIUM, for good.
    #[graphql(directive = authenticated::apply())]
    async fn update_profile(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The facts to set.")] input: UpdateProfileInput,
    ) -> Result<UpdateProfileResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.update_profile(person.user_id, input.into()).await.map(UpdateProfileSuccess::from))
    }

    /// Adds somebody to the list of people you book for. At most 50.
    #[graphql(directive = authenticated::apply())]
    async fn add_passenger(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The passenger.")] input: AddPassengerInput,
    ) -> Result<AddPassengerResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.add_passenger(person.user_id, input.into()).await.map(AddPassengerSuccess::from))
    }

    /// Changes a passenger of your list. What is left out or null stays as it is. Bookings keep the copy they were made with.
    #[graphql(directive = authenticated::apply())]
    async fn update_passenger(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The passenger and the facts to set.")] input: UpdatePassengerInput,
    ) -> Result<UpdatePassengerResult> {
        let person = signed_in(ctx)?;
        let (id, change) = input.split();
        answer(accounts(ctx)?.update_passenger(person.user_id, &id, change).await.map(UpdatePassengerSuccess::from))
    }

    /// Removes a passenger from your list. Bookings keep the copy they were made with.
    #[graphql(directive = authenticated::apply())]
    async fn remove_passenger(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The passenger.")] input: RemovePassengerInput,
    ) -> Result<RemovePassengerResult> {
        let person = signed_in(ctx)?;
        let removed = accounts(ctx)?.remove_passenger(person.user_id, &input.passenger_id).await;
        answer(removed.map(RemovePassengerSuccess::from))
    }
}
