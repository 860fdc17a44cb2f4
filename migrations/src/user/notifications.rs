//! How somebody wants to be told, and what they were told.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, integer, string, text, uuid},
};

use super::{belongs_to, table};

/// Settings of an account, the language of a sign-up, notifications.
pub(super) struct Notifications;

impl MigrationName for Notifications {
    fn name(&self) -> &'static str {
        "m20261121_000040_notifications"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Notifications {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let locale = Table::alter().table(Alias::new("sign_up")).add_column(string("locale").default("en")).to_owned();
        manager.alter_table(locale).await?;
        manager.create_table(settings()).await?;
        manager.create_table(notification()).await?;
        let told_once = Index::create()
            .name("notification_told_once")
            .table(Alias::new("notification"))
            .col(Alias::new("account_id"))
            .col(Alias::new("cause"))
            .unique()
            .to_owned();
        manager.create_index(told_once).await?;
        let connection = manager.get_connection();
        connection.execute_unprepared("CREATE INDEX notification_by_account ON notification (account_id, id)").await?;
        let unread = "CREATE INDEX notification_unread ON notification (account_id, id) WHERE read_at_ms IS NULL";
        connection.execute_unprepared(unread).await?;
        let read = "CREATE INDEX notification_read ON notification (read_at_ms) WHERE read_at_ms IS NOT NULL";
        connection.execute_unprepared(read).await.map(|_| ())
    }
}

/// An account without a row has the usual settings.
fn settings() -> TableCreateStatement {
    table("settings")
        .col(uuid("account_id").primary_key())
        .col(string("locale"))
        .col(string("time_zone"))
        .col(integer("bookings_email"))
        .col(integer("bookings_sms"))
        .col(integer("payments_email"))
        .col(integer("payments_sms"))
        .col(integer("security_sms"))
        .foreign_key(&mut belongs_to("settings", "account_id", "account"))
        .to_owned()
}

/// What somebody was told. The words are made when it is read, from the kind and the facts, in the reader's language.
fn notification() -> TableCreateStatement {
    table("notification")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(string("cause"))
        .col(string("kind"))
        .col(text("facts"))
        .col(big_integer("created_at_ms"))
        .col(big_integer_null("read_at_ms"))
        .foreign_key(&mut belongs_to("notification", "account_id", "account"))
        .to_owned()
}
