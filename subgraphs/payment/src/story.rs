//! What `berth explain` asks of payment.

use berth_kernel::{
    db::Db,
    story::{Line, Question},
};
use sea_orm::DbErr;
use uuid::Uuid;

/// The booking of the payment or refund that is asked about.
pub async fn booking_of(db: &Db, question: &Question) -> Result<Option<Uuid>, DbErr> {
    crate::store::story::booking_of(db.read(), question).await
}

/// The payments of a booking, and what is known of them.
pub async fn lines(db: &Db, booking_id: Uuid) -> Result<(Vec<Uuid>, Vec<Line>), DbErr> {
    crate::store::story::lines(db.read(), booking_id).await
}
