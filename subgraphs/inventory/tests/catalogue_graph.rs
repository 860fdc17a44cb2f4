//! What clients see of the catalogue: stations, search, trips and seat maps through the schema.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use berth_contracts::id::TripKey;
use serde_json::{Value, json};
use world::World;

const SEARCH: &str = "query($input: SearchTripsInput!, $first: Int, $after: String) {
  searchTrips(input: $input, first: $first, after: $after) {
    totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
    nodes {
      trip { id name mode serviceDate operator { name } }
      from { id sequence station { code } departureAt departureLocal timeZone }
      to { id sequence station { code } arrivalAt arrivalLocal }
      durationMinutes seatsAvailable
      fares { id name travelClass price { amount amountMinor currency } seatsAvailable }
    }
  }
}";
const SEAT_MAP: &str = "query($trip: ID!, $from: ID!, $to: ID!) {
  trip(id: $trip) { seatMap(fromStopId: $from, toStopId: $to) {
    tripId version cars { id label travelClass seats { id label row column attributes state price { amount currency } } }
  } }
}";
const SOLD: i32 = 1;
const BLOCKED: i32 = 2;

async fn demo() -> World {
    let world = World::at("2026-11-20T20:00:00Z").await;
    world.inventory.import_demo().await.unwrap();
    world
}

fn route(world: &World, from: &str, to: &str, date: &str) -> Value {
    json!({ "input": { "fromStationId": world.station(from), "toStationId": world.station(to), "date": date } })
}

#[tokio::test]
async fn stations_are_found_as_people_type() {
    let world = demo().await;
    let names = async |search: &str| {
        let answer = world
            .ask("query($s: String) { stations(search: $s, first: 3) { nodes { name code } } }", json!({ "s": search }))
            .await;
        let nodes = answer["data"]["stations"]["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("gmr").await, ["Gambir"]);
    assert_eq!(names("SURA").await, ["Surabaya Gubeng", "Surabaya Pasarturi"]);
    assert_eq!(names("gubeng").await, ["Surabaya Gubeng"]);
    assert_eq!(names("sémarang").await, ["Semarang Poncol", "Semarang Tawang"]);
    assert!(names("nowhere").await.is_empty());
    assert!(names("%_").await.is_empty());
}

#[tokio::test]
async fn stations_come_in_pages() {
    let world = demo().await;
    let query = "query($after: String) { stations(first: 30, after: $after) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }";
    let first = world.ask(query, json!({})).await["data"]["stations"].clone();
    assert_eq!((first["totalCount"].as_i64(), first["pageInfo"]["hasNextPage"].as_bool()), (Some(40), Some(true)));
    let second = world.ask(query, json!({ "after": first["pageInfo"]["endCursor"] })).await["data"]["stations"].clone();
    assert_eq!((second["nodes"].as_array().unwrap().len(), second["pageInfo"]["hasNextPage"].as_bool()), (10, Some(false)));
    for (arguments, code) in [
        ("first: 101", "PAGE_TOO_LARGE"),
        ("first: 0", "PAGE_TOO_LARGE"),
        ("after: \"?\"", "INVALID_CURSOR"),
        ("after: \"YQ\"", "INVALID_CURSOR"),
    ] {
        assert_eq!(world.refusal(&format!("{{ stations({arguments}) {{ totalCount }} }}"), json!({})).await, code);
    }
}

#[tokio::test]
async fn a_search_shows_trips_by_departure() {
    let world = demo().await;
    let answer = world.ask(SEARCH, route(&world, "GMR", "CN", "2026-11-25")).await;
    let nodes = answer["data"]["searchTrips"]["nodes"].as_array().unwrap();
    let departures: Vec<&str> = nodes.iter().map(|node| node["from"]["departureAt"].as_str().unwrap()).collect();
    assert!(departures.len() > 6 && departures.is_sorted(), "{answer}");
    insta::assert_json_snapshot!(nodes[0], {
        ".trip.id" => "[trip]", ".from.id" => "[stop]", ".to.id" => "[stop]", ".fares[].id" => "[fare]",
    });
}

#[tokio::test]
async fn a_search_comes_in_pages_without_gaps() {
    let world = demo().await;
    let whole = world.ask(SEARCH, route(&world, "CN", "GMR", "2026-11-25")).await;
    let whole: Vec<_> =
        whole["data"]["searchTrips"]["nodes"].as_array().unwrap().iter().map(|node| node["trip"]["id"].clone()).collect();
    let (mut seen, mut variables) = (Vec::new(), route(&world, "CN", "GMR", "2026-11-25"));
    variables["first"] = json!(2);
    loop {
        let page = world.ask(SEARCH, variables.clone()).await["data"]["searchTrips"].clone();
        assert_eq!(page["totalCount"].as_u64(), Some(whole.len() as u64));
        seen.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["trip"]["id"].clone()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        variables["after"] = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen, whole);
}

#[tokio::test]
async fn departed_trips_are_left_out() {
    let world = demo().await;
    let count = async || {
        world.ask(SEARCH, route(&world, "GMR", "BD", "2026-11-21")).await["data"]["searchTrips"]["totalCount"].as_i64().unwrap()
    };
    // 03:00 in Jakarta; the trains leave at 06:30, 10:25, 15:30 and, as it is a Saturday, 19:50.
    assert_eq!(count().await, 4);
    world.clock.advance(chrono::TimeDelta::hours(8));
    assert_eq!(count().await, 2);
}

#[tokio::test]
async fn free_seats_are_those_of_the_segment() {
    let world = demo().await;
    let trip = world.trip("Argo Bromo Anggrek 2", "2026-11-25");
    // Seat 0 Jakarta to Cirebon, seat 1 throughout, seat 2 with a hold that is over, seat 3 out of sale on the last leg.
    world.claim(trip.key(), 0, 0..1, SOLD, 0).await;
    world.claim(trip.key(), 1, 0..4, SOLD, 0).await;
    world.claim(trip.key(), 2, 0..4, 0, world.clock.now().timestamp_millis()).await;
    world.claim(trip.key(), 3, 3..4, BLOCKED, 0).await;
    let free = async |from: &str, to: &str| {
        let answer = world.ask(SEARCH, route(&world, from, to, "2026-11-25")).await;
        let nodes = answer["data"]["searchTrips"]["nodes"].as_array().unwrap().clone();
        let node = nodes.into_iter().find(|node| node["trip"]["name"] == "Argo Bromo Anggrek 2").unwrap();
        assert_eq!(node["fares"][0]["seatsAvailable"], node["seatsAvailable"]);
        node["seatsAvailable"].as_i64().unwrap()
    };
    assert_eq!(free("GMR", "CN").await, 398);
    assert_eq!(free("CN", "SMT").await, 399);
    assert_eq!(free("CN", "SBI").await, 398);
    assert_eq!(free("GMR", "SBI").await, 397);
}

#[tokio::test]
async fn a_seat_map_shows_the_segment() {
    let world = demo().await;
    let trip = world.trip("Argo Parahyangan 132", "2026-11-25");
    let key = trip.key();
    world.claim(key, 0, 0..1, SOLD, 0).await;
    world.claim(key, 1, 1..2, 0, world.clock.now().timestamp_millis() + 1000).await;
    let stops = |from, to| json!({ "trip": key.encode(), "from": key.stop_id(from), "to": key.stop_id(to) });
    let map = world.ask(SEAT_MAP, stops(0, 3)).await["data"]["trip"]["seatMap"].clone();
    let states: Vec<&str> = (0..3).map(|seat| map["cars"][0]["seats"][seat]["state"].as_str().unwrap()).collect();
    assert_eq!((states, map["version"].as_str()), (vec!["SOLD", "HELD", "AVAILABLE"], Some("2")));
    let later = world.ask(SEAT_MAP, stops(2, 3)).await["data"]["trip"]["seatMap"].clone();
    assert_eq!(later["cars"][0]["seats"][0]["state"], "AVAILABLE");
    assert_eq!(later["cars"].as_array().unwrap().len(), 9);
    // Each car's first two seats are enough to see what clients see.
    let mut short = map.clone();
    for car in short["cars"].as_array_mut().unwrap() {
        car["seats"].as_array_mut().unwrap().truncate(2);
    }
    insta::assert_json_snapshot!(short, {
        ".tripId" => "[trip]", ".cars[].id" => "[car]", ".cars[].seats[].id" => "[seat]",
    });
}

#[tokio::test]
async fn a_trip_shows_its_stops() {
    let world = demo().await;
    let key = world.trip("Gajayana 55", "2026-11-25").key();
    let query = "query($id: ID!) { trip(id: $id) { name serviceDate stops { sequence station { name timeZone } arrivalAt departureAt arrivalLocal departureLocal } } }";
    let answer = world.ask(query, json!({ "id": key.encode() })).await;
    insta::assert_json_snapshot!(answer["data"]);
}

#[tokio::test]
async fn wrong_searches_are_refused() {
    let world = demo().await;
    let good = route(&world, "GMR", "CN", "2026-11-25");
    let unknown = berth_contracts::Kind::Station.encode(uuid::Uuid::nil());
    for (field, value, code) in [
        ("fromStationId", json!("station_x"), "INVALID_ID"),
        ("fromStationId", json!("GMR"), "INVALID_ID"),
        ("toStationId", json!(unknown), "UNKNOWN_STATION"),
        ("toStationId", good["input"]["fromStationId"].clone(), "SAME_STATION"),
        ("date", json!("2026-11-20"), "DATE_OUTSIDE_TIMETABLE"),
        ("date", json!("2027-01-01"), "DATE_OUTSIDE_TIMETABLE"),
        ("date", json!("9999-12-31"), "DATE_OUTSIDE_TIMETABLE"),
        ("passengers", json!(0), "INVALID_PASSENGER_COUNT"),
        ("passengers", json!(9), "INVALID_PASSENGER_COUNT"),
    ] {
        let mut variables = good.clone();
        variables["input"][field] = value.clone();
        assert_eq!(world.refusal(SEARCH, variables).await, code, "{field} {value}");
    }
    for (field, value, code) in [("first", json!(101), "PAGE_TOO_LARGE"), ("after", json!("YQ"), "INVALID_CURSOR")] {
        let mut variables = good.clone();
        variables[field] = value;
        assert_eq!(world.refusal(SEARCH, variables).await, code);
    }
    // Nothing goes the other way on this one: an empty list, no refusal.
    let empty = world.ask(SEARCH, route(&world, "KTG", "BD", "2026-11-25")).await;
    assert_eq!(empty["data"]["searchTrips"]["totalCount"], 0);
    let nothing = World::new().await;
    let variables = json!({ "input": { "fromStationId": unknown, "toStationId": unknown, "date": "2026-11-25" } });
    assert_eq!(nothing.refusal(SEARCH, variables).await, "UNKNOWN_STATION");
}

#[tokio::test]
async fn wrong_trips_and_segments_are_refused() {
    let world = demo().await;
    let key = world.trip("Argo Bromo Anggrek 2", "2026-11-25").key();
    let other = world.trip("Gajayana 55", "2026-11-25").key();
    let ask = "query($id: ID!) { trip(id: $id) { name } }";
    assert_eq!(world.refusal(ask, json!({ "id": "trip_!" })).await, "INVALID_ID");
    assert_eq!(world.refusal(ask, json!({ "id": key.stop_id(0) })).await, "INVALID_ID");
    for absent in [TripKey { day: 1, ..key }, TripKey { template: uuid::Uuid::nil(), ..key }] {
        assert_eq!(world.ask(ask, json!({ "id": absent.encode() })).await, json!({ "data": { "trip": null } }));
    }
    for (from, to, code) in [
        (key.stop_id(2), key.stop_id(1), "INVALID_SEGMENT"),
        (key.stop_id(1), key.stop_id(1), "INVALID_SEGMENT"),
        (key.stop_id(0), key.stop_id(99), "INVALID_SEGMENT"),
        (key.stop_id(0), other.stop_id(1), "INVALID_SEGMENT"),
        (key.seat_id(0), key.stop_id(1), "INVALID_ID"),
        (key.stop_id(0), String::new(), "INVALID_ID"),
    ] {
        let variables = json!({ "trip": key.encode(), "from": from, "to": to });
        assert_eq!(world.refusal(SEAT_MAP, variables).await, code, "{from} {to}");
    }
}

#[tokio::test]
async fn other_services_find_entities_by_id() {
    let world = demo().await;
    let key = world.trip("Argo Bromo Anggrek 2", "2026-11-25").key();
    let query = "query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Trip { name } ... on Station { name } ... on TripStop { sequence station { code } } } }";
    let representations = json!([
        { "__typename": "Trip", "id": key.encode() },
        { "__typename": "Trip", "id": "trip_broken" },
        { "__typename": "Trip", "id": TripKey { day: 3, ..key }.encode() },
        { "__typename": "TripStop", "id": key.stop_id(4) },
        { "__typename": "TripStop", "id": key.stop_id(5) },
        { "__typename": "Station", "id": world.station("GMR") },
        { "__typename": "Station", "id": berth_contracts::Kind::Station.encode(uuid::Uuid::nil()) },
    ]);
    let answer = world.ask(query, json!({ "r": representations })).await;
    insta::assert_json_snapshot!(answer);
}
