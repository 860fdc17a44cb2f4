//! Feeds of every shape that railways publish.

mod world;

use berth_inventory::{import::ImportOptions, trip::TravelMode};
use world::{World, date, day, small_feed, small_feed_with, zipped};

const TIMES: &str = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n";
const TRIPS: &str = "route_id,service_id,trip_id,trip_short_name\n";

#[tokio::test]
async fn calendar_alone() {
    let world = World::new().await;
    let summary = world.import(&small_feed()).await.unwrap();
    assert_eq!((summary.stations, summary.routes, summary.trips, summary.stop_times), (3, 1, 1, 3));
    assert_eq!((summary.first_date, summary.last_date), (Some(date("2026-12-01")), Some(date("2026-12-31"))));
    assert_eq!((summary.added, summary.unchanged, summary.timetable_version), (1, 0, 1));
    assert_eq!(world.timetable().days(), Some((day("2026-12-01"), day("2026-12-31"))));
}

#[tokio::test]
async fn calendar_dates_alone() {
    let dates = "service_id,date,exception_type\nS,20261224,1\nS,20261225,2\nS,20261226,1\n";
    let world = World::new().await;
    world.import(&small_feed_with(&[("calendar.txt", ""), ("calendar_dates.txt", dates)])).await.unwrap();
    let timetable = world.timetable();
    assert_eq!(timetable.templates()[0].days.iter().collect::<Vec<_>>(), [day("2026-12-24"), day("2026-12-26")]);
}

#[tokio::test]
async fn both_calendars() {
    let dates = "service_id,date,exception_type\nS,20261225,2\nS,20270101,1\nOTHER,20270102,1\n";
    let world = World::new().await;
    world.import(&small_feed_with(&[("calendar_dates.txt", dates)])).await.unwrap();
    let timetable = world.timetable();
    let days = &timetable.templates()[0].days;
    assert!(days.contains(day("2026-12-24")) && !days.contains(day("2026-12-25")) && days.contains(day("2027-01-01")));
}

#[tokio::test]
async fn calendars_without_end() {
    let calendar = "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\nS,0,0,0,1,0,0,0,19000101,99991231\n";
    let world = World::new().await;
    world.import(&small_feed_with(&[("calendar.txt", calendar)])).await.unwrap();
    let timetable = world.timetable();
    let days = &timetable.templates()[0].days;
    assert!(days.contains(day("2026-12-10")) && !days.contains(day("2026-12-11")) && days.contains(day("2099-12-31")));
}

#[tokio::test]
async fn a_start_date_moves_by_whole_weeks() {
    let world = World::new().await;
    let options = ImportOptions { start_date: Some(date("2027-06-07")), ..ImportOptions::default() };
    let summary = world.import_with(&small_feed(), options).await.unwrap();
    // 2026-12-01 was a Tuesday, and so is 2027-06-08.
    assert_eq!((summary.first_date, summary.last_date), (Some(date("2027-06-08")), Some(date("2027-07-08"))));
}

#[tokio::test]
async fn frequencies_become_departures() {
    let frequencies = "trip_id,start_time,end_time,headway_secs\nT1,06:00:00,08:00:00,3600\nT1,25:00:00,25:30:00,900\n";
    let world = World::new().await;
    let summary = world.import(&small_feed_with(&[("frequencies.txt", frequencies)])).await.unwrap();
    assert_eq!((summary.trips, summary.templates), (1, 4));
    let timetable = world.timetable();
    let mut starts: Vec<_> = timetable.templates().iter().map(|template| template.start_secs / 60).collect();
    starts.sort_unstable();
    assert_eq!(starts, [360, 420, 1500, 1515]);
    let same =
        |template: &std::sync::Arc<berth_inventory::trip::Template>| template.pattern.id == timetable.templates()[0].pattern.id;
    assert!(timetable.templates().iter().all(same), "one pattern serves all departures");
    let again = world.import(&small_feed_with(&[("frequencies.txt", frequencies)])).await.unwrap();
    assert_eq!((again.changed(), again.unchanged), (false, 4));
}

#[tokio::test]
async fn times_past_midnight_and_zones_on_the_way() {
    let stops = "stop_id,stop_name,stop_lat,stop_lon,stop_timezone\nA,Alpha,-7,112,\nB,Beta,-8.7,115.2,Asia/Makassar\nC,Gamma,-8,120,Asia/Jayapura\n";
    let times = format!("{TIMES}T1,23:30:00,23:30:00,A,1\nT1,25:10:00,25:20:00,B,2\nT1,110:00:00,110:00:00,C,3\n");
    let world = World::new().await;
    world.import(&small_feed_with(&[("stops.txt", stops), ("stop_times.txt", &times)])).await.unwrap();
    let trip = world.trip("Express 1", "2026-12-10");
    // Times of a feed are counted in the agency's zone, wherever the stop is.
    assert_eq!(trip.departure(0).unwrap().to_rfc3339(), "2026-12-10T16:30:00+00:00");
    assert_eq!(trip.arrival(1).unwrap().to_rfc3339(), "2026-12-10T18:10:00+00:00");
    assert_eq!(trip.arrival(2).unwrap().to_rfc3339(), "2026-12-14T07:00:00+00:00");
    let (from, to) = trip.stop_copies(trip.segment(0, 1).unwrap()).unwrap();
    assert_eq!((from.local.to_string(), from.time_zone.as_str()), ("2026-12-10 23:30:00".to_owned(), "Asia/Jakarta"));
    assert_eq!((to.local.to_string(), to.time_zone.as_str()), ("2026-12-11 02:10:00".to_owned(), "Asia/Makassar"));
}

#[tokio::test]
async fn clocks_that_change_on_the_way() {
    let agency = "agency_id,agency_name,agency_url,agency_timezone\n1,Rail,https://example.com,Europe/Bratislava\n";
    let dates = "service_id,date,exception_type\nS,20270327,1\nS,20270328,1\n";
    let times = format!("{TIMES}T1,01:00:00,01:00:00,A,1\nT1,27:30:00,27:30:00,C,2\n");
    let world = World::new().await;
    let feed = [("agency.txt", agency), ("calendar.txt", ""), ("calendar_dates.txt", dates), ("stop_times.txt", &times)];
    world.import(&small_feed_with(&feed)).await.unwrap();
    // The night on which 02:00 becomes 03:00: the run of the 27th arrives at 04:30 summer time.
    let before = world.trip("Express 1", "2027-03-27");
    assert_eq!(before.arrival(1).unwrap().to_rfc3339(), "2027-03-28T02:30:00+00:00");
    // The service day of the 28th begins an hour early, so 01:00 of it is midnight by the clock.
    let after = world.trip("Express 1", "2027-03-28");
    assert_eq!(after.departure(0).unwrap().to_rfc3339(), "2027-03-27T23:00:00+00:00");
}

#[tokio::test]
async fn a_stop_visited_twice_is_two_stops() {
    let times = format!(
        "{TIMES}T1,08:00:00,08:00:00,A,1\nT1,09:00:00,09:00:00,B,2\nT1,10:00:00,10:00:00,A,3\nT1,11:00:00,11:00:00,C,4\nT1,12:00:00,12:00:00,B,5\n"
    );
    let world = World::new().await;
    world.import(&small_feed_with(&[("stop_times.txt", &times)])).await.unwrap();
    let timetable = world.timetable();
    let id = |name| timetable.find_stations(name)[0].id;
    let ways = |from, to| -> Vec<(u16, u16)> {
        let found = timetable.connections(id(from), id(to), day("2026-12-10"), None);
        found.iter().map(|way| (way.from, way.to)).collect()
    };
    assert_eq!(ways("Alpha", "Beta"), [(0, 1), (2, 4)]);
    assert_eq!(ways("Alpha", "Gamma"), [(2, 3)]);
    assert_eq!(ways("Beta", "Alpha"), [(1, 2)]);
    assert_eq!(ways("Gamma", "Alpha"), []);
}

#[tokio::test]
async fn seventy_legs() {
    use std::fmt::Write;
    let (mut stops, mut times) = ("stop_id,stop_name\n".to_owned(), TIMES.to_owned());
    // Rows in the wrong order on purpose.
    for at in (0..=70).rev() {
        writeln!(stops, "S{at},Stop {at}").unwrap();
        writeln!(times, "T1,{0}:00:00,{0}:10:00,S{at},{1}", 8 + at, at * 10).unwrap();
    }
    let world = World::new().await;
    world.import(&small_feed_with(&[("stops.txt", &stops), ("stop_times.txt", &times)])).await.unwrap();
    let trip = world.trip("Express 1", "2026-12-10");
    assert_eq!(trip.leg_count(), 70);
    assert_eq!(trip.calls()[70].station.name, "Stop 70");
    assert_eq!(trip.segment(3, 70).unwrap().legs(), 3..70);
}

#[tokio::test]
async fn dressed_as_spreadsheets_dress_them() {
    let files = small_feed_with(&[
        (
            "stops.txt",
            "\u{feff}\"stop_id\",\"stop_name\",\"extra\"\r\n\"A\",\"Alpha, main\",\"\"\r\n\"B\",\"Beta \"\"x\"\"\",\r\n C , Gamma\r\n\r\n",
        ),
        (
            "stop_times.txt",
            "\u{feff}stop_sequence, stop_id ,trip_id,departure_time,arrival_time\r\n3,C,T1,,10:00:00\r\n1,A,T1,8:00:00,\r\n2,B,T1,,\r\n",
        ),
        ("trips.txt", "trip_id,service_id,route_id\nT1,S,R\n"),
    ]);
    let world = World::new().await;
    let path = world.folder.path().join("feed.zip");
    zipped(&files, "rail-2026/", &path);
    world.import_path(&path, ImportOptions::default()).await.unwrap();
    let trip = world.trip("Line", "2026-12-10");
    let names: Vec<_> = trip.calls().iter().map(|call| call.station.name.as_str()).collect();
    assert_eq!(names, ["Alpha, main", "Beta \"x\"", "Gamma"]);
    // The middle stop had no time: half way.
    assert_eq!(trip.arrival(1).unwrap().to_rfc3339(), "2026-12-10T02:00:00+00:00");
}

#[tokio::test]
async fn platforms_are_found_by_their_station() {
    let stops = "stop_id,stop_name,location_type,parent_station,stop_code\nP1,Platform 1,0,A,\nA,Alpha,1,,ALP\nB,Beta,,,\nE,Entrance,2,A,\nP2,Platform 2,0,A,\n";
    let times = format!(
        "{TIMES}T1,08:00:00,08:00:00,P1,1\nT1,09:00:00,09:00:00,B,2\nT2,09:00:00,09:00:00,B,1\nT2,10:00:00,10:00:00,P2,2\n"
    );
    let trips = format!("{TRIPS}R,S,T1,Express 1\nR,S,T2,Express 2\n");
    let world = World::new().await;
    let summary =
        world.import(&small_feed_with(&[("stops.txt", stops), ("stop_times.txt", &times), ("trips.txt", &trips)])).await.unwrap();
    assert_eq!(summary.stations, 2);
    let timetable = world.timetable();
    let (alpha, beta) = (timetable.find_stations("alp")[0].id, timetable.find_stations("beta")[0].id);
    assert_eq!(timetable.connections(alpha, beta, day("2026-12-10"), None).len(), 1);
    assert_eq!(timetable.connections(beta, alpha, day("2026-12-10"), None).len(), 1);
}

#[tokio::test]
async fn closed_stops_make_no_legs() {
    let times = "trip_id,arrival_time,departure_time,stop_id,stop_sequence,pickup_type,drop_off_type\n\
                 T1,08:00:00,08:00:00,A,1,0,1\nT1,09:00:00,09:05:00,B,2,1,1\nT1,10:00:00,10:00:00,C,3,1,0\n\
                 T2,08:00:00,08:00:00,A,1,1,1\nT2,10:00:00,10:00:00,C,2,,\n";
    let trips = format!("{TRIPS}R,S,T1,Express 1\nR,S,T2,Express 2\nR,S,T3,Without stops\n");
    let world = World::new().await;
    let summary = world.import(&small_feed_with(&[("stop_times.txt", times), ("trips.txt", &trips)])).await.unwrap();
    assert_eq!((summary.templates, summary.skipped), (1, 2));
    let trip = world.trip("Express 1", "2026-12-10");
    assert_eq!(trip.leg_count(), 1);
    assert_eq!(trip.segment(0, 1).unwrap().legs(), 0..1);
    assert!(trip.segment(1, 0).is_err() && trip.segment(0, 2).is_err());
}

#[tokio::test]
async fn route_types_old_and_new() {
    let routes = "route_id,route_long_name,route_type\nR,Line,109\nF,Ship,1200\nB,Coach,702\nP,Plane,1100\n";
    let trips = format!("{TRIPS}R,S,T1,r\nF,S,T2,f\nB,S,T3,b\nP,S,T4,p\n");
    let calls = |trip| format!("T{trip},08:00:00,08:00:00,A,1\nT{trip},09:00:00,09:00:00,B,2\n");
    let times: String = std::iter::once(TIMES.to_owned()).chain((1..=4).map(calls)).collect();
    let world = World::new().await;
    world.import(&small_feed_with(&[("routes.txt", routes), ("trips.txt", &trips), ("stop_times.txt", &times)])).await.unwrap();
    let timetable = world.timetable();
    let (from, to) = (timetable.find_stations("alpha")[0].id, timetable.find_stations("beta")[0].id);
    for (mode, layout, name) in [
        (TravelMode::Rail, "default-rail", "r"),
        (TravelMode::Ferry, "default-ferry", "f"),
        (TravelMode::Bus, "default-bus", "b"),
        (TravelMode::Flight, "default-flight", "p"),
    ] {
        let found = timetable.connections(from, to, day("2026-12-10"), Some(mode));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].trip.template().name.as_str(), found[0].trip.layout().name.as_str()), (name, layout));
    }
}

#[tokio::test]
async fn fares_of_the_feed_go_before_distance() {
    let stops = "stop_id,stop_name,stop_lat,stop_lon,zone_id\nA,Alpha,-6,106,1\nB,Beta,-6,107,2\nC,Gamma,-6,108,3\n";
    let attributes =
        "fare_id,price,currency_type,payment_method,transfers\nshort,12.50,USD,0,\nlong,20.00,USD,0,\nelse,99,USD,0,\n";
    let rules =
        "fare_id,route_id,origin_id,destination_id,contains_id\nshort,R,1,2,\nlong,,,,1\nlong,,,,2\nlong,,,,3\nelse,Q,,,\n";
    let world = World::new().await;
    world
        .import(&small_feed_with(&[("stops.txt", stops), ("fare_attributes.txt", attributes), ("fare_rules.txt", rules)]))
        .await
        .unwrap();
    let trip = world.trip("Express 1", "2026-12-10");
    let price = |from, to, class: &str| trip.class_price(class, trip.segment(from, to).unwrap()).to_string();
    assert_eq!(price(0, 1, "economy"), "USD 12.50");
    assert_eq!(price(0, 1, "business"), "USD 18.75");
    assert_eq!(price(0, 2, "economy"), "USD 20.00");
    // No fare of the feed fits: the dearest one of the route.
    assert_eq!(price(1, 2, "economy"), "USD 20.00");
}

#[tokio::test]
async fn a_bad_feed_changes_nothing() {
    let world = World::new().await;
    world.import(&small_feed()).await.unwrap();
    let before = world.timetable().version();
    for (changes, reason) in [
        (vec![("stop_times.txt", "")], "stop_times.txt is missing"),
        (vec![("agency.txt", "agency_name\nRail\n")], "agency.txt line 2: agency_timezone is empty, expected an IANA time zone"),
        (
            vec![("agency.txt", "agency_name,agency_timezone\nRail,Mars/Base\n")],
            "agency.txt line 2: agency_timezone is Mars/Base, expected an IANA time zone like Asia/Jakarta",
        ),
        (
            vec![("trips.txt", "route_id,service_id,trip_id\nX,S,T1\n")],
            "trips.txt line 2: route_id is X, expected an id of routes.txt",
        ),
        (
            vec![("stops.txt", "stop_id,stop_name,stop_lat,stop_lon\nA,Alpha,95,1\n")],
            "stops.txt line 2: stop_lat is 95, expected degrees from -90 to 90",
        ),
        (
            vec![("stop_times.txt", "trip_id,arrival_time,departure_time,stop_id,stop_sequence\nT1,8h,8h,A,1\n")],
            "stop_times.txt line 2: arrival_time is 8h, expected a time like 25:05:00",
        ),
        (
            vec![("calendar_dates.txt", "service_id,date,exception_type\nS,2026-12-24,1\n")],
            "calendar_dates.txt line 2: date is 2026-12-24, expected a date like 20261224",
        ),
        (
            vec![("frequencies.txt", "trip_id,start_time,end_time,headway_secs\nT1,08:00:00,09:00:00,0\n")],
            "frequencies.txt line 2: headway_secs is 0, expected at least 10 seconds",
        ),
        (
            vec![("trips.txt", "route_id,service_id,trip_id\n")],
            "stop_times.txt line 2: trip_id is T1, expected an id of trips.txt",
        ),
        (vec![("berth.toml", "[[rule]]\nlayout = 'none'\n")], "layout and fare file: a rule names none, which is not defined"),
    ] {
        let error = world.import(&small_feed_with(&changes)).await.unwrap_err();
        assert_eq!(error.to_string(), reason);
    }
    assert_eq!(world.timetable().version(), before);
    let nowhere = world.import_path(std::path::Path::new("/nowhere/feed.zip"), ImportOptions::default()).await.unwrap_err();
    assert!(nowhere.to_string().starts_with("/nowhere/feed.zip can't be read"));
}

#[tokio::test]
async fn the_national_feed_of_slovakia() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/gtfs/zssk-2025-02-09.zip");
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return;
    }
    let world = World::new().await;
    let options = ImportOptions { start_date: Some(date("2026-11-23")), ..ImportOptions::default() };
    let began = std::time::Instant::now();
    let summary = world.import_path(&path, options.clone()).await.unwrap();
    eprintln!("imported in {:?}", began.elapsed());
    assert_eq!((summary.trips, summary.templates, summary.stop_times, summary.stations), (2561, 2561, 34_121, 908));
    assert_eq!((summary.added, summary.skipped, summary.first_date), (2561, 0, Some(date("2026-11-23"))));
    let again = world.import_path(&path, options).await.unwrap();
    assert!(!again.changed() && again.unchanged == 2561 && again.conflicts.is_empty());
    assert_eq!(again.timetable_version, 1);
    let timetable = world.timetable();
    let (from, to) = (timetable.find_stations("bratislava hlavna")[0], timetable.find_stations("kosice")[0]);
    assert_eq!((from.name.as_str(), to.name.as_str()), ("Bratislava hlavná stanica", "Košice"));
    let found = timetable.connections(from.id, to.id, day("2026-11-25"), None);
    assert!(found.len() > 5, "{}", found.len());
    let way = &found[0];
    let price = way.trip.class_price("economy", way.trip.segment(way.from, way.to).unwrap());
    assert_eq!(price.currency.code(), "IDR");
    assert!((8_000_000..30_000_000).contains(&price.amount_minor), "{price}");
}

#[tokio::test]
async fn the_example_of_the_documentation_is_right() {
    let page = include_str!("../../../docs/LAYOUTS-AND-FARES.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let agency = "agency_name,agency_timezone\nKereta Api Contoh,Asia/Jakarta\n";
    let trips = format!("{TRIPS}R,S,T1,Express 57\nR,S,T2,Express 58\n");
    let times =
        format!("{TIMES}T1,8:00:00,8:00:00,A,1\nT1,9:00:00,9:00:00,B,2\nT2,8:00:00,8:00:00,A,1\nT2,9:00:00,9:00:00,B,2\n");
    let world = World::new().await;
    let feed = small_feed_with(&[("agency.txt", agency), ("trips.txt", &trips), ("stop_times.txt", &times)]);
    let options = ImportOptions { layouts: Some(example.to_owned()), ..ImportOptions::default() };
    world.import_with(&feed, options).await.unwrap();
    let (ruled, other) = (world.trip("Express 57", "2026-12-10"), world.trip("Express 58", "2026-12-10"));
    assert_eq!((ruled.layout().name.as_str(), ruled.layout().spot_count()), ("night-train", 2 * 50 + 4 * 100));
    assert_eq!(other.layout().name, "default-rail");
    let seat = ruled.layout().spot(0).unwrap();
    assert_eq!((seat.label.as_str(), seat.attributes.len()), ("1A", 4));
}
