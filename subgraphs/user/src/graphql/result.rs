//! The result of each mutation: its success and the refusals it can meet.

use async_graphql::{Result, Union};
use berth_kernel::graphql::{
    InvalidInputError, InvalidTransitionError, NotFoundError, RateLimitedError, internal, refuse, unauthenticated,
};

use super::types::{
    admin::{
        ChangeRoleSuccess, CreateAccountSuccess, ReinstateAccountSuccess, RemoveAccountSuccess, RevokeAccountSessionsSuccess,
        SuspendAccountSuccess,
    },
    avatar::RemoveAvatarSuccess,
    bank::{AddBankAccountSuccess, RemoveBankAccountSuccess},
    contact::{ConfirmContactChangeSuccess, RequestContactChangeSuccess, StopContactChangeSuccess},
    notification::MarkNotificationsReadSuccess,
    passenger::{AddPassengerSuccess, RemovePassengerSuccess, UpdatePassengerSuccess},
    passkey::{
        BeginPasskeyRegistrationSuccess, BeginPasskeySignInSuccess, FinishPasskeyRegistrationSuccess, RemovePasskeySuccess,
        RenamePasskeySuccess,
    },
    password::{ChangePasswordSuccess, RequestPasswordResetSuccess, ResetPasswordSuccess},
    privacy::{DeleteAccountSuccess, ExportPersonalDataSuccess},
    refusal::{
        AccountExistsError, AccountSuspendedError, BankAccountLimitError, ChallengeEndedError, ForbiddenError,
        InvalidCredentialsError, LastAdminError, OpenBookingsError, OtpExpiredError, OtpInvalidError, OtpLockedError,
        OwnAccountError, PassengerLimitError, PasskeyInvalidError, PasskeyLimitError, ProofRequiredError, ResetTokenInvalidError,
        SecondFactorInvalidError, SessionEndedError, UserError, UsernameTakenError, WorkRequiredError,
    },
    second_factor::{
        ConfirmTotpSuccess, DisableTotpSuccess, EnrolTotpSuccess, RegenerateRecoveryCodesSuccess, SecondFactorRequired,
    },
    session::{ResendOtpSuccess, RevokeSessionSuccess, SessionSuccess, SignOutEverywhereSuccess, SignOutSuccess, SignUpSuccess},
    setting::UpdateSettingsSuccess,
    user::{SetUsernameSuccess, UpdateProfileSuccess},
    work::RequestSignUpChallengeSuccess,
};
use crate::error::{Error, Refusal};

macro_rules! result {
    ($(#[$meta:meta])* $name:ident = $success:ident $(, $other:ident)* $(| $refusal:ident)*) => {
        $(#[$meta])*
        #[derive(Union)]
        pub enum $name {
            /// The success.
            $success($success),
            $(
                /// Another success.
                $other($other),
            )*
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
    SignUpResult = SignUpSuccess | InvalidInputError | RateLimitedError | WorkRequiredError
);
result!(
    /// Outcome of verifyOtp.
    VerifyOtpResult = SessionSuccess | OtpInvalidError | OtpExpiredError | OtpLockedError | RateLimitedError
);
result!(
    /// Outcome of resendOtp.
    ResendOtpResult = ResendOtpSuccess | NotFoundError | RateLimitedError
);
result!(
    /// Outcome of signIn.
    SignInResult = SessionSuccess, SecondFactorRequired | InvalidCredentialsError | AccountSuspendedError | RateLimitedError
);
result!(
    /// Outcome of refreshSession.
    RefreshSessionResult = SessionSuccess | SessionEndedError | RateLimitedError
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
    /// Outcome of createAccount.
    CreateAccountResult = CreateAccountSuccess | ForbiddenError | InvalidInputError | AccountExistsError | RateLimitedError
);
result!(
    /// Outcome of changeRole.
    ChangeRoleResult = ChangeRoleSuccess | ForbiddenError | NotFoundError | OwnAccountError | LastAdminError
);
result!(
    /// Outcome of suspendAccount.
    SuspendAccountResult = SuspendAccountSuccess | ForbiddenError | NotFoundError | InvalidInputError | OwnAccountError | LastAdminError
);
result!(
    /// Outcome of reinstateAccount.
    ReinstateAccountResult = ReinstateAccountSuccess | ForbiddenError | NotFoundError
);
result!(
    /// Outcome of revokeAccountSessions.
    RevokeAccountSessionsResult = RevokeAccountSessionsSuccess | ForbiddenError | NotFoundError
);
result!(
    /// Outcome of requestSignUpChallenge.
    RequestSignUpChallengeResult = RequestSignUpChallengeSuccess | RateLimitedError
);
result!(
    /// Outcome of completeSignIn.
    CompleteSignInResult = SessionSuccess | SecondFactorInvalidError | ChallengeEndedError | AccountSuspendedError | RateLimitedError
);
result!(
    /// Outcome of enrolTotp.
    EnrolTotpResult = EnrolTotpSuccess | InvalidTransitionError | ProofRequiredError | InvalidCredentialsError | RateLimitedError
);
result!(
    /// Outcome of confirmTotp.
    ConfirmTotpResult = ConfirmTotpSuccess | SecondFactorInvalidError | InvalidTransitionError | RateLimitedError
);
result!(
    /// Outcome of disableTotp.
    DisableTotpResult =
        DisableTotpSuccess | SecondFactorInvalidError | InvalidCredentialsError | InvalidInputError | InvalidTransitionError | RateLimitedError
);
result!(
    /// Outcome of regenerateRecoveryCodes.
    RegenerateRecoveryCodesResult = RegenerateRecoveryCodesSuccess | SecondFactorInvalidError | RateLimitedError
);
result!(
    /// Outcome of beginPasskeyRegistration.
    BeginPasskeyRegistrationResult =
        BeginPasskeyRegistrationSuccess | PasskeyLimitError | ProofRequiredError | InvalidCredentialsError | RateLimitedError
);
result!(
    /// Outcome of finishPasskeyRegistration.
    FinishPasskeyRegistrationResult = FinishPasskeyRegistrationSuccess | PasskeyInvalidError | PasskeyLimitError | RateLimitedError
);
result!(
    /// Outcome of beginPasskeySignIn.
    BeginPasskeySignInResult = BeginPasskeySignInSuccess | RateLimitedError
);
result!(
    /// Outcome of finishPasskeySignIn.
    FinishPasskeySignInResult = SessionSuccess | PasskeyInvalidError | AccountSuspendedError | RateLimitedError
);
result!(
    /// Outcome of renamePasskey.
    RenamePasskeyResult = RenamePasskeySuccess | InvalidInputError | NotFoundError
);
result!(
    /// Outcome of removePasskey.
    RemovePasskeyResult = RemovePasskeySuccess | NotFoundError | ProofRequiredError | InvalidCredentialsError | RateLimitedError
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
result!(
    /// Outcome of setUsername.
    SetUsernameResult = SetUsernameSuccess | InvalidInputError | UsernameTakenError | RateLimitedError
);
result!(
    /// Outcome of requestEmailChange and requestPhoneChange.
    RequestContactChangeResult = RequestContactChangeSuccess | InvalidCredentialsError | InvalidInputError | RateLimitedError
);
result!(
    /// Outcome of confirmContactChange.
    ConfirmContactChangeResult = ConfirmContactChangeSuccess | OtpInvalidError | OtpExpiredError | OtpLockedError | NotFoundError
);
result!(
    /// Outcome of stopContactChange.
    StopContactChangeResult = StopContactChangeSuccess | ResetTokenInvalidError
);
result!(
    /// Outcome of addBankAccount.
    AddBankAccountResult = AddBankAccountSuccess | InvalidInputError | BankAccountLimitError
);
result!(
    /// Outcome of removeBankAccount.
    RemoveBankAccountResult = RemoveBankAccountSuccess | NotFoundError
);
result!(
    /// Outcome of removeAvatar. It has no refusals yet.
    RemoveAvatarResult = RemoveAvatarSuccess
);
result!(
    /// Outcome of deleteAccount.
    DeleteAccountResult = DeleteAccountSuccess | InvalidCredentialsError | OpenBookingsError | RateLimitedError | LastAdminError
);
result!(
    /// Outcome of removeAccount.
    RemoveAccountResult = RemoveAccountSuccess | ForbiddenError | NotFoundError | OwnAccountError | LastAdminError | OpenBookingsError
);
result!(
    /// Outcome of exportPersonalData.
    ExportPersonalDataResult = ExportPersonalDataSuccess | InvalidCredentialsError | RateLimitedError
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

/// The outcome of a use case as a query answers it: refusals are errors with a code.
pub fn answer_query<T>(outcome: Result<T, Error>) -> Result<T> {
    outcome.map_err(|error| match error {
        Error::Refused(Refusal::Forbidden) => refuse("FORBIDDEN", "only admins may read this"),
        Error::Refused(Refusal::Invalid(invalid)) => refuse("INVALID_INPUT", format!("{}: {}", invalid.field, invalid.why)),
        Error::Stranger => unauthenticated(),
        fault => internal(&told(&fault)),
    })
}

/// A fault with everything that caused it, for the log.
pub fn told(fault: &Error) -> String {
    fault.chain()
}
