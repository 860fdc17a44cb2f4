//! Sessions that were ended lately: whoever verifies access tokens asks for them.

use super::{MigrationTrait, index, table};
use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, uuid},
};

/// Their keys. A row stays for an hour, also when the session and its account are gone.
pub struct EndedSessions;

impl MigrationName for EndedSessions {
    fn name(&self) -> &'static str {
        "m20261121_000090_ended_sessions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for EndedSessions {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let ended = table("ended_session").col(uuid("id").primary_key()).col(big_integer("ended_at_ms")).to_owned();
        manager.create_table(ended).await?;
        manager.create_index(index("ended_session_by_time", "ended_session", "ended_at_ms")).await
    }
}
