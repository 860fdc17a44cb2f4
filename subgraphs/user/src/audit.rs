//! What an audit of all services reads here: see `berth audit`.

use std::collections::HashSet;

use berth_kernel::db::Db;
use sea_orm::DbErr;
use uuid::Uuid;

/// The keys of all accounts, deleted ones included: bookings still name them.
pub async fn accounts(db: &Db) -> Result<HashSet<Uuid>, DbErr> {
    let mut known = crate::store::account::list_keys(db.read()).await?;
    known.extend(crate::store::privacy::list_deleted(db.read()).await?);
    Ok(known)
}
