//! Addresses that are to be changed, and bank accounts.

use super::{MigrationTrait, belongs_to, index, table};
use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, integer, string, string_uniq, text, uuid},
};

/// Changes of addresses that wait for their codes; bank accounts.
pub struct Contacts;

impl MigrationName for Contacts {
    fn name(&self) -> &'static str {
        "m20261121_000062_contacts"
    }
}

/// The one change of a kind that an account waits for. The codes and the link that stops it are keyed hashes.
fn contact_change() -> TableCreateStatement {
    let mut one_of_a_kind = Index::create();
    one_of_a_kind.name("contact_change_of_account").unique().col(Alias::new("account_id")).col(Alias::new("kind"));
    table("contact_change")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(string("kind"))
        .col(string("new_value"))
        .col(integer("decoy"))
        .col(string("new_code_hash"))
        .col(string("old_code_hash"))
        .col(string_uniq("stop_hash"))
        .col(integer("tries"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer("mailed_at_ms"))
        .index(&mut one_of_a_kind)
        .foreign_key(&mut belongs_to("contact_change", "account_id", "account"))
        .to_owned()
}

/// Where somebody is paid out. The number is sealed.
fn bank_account() -> TableCreateStatement {
    table("bank_account")
        .col(uuid("id").primary_key())
        .col(uuid("account_id"))
        .col(string("bank_code"))
        .col(string("holder_name"))
        .col(text("number_sealed"))
        .col(big_integer("created_at_ms"))
        .foreign_key(&mut belongs_to("bank_account", "account_id", "account"))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Contacts {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(contact_change()).await?;
        manager.create_table(bank_account()).await?;
        manager.create_index(index("bank_account_by_account", "bank_account", "account_id")).await
    }
}
