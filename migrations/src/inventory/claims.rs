//! Tables of claims and holds. No row of `seat_claim` means: the seat is free on that leg.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, integer, string, uuid, uuid_null},
    sea_orm::{ConnectionTrait, DatabaseBackend},
};

/// The tables of claims and holds.
pub struct Claims;

impl MigrationName for Claims {
    fn name(&self) -> &'static str {
        "m20261121_000020_claims"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn primary(columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    for column in columns {
        index.col(Alias::new(*column));
    }
    index.primary().to_owned()
}

/// A trip on which something was claimed at least once. Its row is what concurrent claims of the trip queue on.
fn occurrence() -> TableCreateStatement {
    let mut id = ColumnDef::new(Alias::new("id"));
    id.big_integer().not_null().auto_increment().primary_key();
    let mut trip = Index::create();
    trip.name("occurrence_trip").unique().col(Alias::new("template")).col(Alias::new("day"));
    table("occurrence")
        .col(&mut id)
        .col(uuid("template"))
        .col(integer("day"))
        .col(big_integer("version"))
        .index(&mut trip)
        .to_owned()
}

/// `state`: 0 HELD, 1 SOLD, 2 BLOCKED. The primary key is the law: one row per seat and leg.
fn seat_claim() -> TableCreateStatement {
    table("seat_claim")
        .col(big_integer("occurrence_id"))
        .col(integer("spot_no"))
        .col(integer("leg_no"))
        .col(integer("state"))
        .col(uuid("hold_id"))
        .col(uuid_null("booking_id"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer("version"))
        .primary_key(&mut primary(&["occurrence_id", "spot_no", "leg_no"]))
        .to_owned()
}

/// `status`: 0 ACTIVE, 1 COMMITTED, 2 RELEASED, 3 EXPIRED. ACTIVE past `expires_at_ms` is EXPIRED, swept or not.
fn hold() -> TableCreateStatement {
    table("hold")
        .col(uuid("id").primary_key())
        .col(uuid("user_id"))
        .col(integer("status"))
        .col(uuid_null("booking_id"))
        .col(big_integer("total_minor"))
        .col(string("currency"))
        .col(big_integer("expires_at_ms"))
        .col(big_integer("created_at_ms"))
        .col(integer("extended"))
        .to_owned()
}

/// The seats of a hold. Its claims are found through them by primary key, so `seat_claim` needs no second index.
fn hold_item() -> TableCreateStatement {
    table("hold_item")
        .col(uuid("hold_id"))
        .col(uuid("id"))
        .col(big_integer("occurrence_id"))
        .col(uuid("template"))
        .col(integer("day"))
        .col(integer("spot_no"))
        .col(integer("from_stop"))
        .col(integer("to_stop"))
        .col(big_integer("price_minor"))
        .col(string("currency"))
        .primary_key(&mut primary(&["hold_id", "id"]))
        .to_owned()
}

/// A table kept in the order of its primary key. PostgreSQL has no such thing; there it is a plain table.
async fn create_clustered(manager: &SchemaManager<'_>, table: TableCreateStatement) -> Result<(), DbErr> {
    if manager.get_database_backend() != DatabaseBackend::Sqlite {
        return manager.create_table(table).await;
    }
    let statement = format!("{} WITHOUT ROWID", table.to_string(SqliteQueryBuilder));
    manager.get_connection().execute_unprepared(&statement).await.map(|_| ())
}

#[async_trait::async_trait]
impl MigrationTrait for Claims {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(occurrence()).await?;
        for table in [seat_claim(), hold(), hold_item()] {
            create_clustered(manager, table).await?;
        }
        // Only live holds are counted and swept, so only they are indexed.
        for index in [
            "CREATE INDEX hold_active_of_user ON hold (user_id, expires_at_ms) WHERE status = 0",
            "CREATE INDEX hold_due ON hold (expires_at_ms) WHERE status = 0",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}
