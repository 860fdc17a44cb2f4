//! What an audit of all services reads here: see `berth audit`.

use std::collections::HashSet;

use berth_kernel::db::Db;
use sea_orm::DbErr;
use uuid::Uuid;

/// The keys of all accounts.
pub async fn accounts(db: &Db) -> Result<HashSet<Uuid>, DbErr> {
    crate::store::account::list_keys(db.read()).await
}
