//! Rows of money that must go back.

use berth_kernel::db::{Tx, sql};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use uuid::Uuid;

use super::{corrupt, money};
use crate::repayment::{Reason, Repayment};

#[derive(FromQueryResult)]
struct Row {
    payment_id: Uuid,
    booking_id: Uuid,
    reason: String,
    amount_minor: i64,
    currency: String,
    done: i32,
}

impl TryFrom<Row> for Repayment {
    type Error = DbErr;

    fn try_from(row: Row) -> Result<Self, DbErr> {
        Ok(Self {
            payment_id: row.payment_id,
            booking_id: row.booking_id,
            reason: Reason::parse(&row.reason).ok_or_else(|| corrupt("reason of a repayment"))?,
            amount: money(row.amount_minor, &row.currency)?,
            done: row.done != 0,
        })
    }
}

/// What was decided to go back to the payers of a booking.
pub async fn list(connection: &impl ConnectionTrait, booking_id: Uuid) -> Result<Vec<Repayment>, DbErr> {
    let text = "SELECT payment_id, booking_id, reason, amount_minor, currency, done FROM repayment WHERE booking_id = $1 ORDER BY payment_id";
    let rows = Row::find_by_statement(sql(connection, text, [booking_id.into()])).all(connection).await?;
    rows.into_iter().map(Repayment::try_from).collect()
}

/// Decides that a payment goes back; deciding it twice is one decision.
pub async fn insert(tx: &Tx, repayment: &Repayment) -> Result<(), DbErr> {
    let text = "INSERT INTO repayment (payment_id, booking_id, reason, amount_minor, currency, done) VALUES ($1, $2, $3, $4, $5, 0) \
                ON CONFLICT (payment_id) DO NOTHING";
    let values = [
        repayment.payment_id.into(),
        repayment.booking_id.into(),
        repayment.reason.name().into(),
        repayment.amount.amount_minor.into(),
        repayment.amount.currency.code().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// Notes that the money went back.
pub async fn mark_done(tx: &Tx, payment_id: Uuid) -> Result<(), DbErr> {
    let text = "UPDATE repayment SET done = 1 WHERE payment_id = $1";
    tx.execute_raw(sql(tx, text, [payment_id.into()])).await.map(|_| ())
}
