//! The picture of a person.

use std::sync::Arc;

use async_graphql::SimpleObject;

use super::user::User;
use crate::account::Account;

/// The picture was removed.
#[derive(SimpleObject)]
pub struct RemoveAvatarSuccess {
    /// The user, without a picture.
    pub user: User,
}

impl From<Account> for RemoveAvatarSuccess {
    fn from(account: Account) -> Self {
        Self { user: User(Arc::new(account)) }
    }
}
