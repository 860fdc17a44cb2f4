//! Passkeys: add, use, rename, remove. Each of the first two has a beginning and an end, with the browser between them.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::graphql::{
    accounts,
    result::{
        BeginPasskeyRegistrationResult, BeginPasskeySignInResult, FinishPasskeyRegistrationResult, FinishPasskeySignInResult,
        RemovePasskeyResult, RenamePasskeyResult, answer,
    },
    types::{
        passkey::{
            BeginPasskeyRegistrationInput, BeginPasskeyRegistrationSuccess, BeginPasskeySignInSuccess,
            FinishPasskeyRegistrationInput, FinishPasskeyRegistrationSuccess, FinishPasskeySignInInput, RemovePasskeyInput,
            RemovePasskeySuccess, RenamePasskeyInput, RenamePasskeySuccess,
        },
        session::SessionSuccess,
    },
};

#[derive(Default)]
pub struct Passkeys;

#[Object]
impl Passkeys {
    /// Asks for a new passkey: its answer goes to the browser, and the browser's to finishPasskeyRegistration. `RATE_LIMITED` after 10
    /// of these for an account (then one every 30 seconds). Needs a sign-in less than 10 minutes ago, or the password.
    #[graphql(directive = authenticated::apply())]
    async fn begin_passkey_registration(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The password, where the sign-in was long ago.")] input: Option<BeginPasskeyRegistrationInput>,
    ) -> Result<BeginPasskeyRegistrationResult> {
        let (person, input) = (signed_in(ctx)?, input.unwrap_or_default());
        let asked = accounts(ctx)?.begin_passkey_registration(person, input.current_password.as_deref()).await;
        answer(asked.map(BeginPasskeyRegistrationSuccess::from))
    }

    /// Keeps the passkey that the browser made. From then on it signs in, without password and second factor: it is two factors by
    /// itself, as the device asks for finger, face or PIN. At most 20. The owner gets a letter.
    #[graphql(directive = authenticated::apply())]
    async fn finish_passkey_registration(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the browser made.")] input: FinishPasskeyRegistrationInput,
    ) -> Result<FinishPasskeyRegistrationResult> {
        let person = signed_in(ctx)?;
        let kept = accounts(ctx)?.finish_passkey_registration(person, &input.credential, input.name.as_deref()).await;
        answer(kept.map(FinishPasskeyRegistrationSuccess::from))
    }

    /// Asks for a passkey of anybody: nobody says who they are, the passkey does. The answer goes to the browser, and the browser's
    /// to finishPasskeySignIn. `RATE_LIMITED` after 60 attempts of a client (then one every 2 seconds).
    async fn begin_passkey_sign_in(&self, ctx: &Context<'_>) -> Result<BeginPasskeySignInResult> {
        answer(accounts(ctx)?.begin_passkey_sign_in().await.map(BeginPasskeySignInSuccess::from))
    }

    /// Opens a session for who has the passkey, also where a password would need a second factor. `RATE_LIMITED` as
    /// beginPasskeySignIn.
    async fn finish_passkey_sign_in(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What the browser gave.")] input: FinishPasskeySignInInput,
    ) -> Result<FinishPasskeySignInResult> {
        let opened = accounts(ctx)?.finish_passkey_sign_in(&input.credential, input.device.as_deref()).await;
        answer(opened.map(SessionSuccess::from))
    }

    /// Gives a passkey of yours another name.
    #[graphql(directive = authenticated::apply())]
    async fn rename_passkey(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The passkey and its name.")] input: RenamePasskeyInput,
    ) -> Result<RenamePasskeyResult> {
        let person = signed_in(ctx)?;
        let renamed = accounts(ctx)?.rename_passkey(person, &input.passkey_id, &input.name).await;
        answer(renamed.map(RenamePasskeySuccess::from))
    }

    /// Removes a passkey of yours: it signs in no more. Sessions that it opened stay. The owner gets a letter. Needs a sign-in less than
    /// 10 minutes ago, or the password.
    #[graphql(directive = authenticated::apply())]
    async fn remove_passkey(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The passkey.")] input: RemovePasskeyInput,
    ) -> Result<RemovePasskeyResult> {
        let person = signed_in(ctx)?;
        let removed = accounts(ctx)?.remove_passkey(person, &input.passkey_id, input.current_password.as_deref()).await;
        answer(removed.map(RemovePasskeySuccess::from))
    }
}
