//! Settings, and what was read.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::{
    error::Invalid,
    graphql::{
        accounts,
        result::{MarkNotificationsReadResult, UpdateSettingsResult, answer},
        types::{
            notification::{MarkNotificationsReadInput, MarkNotificationsReadSuccess},
            setting::{UpdateSettingsInput, UpdateSettingsSuccess},
        },
    },
};

#[derive(Default)]
pub struct Notifications;

#[Object]
impl Notifications {
    /// Changes how you are written to: language, time zone, and by which ways you are told what. What is left out or null stays as it
    /// is. Letters about the security of the account can't be switched off.
    #[graphql(directive = authenticated::apply())]
    async fn update_settings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The settings to change.")] input: UpdateSettingsInput,
    ) -> Result<UpdateSettingsResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.update_settings(person.user_id, input.into()).await.map(UpdateSettingsSuccess::from))
    }

    /// Marks notifications as read. Marking one twice is no error. What is read is forgotten after 180 days.
    #[graphql(directive = authenticated::apply())]
    async fn mark_notifications_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones.")] input: MarkNotificationsReadInput,
    ) -> Result<MarkNotificationsReadResult> {
        let person = signed_in(ctx)?;
        let Some(which) = input.which() else {
            return answer::<MarkNotificationsReadSuccess, _>(Err(Invalid { field: "all", why: "all must be true" }.into()));
        };
        answer(accounts(ctx)?.mark_read(person.user_id, which).await.map(MarkNotificationsReadSuccess::from))
    }
}
