//! What changes the ways into an account needs a fresh proof that its owner is there: an open session alone may be somebody who
//! found the device, or a stolen token.
//!
//! The proof is a sign-in of this very session a moment ago, in whichever way, or the password. Who has only a passkey signs in with
//! it again. A refresh is none.

use berth_kernel::auth::SignedIn;
use chrono::TimeDelta;

use crate::{
    account::Account,
    accounts::Accounts,
    error::{Error, Refusal},
    store,
};

/// How long a sign-in is a proof.
const FRESH: TimeDelta = TimeDelta::minutes(10);

impl Accounts {
    /// The account of a signed-in person who has proved lately, or proves now, who they are. A wrong password counts like a failed
    /// sign-in.
    pub(crate) async fn prove_freshly(&self, person: &SignedIn, password: Option<&str>) -> Result<Account, Error> {
        if let Some(password) = password {
            return self.prove(person, password).await;
        }
        let session = store::session::find(self.deps.db.read(), person.session_id).await?;
        let session = session.filter(|session| session.account_id == person.user_id && session.revoked_at_ms.is_none());
        let from = (self.deps.clock.now() - FRESH).timestamp_millis();
        if session.is_none_or(|session| session.created_at_ms <= from) {
            return Err(Refusal::ProofRequired.into());
        }
        self.account(person.user_id).await?.ok_or(Error::Stranger)
    }
}
