//! Signing up, in and out.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, Locale, in_utc, viewer};
use uuid::Uuid;

use super::{second_factor::SecondFactorRequired, user::User, work::SignUpWorkInput};
use crate::{graphql::result::SignInResult, second_factors::Entered, session::OpenSession, sessions::Opened, sign_ups::Started};

/// What signUp needs.
#[derive(InputObject)]
pub struct SignUpInput {
    /// E-mail address, at most 254 characters. Spaces around it are dropped, capitals don't matter.
    pub email: String,
    /// Wanted password, 8 to 128 characters of any kind. Refused as `INVALID_INPUT` when it would be guessed among the first 100 million
    /// tries: lists of known passwords, single words, names, dates, rows of keys, and your own address.
    #[graphql(secret)]
    pub password: String,
    /// The work that requestSignUpChallenge asked for. Needed only where the operator asks for it: the refusal `WORK_REQUIRED` says so.
    pub work: Option<SignUpWorkInput>,
    /// Language of the letters of this sign-up, and of the account it makes. When left out: the one of ours that the header
    /// Accept-Language of the request likes best, else English.
    pub locale: Option<Locale>,
}

/// What signUpByPhone needs.
#[derive(InputObject)]
pub struct SignUpByPhoneInput {
    /// Phone number with its country: + and 8 to 15 digits. Spaces, dots, hyphens and brackets are dropped.
    pub phone: String,
    /// Wanted password, 8 to 128 characters of any kind.
    #[graphql(secret)]
    pub password: String,
    /// Language of the messages of this sign-up, and of the account it makes. When left out: the one of ours that the header
    /// Accept-Language of the request likes best, else English.
    pub locale: Option<Locale>,
    /// The work that requestSignUpChallenge asked for. Needed only where the operator asks for it: the refusal `WORK_REQUIRED` says so.
    pub work: Option<SignUpWorkInput>,
}

/// What verifyOtp needs.
#[derive(InputObject)]
pub struct VerifyOtpInput {
    /// The flow that signUp gave.
    pub flow_id: ID,
    /// The six digits of the newest letter.
    #[graphql(secret)]
    pub code: String,
    /// What to call this device in your list of sessions. Cut after 80 characters.
    pub device: Option<String>,
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
    /// E-mail address of the account; its proved phone number (with + and country) or its user name work as well.
    pub email: String,
    /// Its password.
    #[graphql(secret)]
    pub password: String,
    /// What to call this device in your list of sessions. Cut after 80 characters.
    pub device: Option<String>,
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
    /// Goes into the header Authorization: Bearer ... A signed JWT that lives 10 minutes, and not longer than its session.
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

/// A device that is signed in. Only visible to its owner.
pub struct UserSession(pub OpenSession);

/// A device that is signed in. Only visible to its owner.
#[Object]
impl UserSession {
    /// Opaque id: session_...
    async fn id(&self) -> ID {
        Kind::Session.encode(self.0.id).into()
    }

    /// What the client called the device when it signed in.
    async fn device(&self) -> &Option<String> {
        &self.0.device
    }

    /// When somebody signed in.
    async fn created_at(&self) -> DateTime {
        in_utc(self.0.created_at)
    }

    /// When the device got tokens last: at most 10 minutes before it was used last.
    async fn last_seen_at(&self) -> DateTime {
        in_utc(self.0.seen_at)
    }

    /// When the session ends unless it is refreshed before.
    async fn expires_at(&self) -> DateTime {
        in_utc(self.0.expires_at)
    }

    /// Whether it is the session of this very request.
    async fn current(&self, ctx: &Context<'_>) -> bool {
        viewer(ctx).0.as_ref().is_some_and(|person| person.session_id == self.0.id)
    }
}

/// What revokeSession needs.
#[derive(InputObject)]
pub struct RevokeSessionInput {
    /// The session.
    pub session_id: ID,
}

/// The session has ended.
#[derive(SimpleObject)]
pub struct RevokeSessionSuccess {
    /// Which.
    pub revoked_id: ID,
}

impl From<Uuid> for RevokeSessionSuccess {
    fn from(id: Uuid) -> Self {
        Self { revoked_id: Kind::Session.encode(id).into() }
    }
}

/// Signed out on every device.
#[derive(SimpleObject)]
pub struct SignOutEverywhereSuccess {
    /// How many sessions were ended, this one included.
    pub ended: i32,
}

impl From<u64> for SignOutEverywhereSuccess {
    fn from(ended: u64) -> Self {
        Self { ended: i32::try_from(ended).unwrap_or(i32::MAX) }
    }
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

impl From<Entered> for SignInResult {
    fn from(entered: Entered) -> Self {
        match entered {
            Entered::Opened(opened) => Self::SessionSuccess(SessionSuccess::from(*opened)),
            Entered::Waiting(waiting) => Self::SecondFactorRequired(SecondFactorRequired::from(waiting)),
        }
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
