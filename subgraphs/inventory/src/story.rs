//! What `berth explain` asks of inventory.

use berth_kernel::{db::Db, story::Line};
use sea_orm::DbErr;
use uuid::Uuid;

/// What is known of a hold; nothing when it is gone or never was.
pub async fn lines(db: &Db, hold_id: Uuid) -> Result<Vec<Line>, DbErr> {
    crate::store::story::lines(db.read(), hold_id).await
}
