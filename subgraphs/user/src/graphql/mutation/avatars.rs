//! The picture of a person. It comes in over HTTP (`routes.rs`); what is left is to remove it.

use async_graphql::{Context, Object, Result};
use berth_kernel::graphql::{authenticated, signed_in};

use crate::graphql::{
    accounts,
    result::{RemoveAvatarResult, answer},
    types::avatar::RemoveAvatarSuccess,
};

#[derive(Default)]
pub struct Avatars;

#[Object]
impl Avatars {
    /// Removes your picture; its address leads nowhere from then on. Removing it twice is no error. A picture is set over HTTP: POST
    /// /me/avatar with the access token, the file as the body (PNG, JPEG or WebP, at most 256 KiB, 8 megapixels and 4096 pixels on
    /// a side) and its Content-Type. It is cut to a square of 256 x 256 pixels, and nothing but its pixels is kept. The answer is
    /// { avatarUrl }. At most 10 at once, then one every 6 minutes.
    #[graphql(directive = authenticated::apply())]
    async fn remove_avatar(&self, ctx: &Context<'_>) -> Result<RemoveAvatarResult> {
        let person = signed_in(ctx)?;
        answer(accounts(ctx)?.remove_avatar(person).await.map(RemoveAvatarSuccess::from))
    }
}
