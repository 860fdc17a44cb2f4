//! Signing up.

use async_graphql::{Context, Object, Result};
use berth_kernel::peer::Passed;

use crate::graphql::{
    accounts,
    result::{RequestSignUpChallengeResult, ResendOtpResult, SignUpResult, VerifyOtpResult, answer},
    types::{
        session::{ResendOtpInput, ResendOtpSuccess, SessionSuccess, SignUpInput, SignUpSuccess, VerifyOtpInput},
        work::RequestSignUpChallengeSuccess,
    },
};

#[derive(Default)]
pub struct SignUps;

#[Object]
impl SignUps {
    /// Starts a sign-up: sends a one-time password to the address, which verifyOtp wants. The answer is the same whether the
    /// address has an account or not; the owner of a known address gets a letter that says so. A new sign-up of an address
    /// replaces its earlier one. Letters to one address are at least 60 seconds apart: the code of a quick second sign-up
    /// arrives later. `RATE_LIMITED` after 5 sign-ups of an address (then one a minute), or 30 of a client (then one every 20
    /// seconds).
    async fn sign_up(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Address and wanted password.")] input: SignUpInput,
    ) -> Result<SignUpResult> {
        let locale = input.locale.map(Into::into).or_else(|| Passed::current().locale()).unwrap_or_default();
        let work = input.work.as_ref().map(Into::into);
        answer(accounts(ctx)?.sign_up(&input.email, &input.password, locale, work).await.map(SignUpSuccess::from))
    }

    /// Gives the task that signUp wants to see done, where the operator asks for work. A task is done once and within 10 minutes.
    async fn request_sign_up_challenge(&self, ctx: &Context<'_>) -> Result<RequestSignUpChallengeResult> {
        answer(accounts(ctx)?.sign_up_task().await.map(RequestSignUpChallengeSuccess::from))
    }

    /// Proves the address of a sign-up: makes the account and signs in. The code has six digits, lives 10 minutes, works once
    /// and in its own flow only; after five wrong tries the flow is locked until resendOtp. `RATE_LIMITED` after 10 tries of a
    /// flow, resendOtp included (then one every 30 seconds), or 60 of a client (then one every 2 seconds).
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
}
