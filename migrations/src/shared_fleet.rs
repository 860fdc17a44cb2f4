//! What the shared tables need besides when several processes work on them.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, text, uuid, uuid_null},
};

/// Outbox rows have an owner and are kept for a while; letters are leased; dead letters tell whose they are.
pub struct SharedFleet;

impl MigrationName for SharedFleet {
    fn name(&self) -> &'static str {
        "m20261121_000002_shared_fleet"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SharedFleet {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Without an owner: written by an older program, or replayed. Any relay takes it.
        add(manager, "outbox", &mut uuid_null("owner")).await?;
        add(manager, "letter", &mut big_integer_null("leased_until_ms")).await?;
        for column in ["kind", "consumer"] {
            add(manager, "dead_letter", string(column).default("")).await?;
        }
        add(manager, "dead_letter", big_integer("at_ms").default(0)).await?;
        let kept = Table::create()
            .table(Alias::new("outbox_kept"))
            .col(big_integer("seq").primary_key())
            .col(uuid("id"))
            .col(string("kind"))
            .col(text("payload"))
            .col(big_integer("delivered_at_ms"))
            .to_owned();
        manager.create_table(kept).await?;
        let by_age = Index::create()
            .name("outbox_kept_delivered_at_ms")
            .table(Alias::new("outbox_kept"))
            .col(Alias::new("delivered_at_ms"))
            .to_owned();
        manager.create_index(by_age).await
    }
}

async fn add(manager: &SchemaManager<'_>, table: &'static str, column: &mut ColumnDef) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(Alias::new(table)).add_column(column).to_owned()).await
}
