//! The second factor: set up, switched off, and used at sign-in.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::{
    graphql::{
        accounts,
        result::{
            CompleteSignInResult, ConfirmTotpResult, DisableTotpResult, EnrolTotpResult, RegenerateRecoveryCodesResult, answer,
        },
        types::{
            second_factor::{
                CompleteSignInInput, ConfirmTotpInput, ConfirmTotpSuccess, DisableTotpInput, DisableTotpSuccess, EnrolTotpInput,
                EnrolTotpSuccess, RegenerateRecoveryCodesInput, RegenerateRecoveryCodesSuccess,
            },
            session::SessionSuccess,
        },
    },
    second_factors::Proof,
};

#[derive(Default)]
pub struct SecondFactors;

#[Object]
impl SecondFactors {
    /// Opens the session of a sign-in that got `SecondFactorRequired`. Five tries within 5 minutes; a code of the app works once, and
    /// each recovery code once. `RATE_LIMITED` after 10 tries for an account (then one every 30 seconds).
    async fn complete_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The challenge and the code.")] input: CompleteSignInInput,
    ) -> Result<CompleteSignInResult> {
        answer(accounts(ctx)?.complete_sign_in(&input.challenge_id, &input.code).await.map(SessionSuccess::from))
    }

    /// Begins to set up an authenticator app as a second factor: answers its secret, once. Nothing changes until confirmTotp; until
    /// then a new call replaces the secret. Needs a sign-in less than 10 minutes ago, or the password.
    #[graphql(directive = authenticated::apply())]
    async fn enrol_totp(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password, where the sign-in was long ago.")] input: Option<EnrolTotpInput>,
    ) -> Result<EnrolTotpResult> {
        let (person, input) = (signed_in(ctx)?, input.unwrap_or_default());
        answer(accounts(ctx)?.enrol_totp(person, input.current_password.as_deref()).await.map(EnrolTotpSuccess::from))
    }

    /// Switches the second factor on, with a code of the app that proves it has the secret. From now on sign-in by password asks
    /// for a code; open sessions stay. Answers ten recovery codes, once. The owner gets a letter.
    #[graphql(directive = authenticated::apply())]
    async fn confirm_totp(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A code of the app.")] input: ConfirmTotpInput,
    ) -> Result<ConfirmTotpResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.confirm_totp(person, &input.code).await.map(ConfirmTotpSuccess::from))
    }

    /// Switches the second factor off and forgets its recovery codes. The owner gets a letter.
    #[graphql(directive = authenticated::apply())]
    async fn disable_totp(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password, or a code.")] input: DisableTotpInput,
    ) -> Result<DisableTotpResult> {
        let person = signed_in(ctx)?;
        let disabled = match Proof::parse(input.password.as_deref(), input.code.as_deref()) {
            Ok(proof) => accounts(ctx)?.disable_totp(person, proof).await,
            Err(invalid) => Err(invalid.into()),
        };
        answer(disabled.map(|()| DisableTotpSuccess { disabled: true }))
    }

    /// Makes ten new recovery codes; those before work no more. The owner gets a letter.
    #[graphql(directive = authenticated::apply())]
    async fn regenerate_recovery_codes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A code.")] input: RegenerateRecoveryCodesInput,
    ) -> Result<RegenerateRecoveryCodesResult> {
        let person = signed_in(ctx)?;
        let renewed = accounts(ctx)?.regenerate_recovery_codes(person, &input.code).await;
        answer(renewed.map(RegenerateRecoveryCodesSuccess::from))
    }
}
