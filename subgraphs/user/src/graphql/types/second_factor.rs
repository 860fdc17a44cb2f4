//! The second factor of a sign-in.

use async_graphql::{ID, InputObject, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, in_utc};

use crate::second_factors::{Enrolment, Protection, Waiting};

/// How an account is protected beside its password.
#[derive(SimpleObject)]
pub struct SecondFactor {
    /// Whether sign-in asks for a code of an authenticator app.
    pub totp_enabled: bool,
    /// Recovery codes that were not used yet, 0 to 10.
    pub recovery_codes_left: i32,
}

impl From<Protection> for SecondFactor {
    fn from(protection: Protection) -> Self {
        let recovery_codes_left = i32::try_from(protection.recovery_codes_left).unwrap_or(i32::MAX);
        Self { totp_enabled: protection.totp_enabled, recovery_codes_left }
    }
}

/// The password is right, and the account has a second factor: send a code with completeSignIn.
#[derive(SimpleObject)]
pub struct SecondFactorRequired {
    /// Names this sign-in in completeSignIn: challenge_...
    pub challenge_id: ID,
    /// Until when it waits: 5 minutes.
    pub expires_at: DateTime,
}

impl From<Waiting> for SecondFactorRequired {
    fn from(waiting: Waiting) -> Self {
        Self { challenge_id: Kind::Challenge.encode(waiting.challenge_id).into(), expires_at: in_utc(waiting.expires_at) }
    }
}

/// What completeSignIn needs.
#[derive(InputObject)]
pub struct CompleteSignInInput {
    /// What signIn gave.
    pub challenge_id: ID,
    /// The six digits that the authenticator app shows, or a recovery code. Spaces and hyphens don't matter.
    #[graphql(secret)]
    pub code: String,
}

/// What enrolTotp needs.
#[derive(InputObject, Default)]
pub struct EnrolTotpInput {
    /// The account's password. Needed when this session was opened, by whichever sign-in, more than 10 minutes ago: `PROOF_REQUIRED` else. A
    /// wrong one is refused also before, and counts like a failed sign-in.
    #[graphql(secret)]
    pub current_password: Option<String>,
}

/// What an authenticator app needs. Shown once: it can't be read again.
#[derive(SimpleObject)]
pub struct EnrolTotpSuccess {
    /// For a QR code that the app scans: a URI of the scheme otpauth.
    pub uri: String,
    /// The same secret for typing, base 32.
    pub secret: String,
}

impl From<Enrolment> for EnrolTotpSuccess {
    fn from(enrolment: Enrolment) -> Self {
        Self { uri: enrolment.uri, secret: enrolment.secret }
    }
}

/// What confirmTotp needs.
#[derive(InputObject)]
pub struct ConfirmTotpInput {
    /// The six digits that the app shows now.
    #[graphql(secret)]
    pub code: String,
}

/// The second factor is on.
#[derive(SimpleObject)]
pub struct ConfirmTotpSuccess {
    /// Ten codes that each stand in for the app once. Shown once: keep them where the phone is not.
    pub recovery_codes: Vec<String>,
}

impl From<Vec<String>> for ConfirmTotpSuccess {
    fn from(recovery_codes: Vec<String>) -> Self {
        Self { recovery_codes }
    }
}

/// What disableTotp needs: one of the two.
#[derive(InputObject)]
pub struct DisableTotpInput {
    /// The account's password.
    #[graphql(secret)]
    pub password: Option<String>,
    /// The six digits that the app shows, or a recovery code.
    #[graphql(secret)]
    pub code: Option<String>,
}

/// The second factor is off.
#[derive(SimpleObject)]
pub struct DisableTotpSuccess {
    /// Always true.
    pub disabled: bool,
}

/// What regenerateRecoveryCodes needs.
#[derive(InputObject)]
pub struct RegenerateRecoveryCodesInput {
    /// The six digits that the app shows, or one of the present recovery codes.
    #[graphql(secret)]
    pub code: String,
}

/// The recovery codes before work no more.
#[derive(SimpleObject)]
pub struct RegenerateRecoveryCodesSuccess {
    /// Ten codes that each stand in for the app once. Shown once.
    pub recovery_codes: Vec<String>,
}

impl From<Vec<String>> for RegenerateRecoveryCodesSuccess {
    fn from(recovery_codes: Vec<String>) -> Self {
        Self { recovery_codes }
    }
}
