//! Tables of the booking service.

mod erasure;
mod locale;

use sea_orm_migration::{
    MigrationTrait,
    prelude::*,
    schema::{big_integer, big_integer_null, integer, string, string_null, text, text_null, uuid, uuid_null},
};

/// Its migrations, oldest first.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Bookings), Box::new(erasure::Erasure), Box::new(locale::Locale)]
}

/// Bookings with the state of their saga, their parts, tickets and what must be given back.
struct Bookings;

impl MigrationName for Bookings {
    fn name(&self) -> &'static str {
        "m20261121_000002_bookings"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn index(on: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(Alias::new(on)).to_owned();
    for column in columns {
        index.col(Alias::new(*column));
    }
    index
}

fn booking() -> TableCreateStatement {
    table("booking")
        .col(uuid("id").primary_key())
        .col(string("code").unique_key())
        .col(uuid("user_id"))
        .col(uuid("hold_id").unique_key())
        .col(string("email"))
        .col(string_null("phone"))
        .col(text_null("address"))
        .col(big_integer("total_minor"))
        .col(string("currency"))
        .col(big_integer("created_at_ms"))
        .col(big_integer("expires_at_ms"))
        .col(string("state"))
        .col(big_integer("state_since_ms"))
        .col(big_integer("revision"))
        .col(integer("attention"))
        .col(integer("late"))
        .col(uuid_null("paid_by"))
        .col(integer("cleanup_due"))
        .col(integer("attempts"))
        .col(big_integer_null("next_attempt_at_ms"))
        .to_owned()
}

fn booking_part() -> TableCreateStatement {
    table("booking_part")
        .col(uuid("id").primary_key())
        .col(uuid("booking_id"))
        .col(integer("position"))
        .col(string("title"))
        .col(big_integer("price_minor"))
        .col(string("currency"))
        .col(string("passenger_name"))
        .col(text("passenger_sealed"))
        .col(text("place"))
        .to_owned()
}

fn ticket() -> TableCreateStatement {
    table("ticket")
        .col(uuid("id").primary_key())
        .col(uuid("booking_id"))
        .col(uuid("part_id").unique_key())
        .col(uuid("user_id"))
        .col(string("number").unique_key())
        .col(string("status"))
        .col(string("passenger_name"))
        .col(text("place"))
        .col(big_integer("valid_from_ms"))
        .col(big_integer("valid_until_ms"))
        .col(text("document"))
        .to_owned()
}

fn repayment() -> TableCreateStatement {
    table("repayment")
        .col(uuid("payment_id").primary_key())
        .col(uuid("booking_id"))
        .col(string("reason"))
        .col(big_integer("amount_minor"))
        .col(string("currency"))
        .col(integer("done"))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Bookings {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [booking(), booking_part(), ticket(), repayment()] {
            manager.create_table(table).await?;
        }
        let indexes = [
            index("booking", "booking_of_user", &["user_id", "created_at_ms", "id"]),
            index("booking", "booking_due", &["next_attempt_at_ms"]),
            index("booking_part", "part_of_booking", &["booking_id", "position"]),
            index("ticket", "ticket_of_booking", &["booking_id"]),
            index("ticket", "ticket_of_user", &["user_id", "valid_from_ms", "id"]),
            index("repayment", "repayment_of_booking", &["booking_id"]),
        ];
        for index in indexes {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
