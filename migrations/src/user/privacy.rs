//! Deleted accounts, and copies of their data that people took.

use super::{MigrationTrait, belongs_to, index, table};
use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, string, uuid},
};

/// Keys of deleted accounts; each export of an account's data.
pub struct Privacy;

impl MigrationName for Privacy {
    fn name(&self) -> &'static str {
        "m20261121_000060_privacy"
    }
}

/// A key that was an account's: bookings and payments that the law keeps still name it.
fn deleted_account() -> TableCreateStatement {
    table("deleted_account").col(uuid("id").primary_key()).col(big_integer("deleted_at_ms")).col(string("deleted_by")).to_owned()
}

/// That somebody took a copy of an account's data, and when: they are counted.
fn data_export() -> TableCreateStatement {
    table("data_export")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(big_integer("at_ms"))
        .foreign_key(&mut belongs_to("data_export", "account_id", "account"))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Privacy {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(deleted_account()).await?;
        manager.create_table(data_export()).await?;
        manager.create_index(index("data_export_by_account", "data_export", "account_id")).await
    }
}
