//! What `berth explain` asks of booking.

use berth_kernel::{
    db::Db,
    story::{Line, Question},
};
use sea_orm::DbErr;
use uuid::Uuid;

pub use crate::store::story::Root;

/// The booking that is asked about: by its code, its own id, its hold's or a ticket's.
pub async fn find(db: &Db, question: &Question) -> Result<Option<Root>, DbErr> {
    crate::store::story::find(db.read(), question).await
}

/// What is known of it.
pub async fn lines(db: &Db, id: Uuid) -> Result<Vec<Line>, DbErr> {
    crate::store::story::lines(db.read(), id).await
}
