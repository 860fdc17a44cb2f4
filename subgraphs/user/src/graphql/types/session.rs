//! Signing up, in and out.

use std::sync::Arc;

use async_graphql::{ID, InputObject, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, in_utc};

use super::user::User;
use crate::{sessions::Opened, sign_ups::Started};

/// What signUp needs.
#[derive(InputObject)]
pub struct SignUpInput {
    /// E-mail address, at most 254 characters. Spaces around it are dropped, capitals don't matter.
    pub email: String,
    /// Wanted password, 8 to 128 characters of any kind.
    #[graphql(secret)]
    pub password: String,
}

/// What verifyOtp needs.
#[derive(InputObject)]
pub struct VerifyOtpInput {
    /// The flow that signUp gave.
    pub flow_id: ID,
    /// The six digits of the newest letter.
    #[graphql(secret)]
    pub code: String,
}

/// What resendOtp needs.
#[derive(InputObject)]
pub struct ResendOtpInput {
    /// The flow that signUp gave.
    pub flow_id: ID,
}

/// What signIn needs.
#[derive(InputObject)]
pub struct SignInInput {
    /// E-mail address of the account.
    pub email: String,
    /// Its password.
    #[graphql(secret)]
    pub password: String,
}

/// What refreshSession needs.
#[derive(InputObject)]
pub struct RefreshSessionInput {
    /// The newest refresh token of the session.
    #[graphql(secret)]
    pub refresh_token: String,
}

/// The tokens of a signed-in session.
#[derive(SimpleObject)]
pub struct Session {
    /// Goes into the header Authorization: Bearer ... A signed JWT that lives 10 minutes.
    pub access_token: String,
    /// Exchanged by refreshSession for the next pair of tokens. Opaque; keep it secret.
    pub refresh_token: String,
    /// When the access token ends: refresh before.
    pub expires_at: DateTime,
    /// When the session ends unless it is refreshed before: 30 days after the last refresh.
    pub refresh_expires_at: DateTime,
}

/// The sign-up has begun: a letter with the code is on its way.
#[derive(SimpleObject)]
pub struct SignUpSuccess {
    /// Names this sign-up in verifyOtp and resendOtp.
    pub flow_id: ID,
    /// When the code ends.
    pub expires_at: DateTime,
}

/// A new code is on its way; codes sent before work no more.
#[derive(SimpleObject)]
pub struct ResendOtpSuccess {
    /// The same flow.
    pub flow_id: ID,
    /// When the new code ends.
    pub expires_at: DateTime,
}

/// Signed in.
#[derive(SimpleObject)]
pub struct SessionSuccess {
    /// The session's fresh tokens.
    pub session: Session,
    /// Who is signed in.
    pub user: User,
}

/// Signed out.
#[derive(SimpleObject)]
pub struct SignOutSuccess {
    /// Always true: the session has ended, now or before.
    pub signed_out: bool,
}

impl From<Started> for SignUpSuccess {
    fn from(started: Started) -> Self {
        Self { flow_id: Kind::Flow.encode(started.flow_id).into(), expires_at: in_utc(started.expires_at) }
    }
}

impl From<Started> for ResendOtpSuccess {
    fn from(started: Started) -> Self {
        Self { flow_id: Kind::Flow.encode(started.flow_id).into(), expires_at: in_utc(started.expires_at) }
    }
}

impl From<Opened> for SessionSuccess {
    fn from(opened: Opened) -> Self {
        let session = Session {
            access_token: opened.access_token,
            refresh_token: opened.refresh_token,
            expires_at: in_utc(opened.expires_at),
            refresh_expires_at: in_utc(opened.refresh_expires_at),
        };
        Self { session, user: User(Arc::new(opened.account)) }
    }
}
