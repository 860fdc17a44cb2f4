//! Tables that every service has: outbox, inbox, dead letters, idempotency and letters.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, integer, string, text, uuid},
};

/// The tables of kernel's outbox, bus, idempotency and mail.
pub struct Shared;

impl MigrationName for Shared {
    fn name(&self) -> &'static str {
        "m20261121_000001_shared"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Shared {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut seq = ColumnDef::new(Alias::new("seq"));
        seq.big_integer().not_null().auto_increment().primary_key();
        manager
            .create_table(table("outbox").col(&mut seq).col(uuid("id")).col(string("kind")).col(text("payload")).to_owned())
            .await?;
        let key = Index::create().col(Alias::new("consumer")).col(Alias::new("event_id")).primary().to_owned();
        manager
            .create_table(
                table("inbox")
                    .col(string("consumer"))
                    .col(uuid("event_id"))
                    .col(big_integer("at"))
                    .primary_key(&mut key.clone())
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(table("dead_letter").col(uuid("id").primary_key()).col(text("payload")).col(text("reason")).to_owned())
            .await?;
        let key =
            Index::create().col(Alias::new("user_id")).col(Alias::new("mutation")).col(Alias::new("key")).primary().to_owned();
        manager
            .create_table(
                table("idempotency")
                    .col(uuid("user_id"))
                    .col(string("mutation"))
                    .col(string("key"))
                    .col(string("fingerprint"))
                    .col(text("answer"))
                    .col(big_integer("expires_at_ms"))
                    .primary_key(&mut key.clone())
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("letter")
                    .col(uuid("id").primary_key())
                    .col(string("cause").unique_key())
                    .col(text("body"))
                    .col(big_integer("attempts"))
                    .col(big_integer("next_attempt_at_ms"))
                    .col(integer("sent"))
                    .to_owned(),
            )
            .await
    }
}
