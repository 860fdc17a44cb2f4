//! Rows of the parts of bookings. A passenger's document is sealed before it gets here.

use berth_kernel::db::{Tx, rows_placeholder, sql};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use super::{corrupt, money};
use crate::{passenger::PassengerDetails, place::Part};

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    booking_id: Uuid,
    position: i32,
    title: String,
    price_minor: i64,
    currency: String,
    passenger_name: String,
    place: String,
}

impl TryFrom<Row> for Part {
    type Error = DbErr;

    /// Of the passenger only the name is read back: nothing that is shown needs the sealed rest.
    fn try_from(row: Row) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.id,
            booking_id: row.booking_id,
            position: row.position,
            title: row.title,
            price: money(row.price_minor, &row.currency)?,
            passenger: PassengerDetails { full_name: row.passenger_name, id_type: None, id_number: None, birth_date: None },
            place: serde_json::from_str(&row.place).map_err(|_| corrupt("place"))?,
        })
    }
}

/// The parts of these bookings, in order.
pub async fn list(connection: &impl ConnectionTrait, booking_ids: &[Uuid]) -> Result<Vec<Part>, DbErr> {
    if booking_ids.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT id, booking_id, position, title, price_minor, currency, passenger_name, place FROM booking_part \
         WHERE booking_id IN {} ORDER BY booking_id, position",
        rows_placeholder(1, booking_ids.len(), 1)
    );
    let values = booking_ids.iter().map(|id| (*id).into());
    let rows = Row::find_by_statement(sql(connection, &text, values)).all(connection).await?;
    rows.into_iter().map(Part::try_from).collect()
}

/// Adds a part; `sealed` holds the passenger's details.
pub async fn insert(tx: &Tx, part: &Part, sealed: &str) -> Result<(), DbErr> {
    let text = "INSERT INTO booking_part (id, booking_id, position, title, price_minor, currency, passenger_name, passenger_sealed, \
                place) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let place = serde_json::to_string(&part.place).map_err(|_| corrupt("place"))?;
    let values = [
        part.id.into(),
        part.booking_id.into(),
        part.position.into(),
        part.title.clone().into(),
        part.price.amount_minor.into(),
        part.price.currency.code().into(),
        part.passenger.full_name.clone().into(),
        sealed.into(),
        place.into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}
