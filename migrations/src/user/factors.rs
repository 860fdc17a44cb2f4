//! What proves that somebody is who they were: second factors, passkeys, and work done before a sign-up.

use sea_orm_migration::{
    MigrationTrait,
    prelude::*,
    schema::{big_integer, big_integer_null, integer, string, string_null, string_uniq, text, uuid, uuid_null},
};

use super::{belongs_to, index, table};

/// Second factors with their recovery codes, sign-ins that wait for one, passkeys with their challenges, proofs of work.
pub struct Factors;

impl MigrationName for Factors {
    fn name(&self) -> &'static str {
        "m20261121_000050_factors"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Factors {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(second_factor()).await?;
        manager.create_table(recovery_code()).await?;
        manager.create_index(index("recovery_code_by_account", "recovery_code", "account_id")).await?;
        manager.create_table(sign_in_challenge()).await?;
        manager.create_index(index("sign_in_challenge_by_end", "sign_in_challenge", "expires_at_ms")).await?;
        manager.create_table(passkey()).await?;
        manager.create_index(index("passkey_by_account", "passkey", "account_id")).await?;
        manager.create_table(passkey_challenge()).await?;
        manager.create_index(index("passkey_challenge_by_end", "passkey_challenge", "expires_at_ms")).await?;
        manager.create_table(work_done()).await
    }
}

/// The secret of an account's authenticator app, sealed. It counts once it is confirmed; `last_step` is the newest code used.
fn second_factor() -> TableCreateStatement {
    table("second_factor")
        .col(uuid("account_id").primary_key())
        .col(text("secret_sealed"))
        .col(big_integer_null("confirmed_at_ms"))
        .col(big_integer("last_step"))
        .foreign_key(&mut belongs_to("second_factor", "account_id", "account"))
        .to_owned()
}

/// A recovery code that was not used: its keyed hash.
fn recovery_code() -> TableCreateStatement {
    table("recovery_code")
        .col(string("hash").primary_key())
        .col(uuid("account_id"))
        .foreign_key(&mut belongs_to("recovery_code", "account_id", "account"))
        .to_owned()
}

/// A sign-in whose password was right and that waits for the second factor.
fn sign_in_challenge() -> TableCreateStatement {
    table("sign_in_challenge")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(string_null("device"))
        .col(integer("tries"))
        .col(big_integer("expires_at_ms"))
        .foreign_key(&mut belongs_to("sign_in_challenge", "account_id", "account"))
        .to_owned()
}

/// The public half of a passkey.
fn passkey() -> TableCreateStatement {
    table("passkey")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(string_uniq("credential_id"))
        .col(text("public_key"))
        .col(big_integer("sign_count"))
        .col(string("name"))
        .col(big_integer("created_at_ms"))
        .col(big_integer_null("used_at_ms"))
        .foreign_key(&mut belongs_to("passkey", "account_id", "account"))
        .to_owned()
}

/// A challenge that was given out and not answered: its keyed hash. With an account it is for a new passkey, without for a sign-in.
fn passkey_challenge() -> TableCreateStatement {
    table("passkey_challenge")
        .col(string("hash").primary_key())
        .col(uuid_null("account_id"))
        .col(big_integer("expires_at_ms"))
        .foreign_key(&mut belongs_to("passkey_challenge", "account_id", "account"))
        .to_owned()
}

/// A proof of work that was used, until its challenge ends.
fn work_done() -> TableCreateStatement {
    table("work_done").col(string("hash").primary_key()).col(big_integer("expires_at_ms")).to_owned()
}
