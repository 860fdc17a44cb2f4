//! The demo timetable: a railway of ours on the real stations of Java, in the binary. It has no dates of its own; each
//! start stretches it to the next thirty days.

use berth_kernel::Deps;
use chrono::{Days, NaiveDate};
use chrono_tz::Asia::Jakarta;

use crate::{
    calendar::date_of,
    import::{ImportError, ImportOptions, Source, Summary, import_gtfs, silent},
    store,
};

/// How many days ahead the demo timetable runs.
pub const DAYS_AHEAD: u64 = 30;
const SOURCE_KEY: &str = "berth-demo";

const FILES: [(&str, &str); 8] = [
    ("agency.txt", include_str!("../demo/agency.txt")),
    ("feed_info.txt", include_str!("../demo/feed_info.txt")),
    ("stops.txt", include_str!("../demo/stops.txt")),
    ("routes.txt", include_str!("../demo/routes.txt")),
    ("trips.txt", include_str!("../demo/trips.txt")),
    ("stop_times.txt", include_str!("../demo/stop_times.txt")),
    ("calendar.txt", include_str!("../demo/calendar.txt")),
    ("berth.toml", include_str!("../demo/berth.toml")),
];

/// Imports the demo timetable, or extends it; on a second start of the same day nothing changes. Days that have passed
/// stay, for those who look at an old ticket.
pub async fn import(deps: &Deps) -> Result<Summary, ImportError> {
    let today = deps.clock.now().with_timezone(&Jakarta).date_naive();
    let first = first_date(deps).await?.map_or(today, |first| first.min(today));
    let last = today.checked_add_days(Days::new(DAYS_AHEAD)).unwrap_or(today);
    let options = ImportOptions { window: Some((first, last)), ..ImportOptions::default() };
    import_gtfs(deps, Source::texts(&FILES), options, silent()).await
}

async fn first_date(deps: &Deps) -> Result<Option<NaiveDate>, ImportError> {
    Ok(store::catalogue::first_day(deps.db.read(), SOURCE_KEY).await?.map(date_of))
}
