//! What letters need to be given up by their age and sent again by an operator.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer_null, string, text_null},
};

/// Letters know what they are, when they end, and what the server said last. A letter without an end was queued by an older program.
pub struct SharedLetters;

impl MigrationName for SharedLetters {
    fn name(&self) -> &'static str {
        "m20261129_000001_shared_letters"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SharedLetters {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add(manager, string("kind").default("")).await?;
        for column in ["gives_up_at_ms", "given_up_at_ms"] {
            add(manager, &mut big_integer_null(column)).await?;
        }
        add(manager, &mut text_null("answer")).await?;
        // Nearly all letters are sent: those that are not are found without them.
        let connection = manager.get_connection();
        connection.execute_unprepared("CREATE INDEX letter_waiting ON letter (next_attempt_at_ms) WHERE sent = 0").await?;
        connection.execute_unprepared("CREATE INDEX letter_given_up ON letter (given_up_at_ms) WHERE sent = 2").await.map(|_| ())
    }
}

async fn add(manager: &SchemaManager<'_>, column: &mut ColumnDef) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(Alias::new("letter")).add_column(column).to_owned()).await
}
