//! Passkeys.
//!
//! Options and credentials travel as JSON in a string, not as objects of the graph: their shape belongs to the browsers
//! (`PublicKeyCredential.parseCreationOptionsFromJSON`, `toJSON`), grows with them, and goes through a client untouched.

use async_graphql::{ID, InputObject, Object, SimpleObject};
use berth_contracts::Kind;
use berth_kernel::graphql::{DateTime, in_utc};
use uuid::Uuid;

use crate::passkeys::{self, Asked};

/// A key in a device of yours that signs in without the password. Only visible to its owner.
pub struct Passkey(pub passkeys::Passkey);

/// A key in a device of yours that signs in without the password. Only visible to its owner.
#[Object]
impl Passkey {
    /// Opaque id: passkey_...
    async fn id(&self) -> ID {
        Kind::Passkey.encode(self.0.id).into()
    }

    /// What its owner calls it.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// When it was added.
    async fn created_at(&self) -> DateTime {
        in_utc(self.0.created_at)
    }

    /// When it signed in last. Null before the first time.
    async fn last_used_at(&self) -> Option<DateTime> {
        self.0.used_at.map(in_utc)
    }
}

/// What beginPasskeyRegistration needs.
#[derive(InputObject, Default)]
pub struct BeginPasskeyRegistrationInput {
    /// The account's password. Needed when this session was opened, by whichever sign-in, more than 10 minutes ago: `PROOF_REQUIRED` else. A
    /// wrong one is refused also before, and counts like a failed sign-in.
    #[graphql(secret)]
    pub current_password: Option<String>,
}

/// What the browser is asked for a new passkey.
#[derive(SimpleObject)]
pub struct BeginPasskeyRegistrationSuccess {
    /// JSON of `PublicKeyCredentialCreationOptions`: goes through PublicKeyCredential.parseCreationOptionsFromJSON into
    /// navigator.credentials.create.
    pub options: String,
    /// Until when the answer counts: 5 minutes, and once.
    pub expires_at: DateTime,
}

impl From<Asked> for BeginPasskeyRegistrationSuccess {
    fn from(asked: Asked) -> Self {
        Self { options: asked.options, expires_at: in_utc(asked.expires_at) }
    }
}

/// What the browser is asked for a sign-in.
#[derive(SimpleObject)]
pub struct BeginPasskeySignInSuccess {
    /// JSON of `PublicKeyCredentialRequestOptions`: goes through PublicKeyCredential.parseRequestOptionsFromJSON into
    /// navigator.credentials.get.
    pub options: String,
    /// Until when the answer counts: 5 minutes, and once.
    pub expires_at: DateTime,
}

impl From<Asked> for BeginPasskeySignInSuccess {
    fn from(asked: Asked) -> Self {
        Self { options: asked.options, expires_at: in_utc(asked.expires_at) }
    }
}

/// What finishPasskeyRegistration needs.
#[derive(InputObject)]
pub struct FinishPasskeyRegistrationInput {
    /// JSON of the `PublicKeyCredential` that the browser made (its toJSON), at most 16 KiB.
    pub credential: String,
    /// What to call it in your list. Cut after 80 characters.
    pub name: Option<String>,
}

/// The passkey signs in from now on.
#[derive(SimpleObject)]
pub struct FinishPasskeyRegistrationSuccess {
    /// The new passkey.
    pub passkey: Passkey,
}

impl From<passkeys::Passkey> for FinishPasskeyRegistrationSuccess {
    fn from(passkey: passkeys::Passkey) -> Self {
        Self { passkey: Passkey(passkey) }
    }
}

/// What finishPasskeySignIn needs.
#[derive(InputObject)]
pub struct FinishPasskeySignInInput {
    /// JSON of the `PublicKeyCredential` that the browser gave (its toJSON), at most 16 KiB.
    #[graphql(secret)]
    pub credential: String,
    /// What to call this device in your list of sessions. Cut after 80 characters.
    pub device: Option<String>,
}

/// What renamePasskey needs.
#[derive(InputObject)]
pub struct RenamePasskeyInput {
    /// The passkey.
    pub passkey_id: ID,
    /// Its new name. Cut after 80 characters.
    pub name: String,
}

/// The passkey has another name.
#[derive(SimpleObject)]
pub struct RenamePasskeySuccess {
    /// The passkey with its new name.
    pub passkey: Passkey,
}

impl From<passkeys::Passkey> for RenamePasskeySuccess {
    fn from(passkey: passkeys::Passkey) -> Self {
        Self { passkey: Passkey(passkey) }
    }
}

/// What removePasskey needs.
#[derive(InputObject)]
pub struct RemovePasskeyInput {
    /// The passkey.
    pub passkey_id: ID,
    /// The account's password. Needed when this session was opened, by whichever sign-in, more than 10 minutes ago: `PROOF_REQUIRED` else. A
    /// wrong one is refused also before, and counts like a failed sign-in.
    #[graphql(secret)]
    pub current_password: Option<String>,
}

/// The passkey signs in no more.
#[derive(SimpleObject)]
pub struct RemovePasskeySuccess {
    /// Which.
    pub removed_id: ID,
}

impl From<Uuid> for RemovePasskeySuccess {
    fn from(id: Uuid) -> Self {
        Self { removed_id: Kind::Passkey.encode(id).into() }
    }
}
