//! Other names than the e-mail address: phone numbers and user names.

use async_graphql::{Context, Object, Result};
use berth_kernel::{
    graphql::{authenticated, signed_in},
    peer::Passed,
};

use crate::graphql::{
    accounts,
    result::{SetUsernameResult, SignUpResult, answer},
    types::{
        session::{SignUpByPhoneInput, SignUpSuccess},
        user::{SetUsernameInput, SetUsernameSuccess},
    },
};

#[derive(Default)]
pub struct Names;

#[Object]
impl Names {
    /// Starts a sign-up by phone: like signUp, with the one-time password in a text message. verifyOtp and resendOtp go on from
    /// there; sign in with the number afterwards. The answer is the same whether the number has an account or not.
    async fn sign_up_by_phone(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Phone number and wanted password.")] input: SignUpByPhoneInput,
    ) -> Result<SignUpResult> {
        let locale = input.locale.map(Into::into).or_else(|| Passed::current().locale()).unwrap_or_default();
        let work = input.work.as_ref().map(Into::into);
        answer(accounts(ctx)?.sign_up_by_phone(&input.phone, &input.password, locale, work).await.map(SignUpSuccess::from))
    }

    /// Gives you a user name, in place of the one before, or takes it away. You can sign in with it. Nobody else is shown it, but who
    /// tries to take the same one learns that it is taken.
    #[graphql(directive = authenticated::apply())]
    async fn set_username(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user name.")] input: SetUsernameInput,
    ) -> Result<SetUsernameResult> {
        let person = signed_in(ctx)?;
        let set = accounts(ctx)?.set_username(person.user_id, input.username.as_deref()).await;
        answer(set.map(SetUsernameSuccess::from))
    }
}
