//! What the operator does about admins at the command line, beside whatever serves the database: see `berth admin`.

use berth_kernel::{clock::Clock, db::Db};
use sea_orm::DbErr;

pub use crate::audit_log::{Verdict, verify, walk};
use crate::{
    account_card::AccountCard,
    audit_entry::Actor,
    audit_log,
    email::Email,
    error::{Error, Invalid, Refusal},
    role::Role,
    roles::Change,
    store,
};

/// Gives the account of an address a role. It counts from the next refresh of each session on.
pub async fn grant(db: &Db, clock: &Clock, email: &str, role: Role) -> Result<AccountCard, Error> {
    let email = Email::parse(email).map_err(|why| Invalid { field: "email", why })?;
    let now = clock.now();
    let granted = db.write(move |tx| {
        Box::pin(async move {
            audit_log::take_turn(tx).await?;
            let found = store::admin::find_by_email(tx, email.as_str()).await?;
            let subject = found.ok_or(Refusal::NotFound { field: "email" })?.id;
            Change { tx, actor: Actor::Operator, subject, now }.role(role).await
        })
    });
    granted.await
}

/// All admins that are not suspended, oldest account first.
pub async fn admins(db: &Db) -> Result<Vec<AccountCard>, DbErr> {
    store::admin::admins(db.read()).await
}
