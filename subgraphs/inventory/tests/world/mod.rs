//! A world for service tests: a real database (SQLite in a temporary folder, or PostgreSQL when `BERTH_TEST_POSTGRES_URL`
//! names a server), a clock that stands where the test wants it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_graphql::{Request, Variables};
use berth_contracts::id::TripKey;
use berth_inventory::{
    Inventory, InventoryConfig,
    import::{Bounds, ImportError, ImportOptions, Source, Summary, import_gtfs, silent},
    timetable::Timetable,
    trip::TripRef,
};
use berth_kernel::{
    Deps,
    bus::Bus,
    clock::Clock,
    db::{Db, sql},
    jobs::Background,
    mail::Mail,
    seal::Sealer,
    sms::Sms,
};
use berth_migrations::InventoryMigrator;
use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, DbErr};
use serde_json::Value;
use uuid::Uuid;

/// Files of a feed: name and text.
pub type Files<'f> = Vec<(&'f str, String)>;

/// Where a world's database is.
#[derive(Clone)]
pub enum Place {
    Sqlite(PathBuf),
    Postgres { url: String, schema: String },
}

impl Place {
    /// A place where nothing is yet.
    fn fresh(folder: &Path) -> Self {
        match std::env::var("BERTH_TEST_POSTGRES_URL") {
            Ok(url) => Self::Postgres { url, schema: format!("t{}", Clock::system().new_key().simple()) },
            Err(_) => Self::Sqlite(folder.join("inventory.sqlite")),
        }
    }

    async fn open(&self) -> Db {
        match self {
            Self::Sqlite(path) => Db::open_sqlite(path).await.unwrap(),
            Self::Postgres { url, schema } => Db::open_postgres(url, schema, 8).await.unwrap(),
        }
    }
}

/// Whether several processes can share a world's database.
pub fn is_shared() -> bool {
    std::env::var("BERTH_TEST_POSTGRES_URL").is_ok()
}

pub struct World {
    pub folder: tempfile::TempDir,
    pub place: Place,
    pub clock: Clock,
    pub deps: Deps,
    pub inventory: Inventory,
}

impl World {
    /// An empty inventory, at an instant such as 2026-11-21T08:00:00Z.
    pub async fn at(instant: &str) -> Self {
        Self::with(instant, InventoryConfig::default()).await
    }

    /// An empty inventory over a fresh database.
    pub async fn with(instant: &str, config: InventoryConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::fresh(folder.path());
        Self::over(place, folder, instant, config).await
    }

    /// Another process over the same database; its clock shows the same.
    pub async fn beside(&self, config: InventoryConfig) -> Self {
        let instant = self.clock.now().to_rfc3339();
        Self::over(self.place.clone(), tempfile::tempdir().unwrap(), &instant, config).await
    }

    async fn over(place: Place, folder: tempfile::TempDir, instant: &str, config: InventoryConfig) -> Self {
        let clock = Clock::system();
        let instant: DateTime<Utc> = instant.parse().unwrap();
        clock.advance(instant - clock.now());
        let db = place.open().await;
        db.migrate::<InventoryMigrator>().await.unwrap();
        let mail = Arc::new(Mail::catcher(&folder.path().join("mail")));
        let deps =
            Deps::new(db, clock.clone(), Bus::local(), mail, Arc::new(Sms::off()), Sealer::new([7; 32]), Background::default());
        let inventory = Inventory::new(deps.clone(), config).await.unwrap();
        Self { folder, place, clock, deps, inventory }
    }

    pub async fn new() -> Self {
        Self::at("2026-11-20T08:00:00Z").await
    }

    /// Imports files as a folder.
    pub async fn import(&self, files: &Files<'_>) -> Result<Summary, ImportError> {
        self.import_with(files, ImportOptions::default()).await
    }

    pub async fn import_with(&self, files: &Files<'_>, options: ImportOptions) -> Result<Summary, ImportError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        self.import_path(folder.path(), options).await
    }

    pub async fn import_path(&self, path: &Path, options: ImportOptions) -> Result<Summary, ImportError> {
        let summary = import_gtfs(&self.deps, Source::open(path, Bounds::default())?, options, silent()).await?;
        self.inventory.catalogue().refresh().await.unwrap();
        Ok(summary)
    }

    pub fn timetable(&self) -> Arc<Timetable> {
        self.inventory.catalogue().now()
    }

    /// The one trip whose name is this, on a date.
    pub fn trip(&self, name: &str, date: &str) -> TripRef {
        let timetable = self.timetable();
        let template = timetable.templates().iter().find(|template| template.name == name).unwrap();
        TripRef::new(template, day(date)).unwrap()
    }

    /// Id of the station with this code, or else this name.
    pub fn station(&self, search: &str) -> String {
        let timetable = self.timetable();
        berth_contracts::Kind::Station.encode(timetable.find_stations(search)[0].id)
    }

    /// Claims a seat on some legs as holds do. State 0 HELD, 1 SOLD, 2 BLOCKED.
    pub async fn claim(&self, trip: TripKey, spot_no: i32, legs: std::ops::Range<i32>, state: i32, expires_at_ms: i64) {
        let write = self.deps.db.write::<(), DbErr, _>(move |tx| {
            Box::pin(async move {
                let (template, day) = (trip.template, i32::from(trip.day));
                let text = "INSERT INTO occurrence (template, day, version) VALUES ($1, $2, 1) \
                            ON CONFLICT (template, day) DO UPDATE SET version = occurrence.version + 1";
                tx.execute_raw(sql(tx, text, [template.into(), day.into()])).await?;
                for leg in legs {
                    let text = "INSERT INTO seat_claim (occurrence_id, spot_no, leg_no, state, hold_id, expires_at_ms, version) \
                                SELECT id, $3, $4, $5, $6, $7, 1 FROM occurrence WHERE template = $1 AND day = $2";
                    let values = [
                        template.into(),
                        day.into(),
                        spot_no.into(),
                        leg.into(),
                        state.into(),
                        Uuid::nil().into(),
                        expires_at_ms.into(),
                    ];
                    tx.execute_raw(sql(tx, text, values)).await?;
                }
                Ok(())
            })
        });
        write.await.unwrap();
    }

    /// Runs an operation and gives its whole answer.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        let request = Request::new(query).variables(Variables::from_json(variables));
        serde_json::to_value(self.inventory.schema().execute(request).await).unwrap()
    }

    /// The code of the first error of an operation.
    pub async fn refusal(&self, query: &str, variables: Value) -> String {
        let answer = self.ask(query, variables).await;
        answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no refusal: {answer}")).to_owned()
    }
}

pub fn day(date: &str) -> u16 {
    berth_inventory::calendar::day_of(date.parse().unwrap()).unwrap()
}

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A small feed: three stations A, B and C, one train a day on every day of December 2026.
pub fn small_feed() -> Files<'static> {
    vec![
        ("agency.txt", "agency_name,agency_url,agency_timezone\nRail,https://example.com,Asia/Jakarta\n".into()),
        ("stops.txt", "stop_id,stop_name,stop_lat,stop_lon\nA,Alpha,-6.0,106.0\nB,Beta,-6.0,107.0\nC,Gamma,-6.0,108.0\n".into()),
        ("routes.txt", "route_id,route_long_name,route_type\nR,Line,2\n".into()),
        ("trips.txt", "route_id,service_id,trip_id,trip_short_name\nR,S,T1,Express 1\n".into()),
        (
            "stop_times.txt",
            "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n\
             T1,08:00:00,08:00:00,A,1\nT1,09:00:00,09:05:00,B,2\nT1,10:00:00,10:00:00,C,3\n"
                .into(),
        ),
        (
            "calendar.txt",
            "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n\
             S,1,1,1,1,1,1,1,20261201,20261231\n"
                .into(),
        ),
    ]
}

/// The small feed with some files replaced, added, or (with an empty text) taken away.
pub fn small_feed_with<'f>(changes: &[(&'f str, &str)]) -> Files<'f> {
    let mut files: Files<'f> = small_feed();
    for (name, text) in changes {
        files.retain(|(known, _)| known != name);
        if !text.is_empty() {
            files.push((name, (*text).to_owned()));
        }
    }
    files
}

/// Packs files into a zip archive, in a folder of it.
pub fn zipped(files: &Files<'_>, inside: &str, path: &Path) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, text) in files {
        archive.start_file(format!("{inside}{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
}
