//! The same feed again, and newer versions of it over sold seats.

mod world;

use berth_inventory::{
    InventoryConfig,
    import::{ConflictKind, Summary},
};
use futures_util::future::join_all;
use world::{World, date, day, is_shared, small_feed, small_feed_with};

const SOLD: i32 = 1;
const HELD: i32 = 0;
const LATER: &str = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n\
                     T1,08:30:00,08:30:00,A,1\nT1,09:40:00,09:45:00,B,2\nT1,10:50:00,10:50:00,C,3\n";
const SHORTER: &str = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n\
                       T1,08:30:00,08:30:00,A,1\nT1,10:50:00,10:50:00,C,3\n";
const OTHER_LAYOUT: &str = "[[layout]]\nname = 'tiny'\n[[layout.cars]]\nlabel = '1'\nclass = 'economy'\nrows = 1\ncolumns = 'A-B'\n\
                            [[rule]]\nlayout = 'tiny'\n";

fn kinds(summary: &Summary) -> Vec<ConflictKind> {
    summary.conflicts.iter().map(|conflict| conflict.kind).collect()
}

#[tokio::test]
async fn the_same_feed_changes_nothing() {
    let world = World::new().await;
    world.import(&small_feed()).await.unwrap();
    let id = world.trip("Express 1", "2026-12-10").key().encode();
    let again = world.import(&small_feed()).await.unwrap();
    assert_eq!((again.added, again.updated, again.removed, again.unchanged, again.places_changed), (0, 0, 0, 1, 0));
    assert_eq!(again.timetable_version, 1);
    assert_eq!(world.trip("Express 1", "2026-12-10").key().encode(), id);
}

#[tokio::test]
async fn a_newer_version_updates_in_place() {
    let world = World::new().await;
    world.import(&small_feed()).await.unwrap();
    let key = world.trip("Express 1", "2026-12-10").key();
    let feed = small_feed_with(&[("stop_times.txt", SHORTER), ("berth.toml", OTHER_LAYOUT)]);
    let summary = world.import(&feed).await.unwrap();
    assert_eq!((summary.updated, summary.conflicts.len(), summary.timetable_version), (1, 0, 2));
    let trip = world.timetable().trip(key).unwrap();
    assert_eq!((trip.leg_count(), trip.layout().spot_count()), (1, 2));
    let gone = world
        .import(&small_feed_with(&[
            ("trips.txt", "route_id,service_id,trip_id\nR,S,T1\nR,S,T9\n"),
            ("stop_times.txt", &format!("{SHORTER}T9,1:00:00,1:00:00,A,1\nT9,2:00:00,2:00:00,B,2\n")),
        ]))
        .await
        .unwrap();
    assert_eq!((gone.added, gone.updated), (1, 1));
}

#[tokio::test]
async fn sold_seats_stand_above_the_timetable() {
    let world = World::new().await;
    world.import(&small_feed()).await.unwrap();
    let trip = world.trip("Express 1", "2026-12-10");
    world.claim(trip.key(), 5, 0..2, SOLD, 0).await;
    let feed = small_feed_with(&[("stop_times.txt", SHORTER), ("berth.toml", OTHER_LAYOUT)]);
    let summary = world.import(&feed).await.unwrap();
    assert_eq!(kinds(&summary), [ConflictKind::Stops, ConflictKind::Layout]);
    let kept = world.timetable().trip(trip.key()).unwrap();
    assert_eq!((kept.leg_count(), kept.layout().name.as_str()), (2, "default-rail"));
    assert_eq!(kept.departure(0), trip.departure(0));
    // Said again at each import, and still nothing moves.
    let again = world.import(&feed).await.unwrap();
    assert_eq!((kinds(&again).len(), again.changed()), (2, false));
}

#[tokio::test]
async fn new_times_hold_and_are_told() {
    let world = World::new().await;
    world.import(&small_feed()).await.unwrap();
    let trip = world.trip("Express 1", "2026-12-10");
    world.claim(trip.key(), 5, 0..1, SOLD, 0).await;
    let summary = world.import(&small_feed_with(&[("stop_times.txt", LATER)])).await.unwrap();
    assert_eq!(kinds(&summary), [ConflictKind::Times]);
    let moved = world.timetable().trip(trip.key()).unwrap();
    assert_eq!((moved.departure(0).unwrap() - trip.departure(0).unwrap()).num_minutes(), 30);
    assert!(summary.conflicts[0].to_string().contains("Express 1 (T1)"));
}

#[tokio::test]
async fn days_with_sold_seats_stay() {
    let world = World::new().await;
    world.import(&small_feed()).await.unwrap();
    let trip = world.trip("Express 1", "2026-12-10");
    world.claim(trip.key(), 5, 0..1, SOLD, 0).await;
    let later = "service_id,date,exception_type\nS,20270105,1\n";
    let summary = world.import(&small_feed_with(&[("calendar.txt", ""), ("calendar_dates.txt", later)])).await.unwrap();
    assert_eq!(kinds(&summary), [ConflictKind::Days]);
    let timetable = world.timetable();
    let days: Vec<u16> = timetable.templates()[0].days.iter().collect();
    assert_eq!(days, [day("2026-12-10"), day("2027-01-05")]);
}

#[tokio::test]
async fn a_trip_with_sold_seats_is_retired_and_one_without_goes() {
    let world = World::new().await;
    let trips = "route_id,service_id,trip_id,trip_short_name\nR,S,T1,Express 1\nR,S,T2,Express 2\nR,S,T3,Express 3\n";
    let times = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n\
                 T1,8:00:00,8:00:00,A,1\nT1,9:00:00,9:00:00,B,2\nT2,8:00:00,8:00:00,A,1\nT2,9:00:00,9:00:00,B,2\n\
                 T3,8:00:00,8:00:00,A,1\nT3,9:00:00,9:00:00,B,2\n";
    world.import(&small_feed_with(&[("trips.txt", trips), ("stop_times.txt", times)])).await.unwrap();
    let (sold, held) = (world.trip("Express 2", "2026-12-10"), world.trip("Express 3", "2026-12-10"));
    world.claim(sold.key(), 0, 0..1, SOLD, 0).await;
    // A hold whose time is over keeps nothing.
    world.claim(held.key(), 0, 0..1, HELD, world.clock.now().timestamp_millis() - 1).await;
    let summary = world.import(&small_feed()).await.unwrap();
    assert_eq!((summary.removed, kinds(&summary)), (2, vec![ConflictKind::Removed]));
    let timetable = world.timetable();
    assert!(timetable.trip(sold.key()).unwrap().template().retired);
    assert!(timetable.trip(held.key()).is_none());
    let (from, to) = (timetable.find_stations("alpha")[0].id, timetable.find_stations("beta")[0].id);
    assert_eq!(timetable.connections(from, to, day("2026-12-10"), None).len(), 1, "a retired trip is not for sale");
    // It comes back with the feed.
    let back = world.import(&small_feed_with(&[("trips.txt", trips), ("stop_times.txt", times)])).await.unwrap();
    assert_eq!((back.updated, back.added), (2, 1));
    assert!(!world.timetable().trip(sold.key()).unwrap().template().retired);
}

#[tokio::test]
async fn two_feeds_live_side_by_side() {
    let world = World::new().await;
    world.import(&small_feed()).await.unwrap();
    let other = small_feed_with(&[("agency.txt", "agency_name,agency_timezone\nOther,Asia/Jakarta\n")]);
    let summary = world.import(&other).await.unwrap();
    assert_eq!((summary.added, summary.removed), (1, 0));
    assert_eq!((world.timetable().template_count(), world.timetable().stations().len()), (2, 6));
}

#[tokio::test]
async fn the_demo_runs_for_thirty_days_and_goes_on() {
    let world = World::at("2026-11-20T20:00:00Z").await;
    let summary = world.inventory.import_demo().await.unwrap();
    // In Jakarta it is the 21st already.
    assert_eq!((summary.first_date, summary.last_date), (Some(date("2026-11-21")), Some(date("2026-12-21"))));
    assert_eq!((summary.trips, summary.added), (52, 52));
    assert!(!world.inventory.import_demo().await.unwrap().changed());
    let trip = world.trip("Argo Bromo Anggrek 2", "2026-11-25").key();
    world.clock.advance(chrono::TimeDelta::days(3));
    let later = world.inventory.import_demo().await.unwrap();
    assert_eq!((later.first_date, later.last_date), (Some(date("2026-11-21")), Some(date("2026-12-24"))));
    // Two trains run at weekends only, and no weekend was added.
    assert_eq!((later.added, later.updated, later.unchanged, later.conflicts.len()), (0, 50, 2, 0));
    assert!(world.timetable().trip(trip).is_some());
}

/// Several processes start at once on an empty database: the demo is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_import_the_demo_once() {
    let world = World::at("2026-11-20T20:00:00Z").await;
    let mut replicas = Vec::new();
    for _ in 0..if is_shared() { 4 } else { 1 } {
        replicas.push(world.beside(InventoryConfig::default()).await);
    }
    let imports = replicas.iter().map(|replica| replica.inventory.import_demo());
    let summaries: Vec<Summary> = join_all(imports).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(summaries.iter().map(|summary| summary.added).sum::<u64>(), 52);
    for replica in &replicas {
        let timetable = replica.timetable();
        assert_eq!((timetable.version(), timetable.template_count(), timetable.stations().len()), (1, 52, 40));
    }
}
