//! Pictures of people.

use super::{MigrationTrait, belongs_to, table};
use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, blob, string_uniq, uuid},
};

/// One picture for each account.
pub struct Avatars;

impl MigrationName for Avatars {
    fn name(&self) -> &'static str {
        "m20261121_000070_avatars"
    }
}

/// The picture of an account, under a name that nobody guesses.
fn avatar() -> TableCreateStatement {
    table("avatar")
        .col(uuid("account_id").primary_key())
        .col(string_uniq("file"))
        .col(blob("image"))
        .col(big_integer("created_at_ms"))
        .foreign_key(&mut belongs_to("avatar", "account_id", "account"))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Avatars {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(avatar()).await
    }
}
