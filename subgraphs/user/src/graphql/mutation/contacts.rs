//! Another e-mail address or phone number.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::{
    email::Email,
    error::{Error, Invalid},
    graphql::{
        accounts,
        result::{ConfirmContactChangeResult, RequestContactChangeResult, StopContactChangeResult, answer},
        types::contact::{
            ConfirmContactChangeInput, ConfirmContactChangeSuccess, RequestContactChangeSuccess, RequestEmailChangeInput,
            RequestPhoneChangeInput, StopContactChangeInput, StopContactChangeSuccess,
        },
    },
    identifier::Address,
};

#[derive(Default)]
pub struct Contacts;

#[Object]
impl Contacts {
    /// Asks for another e-mail address. A code goes to the new one and another to the present one (the phone, while there is no e-mail
    /// address), with a link that stops the change. The answer is the same if the new address has an account; then no code is right.
    /// A newer request replaces this one, 60 seconds later at the earliest.
    #[graphql(directive = authenticated::apply())]
    async fn request_email_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Password and wanted address.")] input: RequestEmailChangeInput,
    ) -> Result<RequestContactChangeResult> {
        let person = signed_in(ctx)?;
        let wanted = match Email::parse(&input.new_email) {
            Ok(email) => Address::Email(email),
            Err(why) => return answer::<_, RequestContactChangeResult>(refused("newEmail", why)),
        };
        let asked = accounts(ctx)?.ask_contact_change(person, &input.password, wanted).await;
        answer(asked.map(RequestContactChangeSuccess::from))
    }

    /// Asks for another phone number, or for a first one. Codes go to the new number and to the present one (the e-mail address, while
    /// there is no number): the rest is as with requestEmailChange.
    #[graphql(directive = authenticated::apply())]
    async fn request_phone_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Password and wanted number.")] input: RequestPhoneChangeInput,
    ) -> Result<RequestContactChangeResult> {
        let person = signed_in(ctx)?;
        let wanted = match Address::phone(&input.new_phone) {
            Ok(phone) => phone,
            Err(why) => return answer::<_, RequestContactChangeResult>(refused("newPhone", why)),
        };
        let asked = accounts(ctx)?.ask_contact_change(person, &input.password, wanted).await;
        answer(asked.map(RequestContactChangeSuccess::from))
    }

    /// Makes the change of an e-mail address or phone number. Both codes must be right; they live 10 minutes, and after five wrong tries
    /// even the right ones work no more. The old address is told. Links for a new password that went to it are dead.
    #[graphql(directive = authenticated::apply())]
    async fn confirm_contact_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The change and both codes.")] input: ConfirmContactChangeInput,
    ) -> Result<ConfirmContactChangeResult> {
        let person = signed_in(ctx)?;
        let confirmed = accounts(ctx)?.confirm_contact_change(person, &input.change_id, &input.new_code, &input.old_code).await;
        answer(confirmed.map(ConfirmContactChangeSuccess::from))
    }

    /// Stops a change of an address, for who got the link at the old one. Every session of the account ends, as who asked for the
    /// change knew the password: set a new one.
    async fn stop_contact_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The link's token.")] input: StopContactChangeInput,
    ) -> Result<StopContactChangeResult> {
        let stopped = accounts(ctx)?.stop_contact_change(&input.token).await;
        answer(stopped.map(|()| StopContactChangeSuccess { stopped: true }))
    }
}

fn refused(field: &'static str, why: &'static str) -> Result<RequestContactChangeSuccess, Error> {
    Err(Invalid { field, why }.into())
}
