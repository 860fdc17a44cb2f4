//! The timetable in force. Readers take it with [`Catalogue::now`] and keep what they took; an import puts a new one
//! in its place.

use std::sync::Arc;

use arc_swap::ArcSwap;
use berth_kernel::db::Db;
use sea_orm::DbErr;

use crate::{store, timetable::Timetable};

/// The timetable in force, reloaded when another import was made. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct Catalogue {
    db: Db,
    current: Arc<ArcSwap<Timetable>>,
}

impl Catalogue {
    /// Reads the timetable of a database.
    pub async fn load(db: Db) -> Result<Self, DbErr> {
        let timetable = read(&db).await?;
        Ok(Self { db, current: Arc::new(ArcSwap::from_pointee(timetable)) })
    }

    /// The timetable in force.
    pub fn now(&self) -> Arc<Timetable> {
        self.current.load_full()
    }

    /// Reads the timetable anew if an import changed it since; tells whether it did.
    pub async fn refresh(&self) -> Result<bool, DbErr> {
        if store::catalogue::version(self.db.read()).await? == self.now().version() {
            return Ok(false);
        }
        let timetable = read(&self.db).await?;
        tracing::info!(timetable.version = timetable.version(), trips = timetable.template_count(), "timetable.loaded");
        self.current.store(Arc::new(timetable));
        Ok(true)
    }
}

/// Of one instant, because another process may be importing.
async fn read(db: &Db) -> Result<Timetable, DbErr> {
    store::catalogue::load(&db.snapshot().await?).await
}
