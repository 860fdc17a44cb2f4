//! What booking remembers of people who deleted their accounts.

use super::{MigrationTrait, table};
use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, uuid},
};

/// Who deleted their account, and when a booking of theirs was made nobody's.
pub struct Erasure;

impl MigrationName for Erasure {
    fn name(&self) -> &'static str {
        "m20261121_000060_erasure"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Erasure {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let person = table("erased_person").col(uuid("user_id").primary_key()).col(big_integer("at_ms")).to_owned();
        manager.create_table(person).await?;
        let erased = big_integer_null("erased_at_ms");
        manager.alter_table(Table::alter().table(Alias::new("booking")).add_column(erased).to_owned()).await
    }
}
