//! What an audit of all services reads here: see `berth audit`.

use berth_kernel::db::Db;
use sea_orm::DbErr;

pub use crate::store::audit::{Facts, PaymentFact};

/// Payments with their ledger, and what contradicts itself there.
pub async fn facts(db: &Db) -> Result<Facts, DbErr> {
    crate::store::audit::facts(db.read()).await
}
