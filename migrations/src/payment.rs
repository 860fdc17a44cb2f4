//! Tables of the payment service.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, string_null, text, text_null, uuid},
};

/// Its migrations, oldest first.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Payments), Box::new(Turns), Box::new(OfPeople)]
}

/// Payments, their history, the webhook inbox, refunds and the ledger.
struct Payments;

impl MigrationName for Payments {
    fn name(&self) -> &'static str {
        "m20261121_000030_payments"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn key(columns: [&'static str; 2]) -> IndexCreateStatement {
    let [first, second] = columns;
    Index::create().col(Alias::new(first)).col(Alias::new(second)).primary().to_owned()
}

fn payment() -> TableCreateStatement {
    table("payment")
        .col(uuid("id").primary_key())
        .col(uuid("booking_id"))
        .col(uuid("user_id"))
        .col(string("booking_code"))
        .col(string("status"))
        .col(big_integer("amount_minor"))
        .col(string("currency"))
        .col(string("method"))
        .col(string_null("acquirer"))
        .col(string("provider"))
        .col(big_integer("attempt"))
        .col(string_null("transaction_id"))
        .col(text_null("qris_payload"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer_null("paid_at_ms"))
        .col(big_integer("refunded_minor"))
        .col(big_integer("close_requested"))
        .col(big_integer("created_at_ms"))
        .col(big_integer_null("next_poll_at_ms"))
        .col(big_integer("version"))
        .to_owned()
}

fn payment_event() -> TableCreateStatement {
    table("payment_event")
        .col(uuid("payment_id"))
        .col(big_integer("version"))
        .col(big_integer("at_ms"))
        .col(string("status"))
        .col(text_null("note"))
        .primary_key(&mut key(["payment_id", "version"]))
        .to_owned()
}

/// `digest` is SHA-256 of the body: a notice that comes twice is one row.
fn webhook_inbox() -> TableCreateStatement {
    table("webhook_inbox")
        .col(uuid("id").primary_key())
        .col(string("digest").unique_key())
        .col(string("provider"))
        .col(string("order_id"))
        .col(uuid("payment_id"))
        .col(text("body"))
        .col(big_integer("received_at_ms"))
        .col(big_integer("attempts"))
        .col(big_integer_null("next_attempt_at_ms"))
        .col(big_integer_null("done_at_ms"))
        .to_owned()
}

fn refund() -> TableCreateStatement {
    table("refund")
        .col(uuid("id").primary_key())
        .col(uuid("payment_id"))
        .col(string("reason"))
        .col(big_integer("amount_minor"))
        .col(string("status"))
        .col(big_integer("attempts"))
        .col(big_integer_null("next_attempt_at_ms"))
        .col(text_null("last_error"))
        .col(big_integer("created_at_ms"))
        .to_owned()
}

/// One row per side of a posting; the key makes a second booking of the same posting impossible.
fn ledger_entry() -> TableCreateStatement {
    table("ledger_entry")
        .col(string("posting"))
        .col(string("account"))
        .col(uuid("payment_id"))
        .col(big_integer("debit_minor"))
        .col(big_integer("credit_minor"))
        .col(string("currency"))
        .col(big_integer("at_ms"))
        .primary_key(&mut key(["posting", "account"]))
        .to_owned()
}

/// The partial index is the rule "one open payment per booking"; both dialects read it.
const INDEXES: [&str; 7] = [
    "CREATE UNIQUE INDEX payment_one_open ON payment (booking_id) WHERE status IN ('CREATED', 'PENDING', 'AUTHORIZED')",
    "CREATE INDEX payment_booking ON payment (booking_id)",
    "CREATE INDEX payment_due ON payment (next_poll_at_ms) WHERE next_poll_at_ms IS NOT NULL",
    "CREATE INDEX webhook_inbox_due ON webhook_inbox (next_attempt_at_ms) WHERE next_attempt_at_ms IS NOT NULL",
    "CREATE UNIQUE INDEX refund_once ON refund (payment_id, reason)",
    "CREATE INDEX refund_due ON refund (next_attempt_at_ms) WHERE next_attempt_at_ms IS NOT NULL",
    "CREATE INDEX ledger_payment ON ledger_entry (payment_id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Payments {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [payment(), payment_event(), webhook_inbox(), refund(), ledger_entry()] {
            manager.create_table(table).await?;
        }
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}

/// Who of several processes may talk to the provider about a payment, until when.
struct Turns;

impl MigrationName for Turns {
    fn name(&self) -> &'static str {
        "m20261121_000031_turns"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Turns {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let turn = table("payment_turn")
            .col(uuid("payment_id").primary_key())
            .col(uuid("holder"))
            .col(big_integer("until_ms"))
            .to_owned();
        manager.create_table(turn).await
    }
}

/// All payments of a person are found without reading everybody's.
struct OfPeople;

impl MigrationName for OfPeople {
    fn name(&self) -> &'static str {
        "m20261121_000060_of_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OfPeople {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = "CREATE INDEX payment_of_user ON payment (user_id, id)";
        manager.get_connection().execute_unprepared(index).await.map(|_| ())
    }
}
