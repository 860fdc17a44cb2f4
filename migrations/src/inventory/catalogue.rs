//! Tables of the catalogue: feeds, stations, operators, trip templates and the immutable parts they are made of.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, boolean, double_null, integer, string, string_null, text, uuid},
};

/// The tables of the timetable.
pub struct Catalogue;

impl MigrationName for Catalogue {
    fn name(&self) -> &'static str {
        "m20261121_000010_catalogue"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn unique(name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).unique();
    for column in columns {
        index.col(Alias::new(*column));
    }
    index.take()
}

fn feed() -> TableCreateStatement {
    table("feed")
        .col(uuid("id").primary_key())
        .col(string("source_key").unique_key())
        .col(string("name"))
        .col(string_null("version"))
        .col(big_integer("imported_at_ms"))
        .to_owned()
}

/// One row: the number of the newest import. Servers compare it with what they have in memory.
fn timetable_version() -> TableCreateStatement {
    table("timetable_version").col(integer("id").primary_key()).col(big_integer("version")).to_owned()
}

fn operator() -> TableCreateStatement {
    table("operator")
        .col(uuid("id").primary_key())
        .col(uuid("feed_id"))
        .col(string("source_id"))
        .col(string("name"))
        .index(&mut unique("operator_source", &["feed_id", "source_id"]))
        .to_owned()
}

fn station() -> TableCreateStatement {
    table("station")
        .col(uuid("id").primary_key())
        .col(uuid("feed_id"))
        .col(string("source_id"))
        .col(string("name"))
        .col(string_null("code"))
        .col(double_null("latitude"))
        .col(double_null("longitude"))
        .col(string("time_zone"))
        .index(&mut unique("station_source", &["feed_id", "source_id"]))
        .to_owned()
}

/// Stop patterns, calendars, layouts and tariffs: documents that never change, found by what they contain.
fn timetable_part() -> TableCreateStatement {
    table("timetable_part")
        .col(uuid("id").primary_key())
        .col(string("kind"))
        .col(string("fingerprint"))
        .col(text("content"))
        .index(&mut unique("timetable_part_content", &["kind", "fingerprint"]))
        .to_owned()
}

/// `frequency_secs` is the start of one departure of a GTFS frequency, -1 for a trip that has none.
fn trip_template() -> TableCreateStatement {
    table("trip_template")
        .col(uuid("id").primary_key())
        .col(uuid("feed_id"))
        .col(string("source_id"))
        .col(integer("frequency_secs"))
        .col(string("name"))
        .col(string("mode"))
        .col(uuid("operator_id"))
        .col(string("time_zone"))
        .col(integer("start_secs"))
        .col(uuid("calendar_id"))
        .col(uuid("pattern_id"))
        .col(uuid("layout_id"))
        .col(uuid("tariff_id"))
        .col(boolean("retired"))
        .index(&mut unique("trip_template_source", &["feed_id", "source_id", "frequency_secs"]))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Catalogue {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [feed(), timetable_version(), operator(), station(), timetable_part(), trip_template()] {
            manager.create_table(table).await?;
        }
        Ok(())
    }
}
