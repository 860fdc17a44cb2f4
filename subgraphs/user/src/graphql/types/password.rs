//! New passwords.

use std::sync::Arc;

use async_graphql::{InputObject, SimpleObject};

use super::user::User;
use crate::account::Account;

/// What changePassword needs.
#[derive(InputObject)]
pub struct ChangePasswordInput {
    /// The present password.
    #[graphql(secret)]
    pub current_password: String,
    /// The wanted one, 8 to 128 characters of any kind. Refused as `INVALID_INPUT` when it would be guessed among the first
    /// 100 million tries: lists of known passwords, single words, names, dates, rows of keys, and your own address and name.
    #[graphql(secret)]
    pub new_password: String,
}

/// What requestPasswordReset needs.
#[derive(InputObject)]
pub struct RequestPasswordResetInput {
    /// E-mail address of the account.
    pub email: String,
}

/// What resetPassword needs.
#[derive(InputObject)]
pub struct ResetPasswordInput {
    /// The token of the link in the letter: what stands behind #token=.
    #[graphql(secret)]
    pub token: String,
    /// The wanted password, 8 to 128 characters of any kind. Refused as `INVALID_INPUT` when it would be guessed among the first
    /// 100 million tries: lists of known passwords, single words, names, dates, rows of keys, and your own address and name.
    #[graphql(secret)]
    pub new_password: String,
}

/// The password was changed.
#[derive(SimpleObject)]
pub struct ChangePasswordSuccess {
    /// Whose.
    pub user: User,
}

impl From<Account> for ChangePasswordSuccess {
    fn from(account: Account) -> Self {
        Self { user: User(Arc::new(account)) }
    }
}

/// If the address has an account, a link is on its way.
#[derive(SimpleObject)]
pub struct RequestPasswordResetSuccess {
    /// Always true, whether the address is known or not.
    pub accepted: bool,
}

/// The new password is set. Sign in with it.
#[derive(SimpleObject)]
pub struct ResetPasswordSuccess {
    /// Always true.
    pub reset: bool,
}
