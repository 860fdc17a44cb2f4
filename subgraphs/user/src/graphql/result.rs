//! The result of each mutation: its success and the refusals it can meet.

use async_graphql::{Result, Union};
use berth_kernel::graphql::{InvalidInputError, NotFoundError, RateLimitedError, internal, unauthenticated};

use super::types::{
    notification::MarkNotificationsReadSuccess,
    passenger::{AddPassengerSuccess, RemovePassengerSuccess, UpdatePassengerSuccess},
    password::{ChangePasswordSuccess, RequestPasswordResetSuccess, ResetPasswordSuccess},
    refusal::{
        InvalidCredentialsError, OtpExpiredError, OtpInvalidError, OtpLockedError, PassengerLimitError, ResetTokenInvalidError,
        SessionEndedError, UserError,
    },
    session::{ResendOtpSuccess, RevokeSessionSuccess, SessionSuccess, SignOutEverywhereSuccess, SignOutSuccess, SignUpSuccess},
    setting::UpdateSettingsSuccess,
    user::UpdateProfileSuccess,
};
use crate::error::Error;

macro_rules! result {
    ($(#[$meta:meta])* $name:ident = $success:ident $(| $refusal:ident)*) => {
        $(#[$meta])*
        #[derive(Union)]
        pub enum $name {
            /// The success.
            $success($success),
            $(
                /// A refusal.
                $refusal($refusal),
            )*
        }

        impl TryFrom<UserError> for $name {
            type Error = UserError;

            fn try_from(refusal: UserError) -> Result<Self, UserError> {
                match refusal {
                    $(UserError::$refusal(refusal) => Ok(Self::$refusal(refusal)),)*
                    other => Err(other),
                }
            }
        }
    };
}

result!(
    /// Outcome of signUp.
    SignUpResult = SignUpSuccess | InvalidInputError | RateLimitedError
);
result!(
    /// Outcome of verifyOtp.
    VerifyOtpResult = SessionSuccess | OtpInvalidError | OtpExpiredError | OtpLockedError
);
result!(
    /// Outcome of resendOtp.
    ResendOtpResult = ResendOtpSuccess | NotFoundError | RateLimitedError
);
result!(
    /// Outcome of signIn.
    SignInResult = SessionSuccess | InvalidCredentialsError | RateLimitedError
);
result!(
    /// Outcome of refreshSession.
    RefreshSessionResult = SessionSuccess | SessionEndedError
);
result!(
    /// Outcome of signOut. It has no refusals yet.
    SignOutResult = SignOutSuccess
);
result!(
    /// Outcome of signOutEverywhere. It has no refusals yet.
    SignOutEverywhereResult = SignOutEverywhereSuccess
);
result!(
    /// Outcome of revokeSession.
    RevokeSessionResult = RevokeSessionSuccess | NotFoundError
);
result!(
    /// Outcome of changePassword.
    ChangePasswordResult = ChangePasswordSuccess | InvalidCredentialsError | InvalidInputError | RateLimitedError
);
result!(
    /// Outcome of requestPasswordReset.
    RequestPasswordResetResult = RequestPasswordResetSuccess | InvalidInputError | RateLimitedError
);
result!(
    /// Outcome of resetPassword.
    ResetPasswordResult = ResetPasswordSuccess | ResetTokenInvalidError | InvalidInputError | InvalidCredentialsError | RateLimitedError
);
result!(
    /// Outcome of updateProfile.
    UpdateProfileResult = UpdateProfileSuccess | InvalidInputError
);
result!(
    /// Outcome of addPassenger.
    AddPassengerResult = AddPassengerSuccess | InvalidInputError | PassengerLimitError
);
result!(
    /// Outcome of updatePassenger.
    UpdatePassengerResult = UpdatePassengerSuccess | InvalidInputError | NotFoundError
);
result!(
    /// Outcome of removePassenger.
    RemovePassengerResult = RemovePassengerSuccess | NotFoundError
);

result!(
    /// Outcome of updateSettings.
    UpdateSettingsResult = UpdateSettingsSuccess | InvalidInputError
);
result!(
    /// Outcome of markNotificationsRead.
    MarkNotificationsReadResult = MarkNotificationsReadSuccess | InvalidInputError | NotFoundError
);

/// The outcome of a use case as a mutation answers it: refusals are data, faults are errors.
pub fn answer<T, U>(outcome: Result<T, Error>) -> Result<U>
where
    U: From<T> + TryFrom<UserError>,
{
    match outcome {
        Ok(success) => Ok(success.into()),
        Err(Error::Refused(refusal)) => {
            U::try_from(refusal.into()).map_err(|_| internal(&format!("this result has no place for {refusal:?}")))
        }
        Err(Error::Stranger) => Err(unauthenticated()),
        Err(fault) => Err(internal(&told(&fault))),
    }
}

/// A fault with everything that caused it, for the log.
pub fn told(fault: &Error) -> String {
    fault.chain()
}
