//! Tables of the user service.

mod avatars;
mod contacts;
mod ended_sessions;
mod factors;
mod identifiers;
mod notifications;
mod privacy;
mod roles;

use sea_orm_migration::{
    MigrationTrait,
    prelude::*,
    schema::{big_integer, big_integer_null, integer, string, string_null, string_uniq, text, text_null, uuid},
};

/// Its migrations, oldest first.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(Accounts),
        Box::new(Devices),
        Box::new(roles::Roles),
        Box::new(notifications::Notifications),
        Box::new(factors::Factors),
        Box::new(privacy::Privacy),
        Box::new(identifiers::Identifiers),
        Box::new(contacts::Contacts),
        Box::new(ended_sessions::EndedSessions),
        Box::new(avatars::Avatars),
    ]
}

/// Accounts with their profiles, sign-ups that wait for their code, sessions with their refresh tokens, passengers.
struct Accounts;

impl MigrationName for Accounts {
    fn name(&self) -> &'static str {
        "m20261121_000010_accounts"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn index(name: &'static str, of: &'static str, column: &'static str) -> IndexCreateStatement {
    Index::create().name(name).table(Alias::new(of)).col(Alias::new(column)).to_owned()
}

/// A column that names a row of another table and goes with it.
fn belongs_to(from: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(Alias::new(from), Alias::new(column))
        .to(Alias::new(to), Alias::new("id"))
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Accounts {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(account()).await?;
        manager.create_table(sign_up()).await?;
        manager.create_table(session()).await?;
        manager.create_index(index("session_by_account", "session", "account_id")).await?;
        manager.create_table(refresh_token()).await?;
        manager.create_index(index("refresh_token_by_session", "refresh_token", "session_id")).await?;
        manager.create_table(passenger()).await?;
        manager.create_index(index("passenger_by_account", "passenger", "account_id")).await
    }
}

/// A person who proved an address. The number of the identity document is sealed.
fn account() -> TableCreateStatement {
    table("account")
        .col(uuid("id").primary_key())
        .col(string_uniq("email"))
        .col(text("password_hash"))
        .col(string_null("full_name"))
        .col(string_null("birth_date"))
        .col(string_null("phone"))
        .col(string_null("id_type"))
        .col(text_null("id_number_sealed"))
        .col(text_null("address"))
        .col(integer("passenger_count"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("changed_at_ms"))
        .to_owned()
}

/// The one sign-up of an address that waits for its code. A decoy stands for an address that has an account.
fn sign_up() -> TableCreateStatement {
    table("sign_up")
        .col(string("email").primary_key())
        .col(uuid("flow_id").unique_key())
        .col(integer("decoy"))
        .col(text("password_hash"))
        .col(string("code_hash"))
        .col(integer("tries"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer("mailed_at_ms"))
        .col(integer("mails"))
        .col(big_integer("mails_since_ms"))
        .to_owned()
}

/// A family of refresh tokens. `head` is the hash of the token consumed last, empty at first.
fn session() -> TableCreateStatement {
    table("session")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(string("head"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer_null("revoked_at_ms"))
        .foreign_key(&mut belongs_to("session", "account_id", "account"))
        .to_owned()
}

/// A refresh token: its keyed hash, and the hash of the token it was given for (empty for the first).
fn refresh_token() -> TableCreateStatement {
    table("refresh_token")
        .col(string("hash").primary_key())
        .col(uuid("session_id"))
        .col(string("parent"))
        .col(big_integer("issued_at_ms"))
        .foreign_key(&mut belongs_to("refresh_token", "session_id", "session"))
        .to_owned()
}

/// Somebody an account books for. The number of the identity document is sealed.
fn passenger() -> TableCreateStatement {
    table("passenger")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(string("full_name"))
        .col(string("id_type"))
        .col(text("id_number_sealed"))
        .col(string("birth_date"))
        .col(big_integer("changed_at_ms"))
        .foreign_key(&mut belongs_to("passenger", "account_id", "account"))
        .to_owned()
}

/// What a list of sessions shows of each, and links that set a new password.
struct Devices;

impl MigrationName for Devices {
    fn name(&self) -> &'static str {
        "m20261121_000020_devices"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Devices {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [string_null("device"), big_integer_null("seen_at_ms")] {
            manager.alter_table(Table::alter().table(Alias::new("session")).add_column(column).to_owned()).await?;
        }
        manager.create_table(password_reset()).await
    }
}

/// The one link of an account that sets a new password: a keyed hash of its token.
fn password_reset() -> TableCreateStatement {
    table("password_reset")
        .col(uuid("account_id").primary_key())
        .col(string_uniq("token_hash"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer("mailed_at_ms"))
        .foreign_key(&mut belongs_to("password_reset", "account_id", "account"))
        .to_owned()
}
