//! Stop times into stops: platforms into stations, missing times filled in, distances in metres. Pure.

use super::{
    ImportError,
    gtfs::{Feed, Stop, StopTime, Trip},
};
use crate::fare::great_circle_m;

/// A stop of a planned pattern; times are seconds after the first departure.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlannedCall {
    /// Index of the station in the feed's stops.
    pub station: usize,
    /// Arrival.
    pub arrival_secs: i32,
    /// Departure.
    pub departure_secs: i32,
    /// Whether passengers may board.
    pub pickup: bool,
    /// Whether passengers may leave.
    pub drop_off: bool,
    /// Metres from the first stop.
    pub distance_m: u32,
    /// Fare zone.
    pub fare_zone: Option<String>,
}

/// The stops of a trip and when it first departs, in seconds of the service day. `None`: nobody can ride it, because
/// passengers may board or leave at fewer than two stops.
pub fn plan(feed: &Feed, trip: &Trip) -> Result<Option<(i32, Vec<PlannedCall>)>, ImportError> {
    let times = complete_times(&trip.stop_times)?;
    let distances = distances(feed, &trip.stop_times);
    let used: Vec<usize> = (0..times.len()).filter(|&at| trip.stop_times[at].pickup || trip.stop_times[at].drop_off).collect();
    let (Some(&first), true) = (used.first(), used.len() >= 2) else { return Ok(None) };
    let (start, origin) = (times[first].1, distances[first]);
    let call = |&at: &usize| {
        let time = &trip.stop_times[at];
        PlannedCall {
            station: station_of(feed, time.stop),
            arrival_secs: times[at].0 - start,
            departure_secs: times[at].1 - start,
            pickup: time.pickup,
            drop_off: time.drop_off,
            distance_m: metres(distances[at] - origin),
            fare_zone: feed.stops[time.stop].fare_zone.clone(),
        }
    };
    Ok(Some((start, used.iter().map(call).collect())))
}

/// The station of a platform, or the stop itself. A chain of parents is followed a few steps, never in a circle.
pub fn station_of(feed: &Feed, stop: usize) -> usize {
    let mut station = stop;
    for _ in 0..3 {
        match feed.stops[station].parent {
            Some(parent) if feed.stops[station].location_type != 1 => station = parent,
            _ => break,
        }
    }
    station
}

/// The departures of a trip's frequencies; empty for a trip without.
pub fn departures(trip: &Trip) -> Vec<i32> {
    let mut starts = Vec::new();
    for &(first, end, headway) in &trip.frequencies {
        let mut start = first;
        while start < end {
            starts.push(start);
            start = start.saturating_add(headway);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Arrival and departure of every stop, with the gaps between timed stops filled in and time never running backward.
fn complete_times(stops: &[StopTime]) -> Result<Vec<(i32, i32)>, ImportError> {
    let mut times: Vec<Option<(i32, i32)>> =
        stops.iter().map(|stop| Some((stop.arrival.or(stop.departure)?, stop.departure.or(stop.arrival)?))).collect();
    for at in [0, times.len().saturating_sub(1)] {
        if times.get(at).is_some_and(Option::is_none) {
            return Err(bad_time(&stops[at], "a time: it is the first or last stop"));
        }
    }
    let mut known = 0;
    for at in 0..times.len() {
        let Some((arrival, departure)) = times[at] else { continue };
        let before = times[known].map_or(arrival, |(_, departure)| departure);
        if departure < arrival || (at > 0 && arrival < before) {
            return Err(bad_time(&stops[at], "a time not before the one of the stop before"));
        }
        for (gap, time) in times.iter_mut().enumerate().take(at).skip(known + 1) {
            let share = share_of_way(stops, known, gap, at);
            #[expect(clippy::cast_possible_truncation, reason = "between two times that fit")]
            let between = before + (f64::from(arrival - before) * share).round() as i32;
            *time = Some((between, between));
        }
        known = at;
    }
    Ok(times.into_iter().flatten().collect())
}

fn bad_time(stop: &StopTime, expected: &'static str) -> ImportError {
    let time = |secs: i32| format!("{}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
    let value = stop.arrival.or(stop.departure).map(time).unwrap_or_default();
    ImportError::Field { file: "stop_times.txt", line: stop.line, column: "arrival_time", value, expected }
}

/// How much of the way from one timed stop to the next lies before a stop in between: by the feed's distances where
/// they make sense, else every stop counts the same.
fn share_of_way(stops: &[StopTime], from: usize, at: usize, to: usize) -> f64 {
    let share = |from: f64, at: f64, to: f64| (at - from) / (to - from);
    if let (Some(first), Some(here), Some(last)) = (stops[from].distance, stops[at].distance, stops[to].distance)
        && first <= here
        && here <= last
        && first < last
    {
        return share(first, here, last);
    }
    #[expect(clippy::cast_precision_loss, reason = "a trip has few stops")]
    let by_count = share(from as f64, at as f64, to as f64);
    by_count
}

/// Metres from the first stop to each: along the shape where the feed tells, else in straight lines over the sphere.
fn distances(feed: &Feed, stops: &[StopTime]) -> Vec<f64> {
    let straight = straight_distances(feed, stops);
    let along: Option<Vec<f64>> = stops.iter().map(|stop| stop.distance).collect();
    let (Some(along), Some(&total)) = (along, straight.last()) else { return straight };
    let rising = along.windows(2).all(|pair| pair[0] <= pair[1]);
    let length = along.last().unwrap_or(&0.0) - along.first().unwrap_or(&0.0);
    if !rising || length <= 0.0 {
        return straight;
    }
    // GTFS leaves the unit open. It is the one in which the way is no shorter than the straight line, by the least.
    let unit = [0.3048, 1.0, 1000.0, 1609.344].into_iter().find(|unit| length * unit >= total * 0.97);
    match unit {
        Some(unit) if total > 0.0 => along.iter().map(|distance| (distance - along[0]) * unit).collect(),
        _ => straight,
    }
}

fn straight_distances(feed: &Feed, stops: &[StopTime]) -> Vec<f64> {
    let (mut sum, mut last) = (0.0, None);
    let mut far = |stop: &StopTime| {
        let position = position_of(feed, &feed.stops[stop.stop]);
        if let (Some(last), Some(here)) = (last, position) {
            sum += great_circle_m(last, here);
        }
        last = position.or(last);
        sum
    };
    stops.iter().map(&mut far).collect()
}

fn position_of(feed: &Feed, stop: &Stop) -> Option<(f64, f64)> {
    stop.position.or_else(|| stop.parent.and_then(|parent| feed.stops[parent].position))
}

/// Whole metres; nothing on earth is so far that they leave 32 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and that is wanted")]
fn metres(distance: f64) -> u32 {
    distance.max(0.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stop_time(sequence: u32, time: Option<i32>, distance: Option<f64>) -> StopTime {
        let stop = sequence as usize;
        StopTime {
            line: 2 + u64::from(sequence),
            sequence,
            stop,
            arrival: time,
            departure: time,
            pickup: true,
            drop_off: true,
            distance,
        }
    }

    fn stop(position: Option<(f64, f64)>, parent: Option<usize>) -> Stop {
        Stop {
            id: String::new(),
            name: String::new(),
            code: None,
            position,
            location_type: 0,
            parent,
            time_zone: None,
            fare_zone: None,
        }
    }

    #[test]
    fn missing_times_are_spread_by_count_or_distance() {
        let plain =
            [stop_time(0, Some(0), None), stop_time(1, None, None), stop_time(2, None, None), stop_time(3, Some(900), None)];
        assert_eq!(complete_times(&plain).unwrap(), [(0, 0), (300, 300), (600, 600), (900, 900)]);
        let along = [stop_time(0, Some(0), Some(0.0)), stop_time(1, None, Some(9.0)), stop_time(2, Some(1000), Some(10.0))];
        assert_eq!(complete_times(&along).unwrap()[1], (900, 900));
    }

    #[test]
    fn time_never_runs_backward() {
        let back = [stop_time(0, Some(100), None), stop_time(1, None, None), stop_time(2, Some(50), None)];
        let error = complete_times(&back).unwrap_err().to_string();
        assert_eq!(
            error,
            "stop_times.txt line 4: arrival_time is 0:00:50, expected a time not before the one of the stop before"
        );
        let open = [stop_time(0, Some(100), None), stop_time(1, None, None)];
        assert!(complete_times(&open).unwrap_err().to_string().contains("first or last stop"));
    }

    #[test]
    fn the_unit_of_distances_is_found_out() {
        // Two points 111 km apart.
        let stops = vec![stop(Some((0.0, 0.0)), None), stop(Some((1.0, 0.0)), None)];
        let feed = Feed { stops, ..Feed::default() };
        for (length, metres) in [(111.9, 111_900.0), (111_900.0, 111_900.0), (70.0, 112_654.08), (365_900.0, 111_526.32)] {
            let times = [stop_time(0, Some(0), Some(5.0)), stop_time(1, Some(1), Some(5.0 + length))];
            assert!((distances(&feed, &times)[1] - metres).abs() < 1.0, "{length}");
        }
        let nonsense = [stop_time(0, Some(0), Some(2.0)), stop_time(1, Some(1), Some(1.0))];
        assert!((distances(&feed, &nonsense)[1] - 111_195.0).abs() < 10.0);
    }

    #[test]
    fn platforms_belong_to_their_station() {
        let mut feed = Feed { stops: vec![stop(None, None), stop(None, Some(0)), stop(None, Some(2))], ..Feed::default() };
        assert_eq!(station_of(&feed, 1), 0);
        assert_eq!(station_of(&feed, 2), 2);
        feed.stops[0].parent = Some(1);
        assert!(station_of(&feed, 1) < 2);
    }

    #[test]
    fn frequencies_become_departures() {
        let trip = Trip {
            id: String::new(),
            route_id: String::new(),
            service_id: String::new(),
            short_name: None,
            headsign: None,
            stop_times: vec![],
            frequencies: vec![(3600, 7200, 1800), (7200, 7201, 600), (5400, 5401, 60)],
        };
        assert_eq!(departures(&trip), [3600, 5400, 7200]);
    }

    proptest! {
        #[test]
        fn filled_times_rise(given in proptest::collection::vec(proptest::option::of(0_i32..3600), 2..30), distance in 0.0..50.0) {
            let mut now = 0;
            let mut stops: Vec<StopTime> = (0..).zip(&given).map(|(at, gap)| {
                let time = gap.map(|gap| { now += gap; now });
                stop_time(at, time, Some(f64::from(at) * distance))
            }).collect();
            for end in [0, stops.len() - 1] {
                let time = if end == 0 { 0 } else { now };
                stops[end].arrival = Some(time);
                stops[end].departure = Some(time);
            }
            if given[0].is_some() { return Ok(()); }
            let times = complete_times(&stops).unwrap();
            prop_assert_eq!(times.len(), stops.len());
            prop_assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        }
    }
}
