//! The profile, and the people somebody books for.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::graphql::{
    accounts,
    result::{AddPassengerResult, RemovePassengerResult, UpdatePassengerResult, UpdateProfileResult, answer},
    types::{
        passenger::{
            AddPassengerInput, AddPassengerSuccess, RemovePassengerInput, RemovePassengerSuccess, UpdatePassengerInput,
            UpdatePassengerSuccess,
        },
        user::{UpdateProfileInput, UpdateProfileSuccess},
    },
};

#[derive(Default)]
pub struct People;

#[Object]
impl People {
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
