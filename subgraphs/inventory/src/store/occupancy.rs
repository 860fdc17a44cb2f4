//! What the catalogue reads of the claims: how full segments are, and which trips have claims at all.

use berth_contracts::id::TripKey;
use berth_kernel::db::{rows_placeholder, sql};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::claim::SeatState;

/// A part of a trip whose occupied seats are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The trip.
    pub trip: TripKey,
    /// First leg.
    pub from_leg: u16,
    /// One past the last leg.
    pub to_leg: u16,
}

/// The seats that are not free on the wanted parts, each with its strongest state there; in the order asked, by one statement.
pub async fn occupied(
    connection: &impl ConnectionTrait,
    wanted: &[Wanted],
    now_ms: i64,
) -> Result<Vec<Vec<(u16, SeatState)>>, DbErr> {
    let mut found = vec![Vec::new(); wanted.len()];
    if wanted.is_empty() {
        return Ok(found);
    }
    for row in connection.query_all_raw(sql(connection, &occupied_text(wanted.len()), occupied_values(wanted, now_ms))).await? {
        let (number, spot_no, strength): (i32, i32, i32) =
            (row.try_get("", "n")?, row.try_get("", "spot_no")?, row.try_get("", "strength")?);
        let seats = usize::try_from(number).ok().and_then(|number| found.get_mut(number));
        if let (Some(seats), Ok(spot_no)) = (seats, u16::try_from(spot_no)) {
            seats.push((spot_no, of_strength(strength)));
        }
    }
    Ok(found)
}

/// A claim on any leg of the part takes the seat; an expired hold takes nothing. SOLD (1) beats BLOCKED (2) beats HELD (0).
fn occupied_text(parts: usize) -> String {
    let asked = rows_placeholder(parts, 5, 2);
    format!(
        "WITH asked (n, template, day, from_leg, to_leg) AS (VALUES {asked}) \
         SELECT asked.n AS n, c.spot_no AS spot_no, MAX(CASE c.state WHEN 1 THEN 3 WHEN 2 THEN 2 ELSE 1 END) AS strength \
         FROM asked JOIN occurrence o ON o.template = asked.template AND o.day = asked.day \
         JOIN seat_claim c ON c.occurrence_id = o.id AND c.leg_no >= asked.from_leg AND c.leg_no < asked.to_leg \
         WHERE c.state <> 0 OR c.expires_at_ms > $1 GROUP BY asked.n, c.spot_no"
    )
}

fn occupied_values(wanted: &[Wanted], now_ms: i64) -> Vec<Value> {
    let mut values: Vec<Value> = vec![now_ms.into()];
    for (number, part) in (0_i32..).zip(wanted) {
        let day = i32::from(part.trip.day);
        values.extend([number.into(), part.trip.template.into(), day.into()]);
        values.extend([Value::from(i32::from(part.from_leg)), Value::from(i32::from(part.to_leg))]);
    }
    values
}

fn of_strength(strength: i32) -> SeatState {
    match strength {
        3 => SeatState::Sold,
        2 => SeatState::Blocked,
        _ => SeatState::Held,
    }
}

/// Every trip with a seat that is sold, blocked or held now.
pub async fn claimed_trips(connection: &impl ConnectionTrait, now_ms: i64) -> Result<Vec<TripKey>, DbErr> {
    let text = "SELECT o.template AS template, o.day AS day FROM occurrence o WHERE EXISTS (SELECT 1 FROM seat_claim c \
                WHERE c.occurrence_id = o.id AND (c.state <> 0 OR c.expires_at_ms > $1))";
    let rows = connection.query_all_raw(sql(connection, text, [now_ms.into()])).await?;
    let mut trips = Vec::with_capacity(rows.len());
    for row in rows {
        let (template, day): (Uuid, i32) = (row.try_get("", "template")?, row.try_get("", "day")?);
        trips.extend(u16::try_from(day).map(|day| TripKey { template, day }));
    }
    Ok(trips)
}

/// The versions of those of the trips on which something was ever claimed, by one statement.
pub async fn trip_versions(connection: &impl ConnectionTrait, trips: &[TripKey]) -> Result<Vec<(TripKey, i64)>, DbErr> {
    if trips.is_empty() {
        return Ok(Vec::new());
    }
    let text = format!(
        "SELECT template, day, version FROM occurrence WHERE (template, day) IN (VALUES {})",
        rows_placeholder(trips.len(), 2, 1)
    );
    let values = trips.iter().flat_map(|trip| [Value::from(trip.template), i32::from(trip.day).into()]);
    let rows = connection.query_all_raw(sql(connection, &text, values)).await?;
    let version = |row: &QueryResult| {
        let trip = TripKey { template: row.try_get("", "template")?, day: super::small(row, "day")? };
        Ok((trip, row.try_get("", "version")?))
    };
    rows.iter().map(version).collect()
}

/// The version of a trip's seats; 0 when nothing of it was ever claimed.
pub async fn trip_version(connection: &impl ConnectionTrait, trip: TripKey) -> Result<i64, DbErr> {
    let text = "SELECT version FROM occurrence WHERE template = $1 AND day = $2";
    let row = connection.query_one_raw(sql(connection, text, [trip.template.into(), i32::from(trip.day).into()])).await?;
    row.map_or(Ok(0), |row| row.try_get("", "version"))
}
