//! One sealed row in each database: by it a process knows that its `data.key` is that of the installation.

use sea_orm_migration::{
    prelude::*,
    schema::{integer, text},
};

/// The table of kernel's canary.
pub struct KeyCanary;

impl MigrationName for KeyCanary {
    fn name(&self) -> &'static str {
        "m20261129_000001_key_canary"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for KeyCanary {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Alias::new("key_canary"))
            .col(integer("id").primary_key().check(Expr::col(Alias::new("id")).eq(1)))
            .col(text("sealed"))
            .to_owned();
        manager.create_table(table).await
    }
}
