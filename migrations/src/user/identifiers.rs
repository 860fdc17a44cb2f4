//! Other ways to name an account than its e-mail address, and names in two parts.

use super::{MigrationTrait, belongs_to, table};
use sea_orm_migration::{
    prelude::*,
    schema::{big_integer_null, string, string_null, uuid},
};

/// Proved phone numbers and user names; first and last names.
pub struct Identifiers;

impl MigrationName for Identifiers {
    fn name(&self) -> &'static str {
        "m20261121_000061_identifiers"
    }
}

/// What somebody signs in with: a name belongs to one account, and an account has at most one of a kind.
fn identifier() -> TableCreateStatement {
    let mut key = Index::create();
    key.col(Alias::new("kind")).col(Alias::new("value")).primary();
    let mut one_of_a_kind = Index::create();
    one_of_a_kind.name("identifier_of_account").unique().col(Alias::new("account_id")).col(Alias::new("kind"));
    table("identifier")
        .col(string("kind"))
        .col(string("value"))
        .col(uuid("account_id"))
        .col(big_integer_null("proved_at_ms"))
        .primary_key(&mut key)
        .index(&mut one_of_a_kind)
        .foreign_key(&mut belongs_to("identifier", "account_id", "account"))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Identifiers {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(identifier()).await?;
        for column in [string_null("first_name"), string_null("last_name")] {
            manager.alter_table(Table::alter().table(Alias::new("account")).add_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
