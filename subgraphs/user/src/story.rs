//! What `berth explain` asks of user.

use berth_kernel::{db::Db, story::Line};
use sea_orm::DbErr;
use uuid::Uuid;

/// Whether the account of who bought is there, and since when.
pub async fn lines(db: &Db, user_id: Uuid) -> Result<Vec<Line>, DbErr> {
    crate::store::story::lines(db.read(), user_id).await
}
