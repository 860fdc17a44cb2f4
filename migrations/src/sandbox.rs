//! Tables of the sandbox payment provider. It stands for another company, so it shares nothing with the payment service.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text, uuid},
};

/// Its migrations, oldest first.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Sandbox)]
}

/// Transactions, refunds and notices on their way.
struct Sandbox;

impl MigrationName for Sandbox {
    fn name(&self) -> &'static str {
        "m20261121_000040_sandbox"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn transaction() -> TableCreateStatement {
    table("sandbox_transaction")
        .col(string("order_id").primary_key())
        .col(uuid("transaction_id"))
        .col(string("status"))
        .col(big_integer("gross_amount"))
        .col(string("acquirer"))
        .col(text("qr_string"))
        .col(string_null("label"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer_null("settled_at_ms"))
        .col(big_integer("version"))
        .to_owned()
}

fn refund() -> TableCreateStatement {
    let key = Index::create().col(Alias::new("order_id")).col(Alias::new("refund_key")).primary().to_owned();
    table("sandbox_refund")
        .col(string("order_id"))
        .col(string("refund_key"))
        .col(big_integer("amount"))
        .col(string("reason"))
        .col(big_integer("at_ms"))
        .primary_key(&mut key.clone())
        .to_owned()
}

fn notification() -> TableCreateStatement {
    table("sandbox_notification")
        .col(uuid("id").primary_key())
        .col(string("order_id"))
        .col(text("body"))
        .col(big_integer("attempts"))
        .col(big_integer_null("next_attempt_at_ms"))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Sandbox {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [transaction(), refund(), notification()] {
            manager.create_table(table).await?;
        }
        let index = "CREATE INDEX sandbox_notification_due ON sandbox_notification (next_attempt_at_ms) WHERE next_attempt_at_ms IS NOT NULL";
        manager.get_connection().execute_unprepared(index).await.map(|_| ())
    }
}
