//! The language in which a booking's letters are written.

use sea_orm_migration::{prelude::*, schema::string};

/// The language of a booking's contact.
pub(super) struct Locale;

impl MigrationName for Locale {
    fn name(&self) -> &'static str {
        "m20261121_000040_locale"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Locale {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::alter().table(Alias::new("booking")).add_column(string("locale").default("en")).to_owned();
        manager.alter_table(table).await
    }
}
