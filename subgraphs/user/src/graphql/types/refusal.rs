//! Refusals of this service, each of them a `UserError`.

use async_graphql::{Interface, SimpleObject};
use berth_kernel::graphql::{InvalidInputError, InvalidTransitionError, NotFoundError, RateLimitedError, RefusalText};

use crate::error::{Refusal, SessionEnd};

/// A typed refusal. Everything a mutation refuses implements it, so a client that asks for it understands refusals that are added
/// later.
#[derive(Interface)]
#[graphql(
    field(name = "code", ty = "&String", desc = "Stable code for programs; every code is listed in docs/ERRORS.md."),
    field(name = "message", ty = "&String", desc = "One sentence for a developer. Not for matching, may change."),
    field(
        name = "path",
        ty = "&Option<Vec<String>>",
        desc = "Which part of the input it is about, from the argument down: input, email. Null when it is about the whole."
    )
)]
#[allow(clippy::duplicated_attributes, reason = "two fields of one type")]
#[allow(clippy::enum_variant_names, reason = "a variant is named like its type of the graph")]
pub enum UserError {
    /// The input can't be accepted.
    InvalidInputError(InvalidInputError),
    /// The id names nothing of yours.
    NotFoundError(NotFoundError),
    /// Too many attempts.
    RateLimitedError(RateLimitedError),
    /// The code is wrong.
    OtpInvalidError(OtpInvalidError),
    /// The code is too old.
    OtpExpiredError(OtpExpiredError),
    /// Too many wrong codes.
    OtpLockedError(OtpLockedError),
    /// Address and password do not fit.
    InvalidCredentialsError(InvalidCredentialsError),
    /// The account is suspended.
    AccountSuspendedError(AccountSuspendedError),
    /// Only admins may do this.
    ForbiddenError(ForbiddenError),
    /// The address has an account.
    AccountExistsError(AccountExistsError),
    /// Not to oneself.
    OwnAccountError(OwnAccountError),
    /// There would be no admin any more.
    LastAdminError(LastAdminError),
    /// The link for a new password is dead.
    ResetTokenInvalidError(ResetTokenInvalidError),
    /// The refresh token is dead.
    SessionEndedError(SessionEndedError),
    /// The list is full.
    PassengerLimitError(PassengerLimitError),
    /// The list of bank accounts is full.
    BankAccountLimitError(BankAccountLimitError),
    /// Somebody has the user name.
    UsernameTakenError(UsernameTakenError),
    /// Bookings are unfinished.
    OpenBookingsError(OpenBookingsError),
    /// Not in this state.
    InvalidTransitionError(InvalidTransitionError),
    /// The code of the second factor is wrong.
    SecondFactorInvalidError(SecondFactorInvalidError),
    /// The sign-in waits no more.
    ChallengeEndedError(ChallengeEndedError),
    /// The answer of the authenticator is not good.
    PasskeyInvalidError(PasskeyInvalidError),
    /// The account has all the passkeys it may have.
    PasskeyLimitError(PasskeyLimitError),
    /// A sign-up costs work.
    WorkRequiredError(WorkRequiredError),
    /// The sign-in is too long ago.
    ProofRequiredError(ProofRequiredError),
}

macro_rules! refusal {
    ($(#[$meta:meta])* $name:ident $(, $(#[$extra_meta:meta])* $extra:ident: $ty:ty)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, SimpleObject)]
        pub struct $name {
            /// Stable code for programs; every code is listed in docs/ERRORS.md.
            pub code: String,
            /// One sentence for a developer. Not for matching, may change.
            pub message: String,
            /// Which part of the input it is about, from the argument down: input, code. Null when it is about the whole.
            pub path: Option<Vec<String>>,
            $($(#[$extra_meta])* pub $extra: $ty,)*
        }

        impl $name {
            fn from_text(text: RefusalText $(, $extra: $ty)*) -> Self {
                Self { code: text.code, message: text.message, path: text.path $(, $extra)* }
            }
        }
    };
}

refusal!(
    /// Code `OTP_INVALID`: the one-time password is wrong, was replaced by a newer one, was used already, or belongs to another flow.
    /// The try was counted.
    OtpInvalidError,
    /// Wrong tries that remain until the flow is locked.
    attempts_left: i32
);
refusal!(
    /// Code `OTP_EXPIRED`: the one-time password is older than 10 minutes. Ask for a new one with resendOtp.
    OtpExpiredError
);
refusal!(
    /// Code `OTP_LOCKED`: five wrong tries were made; even the right code works no more. Ask for a new one with resendOtp.
    OtpLockedError
);
refusal!(
    /// Code `CREDENTIALS_INVALID`: no account has this address and this password. Whether the address is known is not told.
    InvalidCredentialsError
);
refusal!(
    /// Code `ACCOUNT_SUSPENDED`: the password is right, but an admin has suspended the account. Nobody can sign in to it until an
    /// admin reinstates it.
    AccountSuspendedError
);
refusal!(
    /// Code `FORBIDDEN`: only admins may do this, and you are none, or none any more.
    ForbiddenError
);
refusal!(
    /// Code `ACCOUNT_EXISTS`: the address has an account already. Nothing was changed.
    AccountExistsError
);
refusal!(
    /// Code `OWN_ACCOUNT`: an admin can't suspend their own account or change its role. Ask another admin.
    OwnAccountError
);
refusal!(
    /// Code `LAST_ADMIN`: there would be no admin any more. Make another one first.
    LastAdminError
);
refusal!(
    /// Code `RESET_TOKEN_INVALID`: the link for a new password is unknown, older than 30 minutes, was used, or was replaced by a newer
    /// one. Ask for another with requestPasswordReset. The same for a link that stops a change of address.
    ResetTokenInvalidError
);
refusal!(
    /// The refresh token leads to no live session; sign in again. Code `SESSION_REVOKED`: signed out, or ended because a token was
    /// used twice; `SESSION_EXPIRED`: not refreshed for 30 days; `SESSION_UNKNOWN`: no such token was given out.
    SessionEndedError
);
refusal!(
    /// Code `PASSENGER_LIMIT`: the list of passengers is full.
    PassengerLimitError,
    /// How many passengers a list may have.
    limit: i32
);

refusal!(
    /// Code `BANK_ACCOUNT_LIMIT`: the list of bank accounts is full. Remove one first.
    BankAccountLimitError,
    /// How many bank accounts a list may have.
    limit: i32
);
refusal!(
    /// Code `USERNAME_TAKEN`: somebody has this user name. Choose another.
    UsernameTakenError
);
refusal!(
    /// Code `ACCOUNT_HAS_OPEN_BOOKINGS`: a booking of the account may still be paid, is worked on, or has a journey to come. Nothing
    /// was changed. Delete the account when they are over, or cancel what can be cancelled.
    OpenBookingsError,
    /// How many such bookings there are.
    count: i32
);
refusal!(
    /// Code `SECOND_FACTOR_INVALID`: the code is wrong, too old, or was used: a code of the app works once, and so does a recovery
    /// code. The try was counted.
    SecondFactorInvalidError,
    /// Wrong tries that remain until the sign-in must begin anew. Null when no sign-in waits.
    attempts_left: Option<i32>
);
refusal!(
    /// Code `CHALLENGE_ENDED`: the sign-in waits no more: 5 minutes are over, five wrong codes were tried, or it was completed. Begin
    /// anew with signIn.
    ChallengeEndedError
);
refusal!(
    /// Code `PASSKEY_INVALID`: the answer of the authenticator is not good: wrong site, a challenge that is over or was answered, an
    /// unknown passkey, a wrong signature. Begin anew. Whether the passkey is known is not told.
    PasskeyInvalidError
);
refusal!(
    /// Code `PASSKEY_LIMIT`: the account has as many passkeys as it may; remove one.
    PasskeyLimitError,
    /// How many there may be.
    limit: i32
);
refusal!(
    /// Code `PROOF_REQUIRED`: this changes the ways into the account, and somebody signed in to this session more than 10 minutes ago.
    /// Send currentPassword, or sign in again, with a passkey for example. Nothing was changed.
    ProofRequiredError
);
refusal!(
    /// Code `WORK_REQUIRED`: a sign-up costs work here. Ask for a task with requestSignUpChallenge, do it, and send it along. Also the
    /// answer when the task is not ours, too old, not done, or was used.
    WorkRequiredError,
    /// Leading zero bits that the SHA-256 must have.
    bits: i32
);

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(invalid) => {
                let text = RefusalText::at("INVALID_INPUT", invalid.why, &[invalid.field]);
                InvalidInputError::from_text(text).into()
            }
            Refusal::OtpInvalid { attempts_left } => {
                let text = RefusalText::at("OTP_INVALID", "the code is wrong", &["code"]);
                OtpInvalidError::from_text(text, attempts_left).into()
            }
            Refusal::OtpExpired => {
                let text = RefusalText::at("OTP_EXPIRED", "the code is too old: ask for a new one", &["code"]);
                OtpExpiredError::from_text(text).into()
            }
            Refusal::OtpLocked => {
                let text = RefusalText::at("OTP_LOCKED", "too many wrong codes: ask for a new one", &["code"]);
                OtpLockedError::from_text(text).into()
            }
            Refusal::Credentials => {
                let text = RefusalText::new("CREDENTIALS_INVALID", "no account has this address and this password");
                InvalidCredentialsError::from_text(text).into()
            }
            Refusal::AccountSuspended => {
                let text = RefusalText::new("ACCOUNT_SUSPENDED", "the account is suspended: ask who runs this Berth");
                AccountSuspendedError::from_text(text).into()
            }
            Refusal::Forbidden => ForbiddenError::from_text(RefusalText::new("FORBIDDEN", "only admins may do this")).into(),
            Refusal::AccountExists => {
                let text = RefusalText::at("ACCOUNT_EXISTS", "this address has an account already", &["email"]);
                AccountExistsError::from_text(text).into()
            }
            Refusal::OwnAccount => {
                let text = RefusalText::at("OWN_ACCOUNT", "this is your own account: ask another admin", &["accountId"]);
                OwnAccountError::from_text(text).into()
            }
            Refusal::LastAdmin => {
                let text = RefusalText::at("LAST_ADMIN", "there would be no admin any more", &["accountId"]);
                LastAdminError::from_text(text).into()
            }
            Refusal::ResetToken => {
                let text = RefusalText::at("RESET_TOKEN_INVALID", "the link is good no more: ask for another", &["token"]);
                ResetTokenInvalidError::from_text(text).into()
            }
            Refusal::SessionEnded(end) => SessionEndedError::from_text(session_text(end)).into(),
            Refusal::NotFound { field } => {
                let text = RefusalText::at("NOT_FOUND", "this id names nothing of yours", &[field]);
                NotFoundError::from_text(text).into()
            }
            Refusal::PassengerLimit { limit } => {
                let text = RefusalText::new("PASSENGER_LIMIT", format!("a list has at most {limit} passengers"));
                PassengerLimitError::from_text(text, limit).into()
            }
            Refusal::BankAccountLimit { .. } | Refusal::UsernameTaken | Refusal::OpenBookings { .. } => of_belongings(refusal),
            Refusal::SecondFactor { .. }
            | Refusal::ChallengeEnded
            | Refusal::Transition(_)
            | Refusal::Passkey { .. }
            | Refusal::PasskeyLimit { .. }
            | Refusal::ProofRequired
            | Refusal::WorkRequired { .. } => of_factor(refusal),
            Refusal::RateLimited { retry_after } => {
                let text = RefusalText::new("RATE_LIMITED", "too many attempts: wait before the next");
                RateLimitedError::from_text(text, i32::try_from(retry_after.num_milliseconds()).unwrap_or(i32::MAX)).into()
            }
        }
    }
}

/// Refusals about what belongs to an account.
fn of_belongings(refusal: Refusal) -> UserError {
    match refusal {
        Refusal::BankAccountLimit { limit } => {
            let text = RefusalText::new("BANK_ACCOUNT_LIMIT", format!("a list has at most {limit} bank accounts"));
            BankAccountLimitError::from_text(text, limit).into()
        }
        Refusal::OpenBookings { count } => {
            let text = RefusalText::new("ACCOUNT_HAS_OPEN_BOOKINGS", "bookings of this account are unfinished");
            OpenBookingsError::from_text(text, i32::try_from(count).unwrap_or(i32::MAX)).into()
        }
        _ => {
            let text = RefusalText::at("USERNAME_TAKEN", "somebody has this user name", &["username"]);
            UsernameTakenError::from_text(text).into()
        }
    }
}

/// Refusals about what proves that somebody is who they were.
fn of_factor(refusal: Refusal) -> UserError {
    match refusal {
        Refusal::SecondFactor { attempts_left } => {
            let text = RefusalText::at("SECOND_FACTOR_INVALID", "the code is wrong or was used", &["code"]);
            SecondFactorInvalidError::from_text(text, attempts_left).into()
        }
        Refusal::Transition(why) => InvalidTransitionError::from_text(RefusalText::new("INVALID_TRANSITION", why)).into(),
        Refusal::Passkey { why } => {
            PasskeyInvalidError::from_text(RefusalText::at("PASSKEY_INVALID", why, &["credential"])).into()
        }
        Refusal::PasskeyLimit { limit } => {
            let text = RefusalText::new("PASSKEY_LIMIT", format!("an account has at most {limit} passkeys"));
            PasskeyLimitError::from_text(text, limit).into()
        }
        Refusal::ProofRequired => {
            let why = "the sign-in is too long ago: send the password, or sign in again";
            ProofRequiredError::from_text(RefusalText::at("PROOF_REQUIRED", why, &["currentPassword"])).into()
        }
        Refusal::WorkRequired { bits } => {
            let text = RefusalText::at("WORK_REQUIRED", "a sign-up costs work: see requestSignUpChallenge", &["work"]);
            WorkRequiredError::from_text(text, bits).into()
        }
        _ => {
            let text = RefusalText::at("CHALLENGE_ENDED", "this sign-in waits no more: begin anew", &["challengeId"]);
            ChallengeEndedError::from_text(text).into()
        }
    }
}

fn session_text(end: SessionEnd) -> RefusalText {
    let (code, message) = match end {
        SessionEnd::Unknown => ("SESSION_UNKNOWN", "no such refresh token was given out: sign in"),
        SessionEnd::Revoked => ("SESSION_REVOKED", "the session was ended: sign in again"),
        SessionEnd::Expired => ("SESSION_EXPIRED", "the session was not refreshed in time: sign in again"),
    };
    RefusalText::at(code, message, &["refreshToken"])
}
