//! Another e-mail address or phone number.

use std::sync::Arc;

use async_graphql::{ID, InputObject, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, in_utc};

use super::user::User;
use crate::{account::Account, contact_changes::Asked};

/// What requestEmailChange needs.
#[derive(InputObject)]
pub struct RequestEmailChangeInput {
    /// The password of the account.
    #[graphql(secret)]
    pub password: String,
    /// The wanted e-mail address, at most 254 characters.
    pub new_email: String,
}

/// What requestPhoneChange needs.
#[derive(InputObject)]
pub struct RequestPhoneChangeInput {
    /// The password of the account.
    #[graphql(secret)]
    pub password: String,
    /// The wanted phone number with its country: + and 8 to 15 digits.
    pub new_phone: String,
}

/// What confirmEmailChange and confirmPhoneChange need.
#[derive(InputObject)]
pub struct ConfirmContactChangeInput {
    /// The change, as the request for it answered.
    pub change_id: ID,
    /// The six digits that came to the wanted address.
    #[graphql(secret)]
    pub new_code: String,
    /// The six digits that came to the address you have.
    #[graphql(secret)]
    pub old_code: String,
}

/// What stopContactChange needs.
#[derive(InputObject)]
pub struct StopContactChangeInput {
    /// The token of the link in the letter: what stands behind #token=.
    #[graphql(secret)]
    pub token: String,
}

/// Two codes are on their way: one to the wanted address, one to the present one.
#[derive(SimpleObject)]
pub struct RequestContactChangeSuccess {
    /// Names the change when it is confirmed.
    pub change_id: ID,
    /// When the codes end.
    pub expires_at: DateTime,
}

impl From<Asked> for RequestContactChangeSuccess {
    fn from(asked: Asked) -> Self {
        Self { change_id: Kind::ContactChange.encode(asked.id).into(), expires_at: in_utc(asked.expires_at) }
    }
}

/// The address was changed.
#[derive(SimpleObject)]
pub struct ConfirmContactChangeSuccess {
    /// The user with the new address.
    pub user: User,
}

impl From<Account> for ConfirmContactChangeSuccess {
    fn from(account: Account) -> Self {
        Self { user: User(Arc::new(account)) }
    }
}

/// The change was stopped, and every session of the account has ended.
#[derive(SimpleObject)]
pub struct StopContactChangeSuccess {
    /// Always true.
    pub stopped: bool,
}
