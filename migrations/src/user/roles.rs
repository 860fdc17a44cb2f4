//! Who may do what, and the log of what admins did.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, string, text, uuid_null},
    sea_orm::DatabaseBackend,
};

use super::{index, table};

/// Roles and suspensions of accounts, and the audit log, to which rows can only be added.
pub struct Roles;

impl MigrationName for Roles {
    fn name(&self) -> &'static str {
        "m20261121_000030_roles"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Roles {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(audit_entry()).await?;
        manager.create_index(index("audit_entry_by_actor", "audit_entry", "actor_id")).await?;
        manager.create_index(index("audit_entry_by_subject", "audit_entry", "subject_id")).await?;
        let guards = match manager.get_database_backend() {
            DatabaseBackend::Postgres => ADD_ONLY_POSTGRES,
            _ => ADD_ONLY_SQLITE,
        };
        for statement in ACCOUNT.iter().chain(guards) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

const ACCOUNT: &[&str] = &[
    "ALTER TABLE account ADD COLUMN role VARCHAR(16) NOT NULL DEFAULT 'USER' CHECK (role IN ('USER', 'ORGANIZER', 'ADMIN'))",
    "ALTER TABLE account ADD COLUMN suspended_at_ms BIGINT",
    "CREATE INDEX account_admin ON account (id) WHERE role = 'ADMIN'",
];

/// An act of an admin, or of the operator at the command line (no actor). Each row holds the hash of the one before.
fn audit_entry() -> TableCreateStatement {
    table("audit_entry")
        .col(big_integer("seq").primary_key())
        .col(big_integer("at_ms"))
        .col(uuid_null("actor_id"))
        .col(string("action"))
        .col(uuid_null("subject_id"))
        .col(text("details"))
        .col(string("previous"))
        .col(string("hash"))
        .to_owned()
}

/// A new row must be the next one: so `INSERT OR REPLACE`, for which no trigger on DELETE runs, replaces nothing.
const ADD_ONLY_SQLITE: &[&str] = &[
    "CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry \
     BEGIN SELECT RAISE(ABORT, 'the audit log can only be added to'); END",
    "CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry \
     BEGIN SELECT RAISE(ABORT, 'the audit log can only be added to'); END",
    "CREATE TRIGGER audit_entry_next BEFORE INSERT ON audit_entry \
     WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_entry) \
     BEGIN SELECT RAISE(ABORT, 'the audit log has no gaps'); END",
];

const ADD_ONLY_POSTGRES: &[&str] = &[
    "CREATE FUNCTION audit_entry_add_only() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN RAISE EXCEPTION ''the audit log can only be added to''; END'",
    "CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry \
     FOR EACH ROW EXECUTE FUNCTION audit_entry_add_only()",
    "CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_add_only()",
];
