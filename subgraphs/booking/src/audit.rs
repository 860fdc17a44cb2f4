//! What an audit of all services reads here: see `berth audit`.

use berth_kernel::db::Db;
use sea_orm::DbErr;

pub use crate::store::audit::{BookingFact, SeatOnLegs, TicketFact};

/// Every booking, and the remembered answers of `createBooking` that name none.
pub async fn facts(db: &Db) -> Result<(Vec<BookingFact>, Vec<String>), DbErr> {
    crate::store::audit::facts(db.read()).await
}
