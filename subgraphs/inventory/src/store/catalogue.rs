//! Reads the whole catalogue into a [`Timetable`], and the number of the import it stands at.

use std::{collections::HashMap, sync::Arc};

use berth_kernel::db::sql;
use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    calendar::ServiceDays,
    fare::Tariff,
    layout::{Layout, LayoutPlan},
    station::{Folded, Operator, Station},
    timetable::Timetable,
    trip::{Call, Pattern, Template, TravelMode},
};

/// A stop as stored in a pattern: station, arrival, departure, pickup, drop-off, metres, fare zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCall(pub Uuid, pub i32, pub i32, pub bool, pub bool, pub u32, pub Option<String>);

/// The days of a service as stored: the first day, and one bit per day in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDays(pub u16, pub String);

/// Kind of an immutable part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// Stops with relative times.
    Pattern,
    /// Days of service.
    Calendar,
    /// Seats.
    Layout,
    /// Prices.
    Tariff,
}

impl PartKind {
    /// The stored word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::Calendar => "calendar",
            Self::Layout => "layout",
            Self::Tariff => "tariff",
        }
    }
}

#[derive(FromQueryResult)]
struct StationRow {
    id: Uuid,
    name: String,
    code: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    time_zone: String,
}

#[derive(FromQueryResult)]
struct OperatorRow {
    id: Uuid,
    name: String,
}

#[derive(FromQueryResult)]
struct PartRow {
    id: Uuid,
    content: String,
}

#[derive(FromQueryResult)]
struct TemplateRow {
    id: Uuid,
    name: String,
    mode: String,
    operator_id: Uuid,
    time_zone: String,
    start_secs: i32,
    calendar_id: Uuid,
    pattern_id: Uuid,
    layout_id: Uuid,
    tariff_id: Uuid,
    retired: bool,
}

/// The number of the newest import; 0 before the first.
pub async fn version(connection: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let row = connection.query_one_raw(sql(connection, "SELECT version FROM timetable_version WHERE id = 1", [])).await?;
    row.map_or(Ok(0), |row| row.try_get("", "version"))
}

/// Reads everything.
pub async fn load(connection: &impl ConnectionTrait) -> Result<Timetable, DbErr> {
    let version = version(connection).await?;
    let stations = stations(connection).await?;
    let parts = Parts::load(connection, &stations).await?;
    let operators = operators(connection).await?;
    let statement = sql(
        connection,
        "SELECT id, name, mode, operator_id, time_zone, start_secs, calendar_id, pattern_id, layout_id, tariff_id, retired \
         FROM trip_template",
        [],
    );
    let mut templates = Vec::new();
    for row in TemplateRow::find_by_statement(statement).all(connection).await? {
        templates.push(Arc::new(parts.template(row, &operators)?));
    }
    Ok(Timetable::new(version, stations.into_values().collect(), templates))
}

/// The first day on which anything of a feed runs.
pub async fn first_day(connection: &impl ConnectionTrait, source_key: &str) -> Result<Option<u16>, DbErr> {
    let text = "SELECT id, content FROM timetable_part WHERE id IN (SELECT t.calendar_id FROM trip_template t \
                JOIN feed f ON f.id = t.feed_id WHERE f.source_key = $1)";
    let rows = PartRow::find_by_statement(sql(connection, text, [source_key.into()])).all(connection).await?;
    let mut first = None;
    for row in rows {
        let StoredDays(day, _) = serde_json::from_str(&row.content).map_err(broken)?;
        first = Some(first.map_or(day, |least: u16| least.min(day)));
    }
    Ok(first)
}

async fn stations(connection: &impl ConnectionTrait) -> Result<HashMap<Uuid, Arc<Station>>, DbErr> {
    let statement = sql(connection, "SELECT id, name, code, latitude, longitude, time_zone FROM station", []);
    let rows = StationRow::find_by_statement(statement).all(connection).await?;
    let read = |row: StationRow| {
        let folded = Folded::new(&row.name, row.code.as_deref());
        let StationRow { id, name, code, latitude, longitude, time_zone } = row;
        let station = Station { id, name, code, latitude, longitude, time_zone: zone(&time_zone)?, folded };
        Ok((id, Arc::new(station)))
    };
    rows.into_iter().map(read).collect()
}

async fn operators(connection: &impl ConnectionTrait) -> Result<HashMap<Uuid, Arc<Operator>>, DbErr> {
    let rows = OperatorRow::find_by_statement(sql(connection, "SELECT id, name FROM operator", [])).all(connection).await?;
    Ok(rows.into_iter().map(|OperatorRow { id, name }| (id, Arc::new(Operator { id, name }))).collect())
}

struct Parts {
    patterns: HashMap<Uuid, Arc<Pattern>>,
    calendars: HashMap<Uuid, Arc<ServiceDays>>,
    layouts: HashMap<Uuid, Arc<Layout>>,
    tariffs: HashMap<Uuid, Arc<Tariff>>,
}

impl Parts {
    async fn load(connection: &impl ConnectionTrait, stations: &HashMap<Uuid, Arc<Station>>) -> Result<Self, DbErr> {
        let mut zones = HashMap::new();
        Ok(Self {
            patterns: parts(connection, PartKind::Pattern, |id, stored: Vec<StoredCall>| {
                let calls = stored.into_iter().map(|call| read_call(call, stations, &mut zones)).collect::<Result<_, _>>()?;
                Ok(Pattern { id, calls })
            })
            .await?,
            calendars: parts(connection, PartKind::Calendar, |_, StoredDays(first, bits): StoredDays| {
                Ok(ServiceDays::from_bits(first, from_hex(&bits)?))
            })
            .await?,
            layouts: parts(connection, PartKind::Layout, |id, plan: LayoutPlan| Layout::build(id, &plan).map_err(broken)).await?,
            tariffs: parts(connection, PartKind::Tariff, |_, tariff: Tariff| Ok(tariff)).await?,
        })
    }

    fn template(&self, row: TemplateRow, operators: &HashMap<Uuid, Arc<Operator>>) -> Result<Template, DbErr> {
        Ok(Template {
            id: row.id,
            name: row.name,
            mode: TravelMode::from_word(&row.mode).ok_or_else(|| broken("unknown mode"))?,
            operator: part(operators, row.operator_id)?,
            time_zone: zone(&row.time_zone)?,
            start_secs: row.start_secs,
            days: part(&self.calendars, row.calendar_id)?,
            pattern: part(&self.patterns, row.pattern_id)?,
            layout: part(&self.layouts, row.layout_id)?,
            tariff: part(&self.tariffs, row.tariff_id)?,
            retired: row.retired,
        })
    }
}

/// Reads the parts of a kind that a template uses; relics that nothing refers to any more stay on disk.
async fn parts<S: DeserializeOwned, T>(
    connection: &impl ConnectionTrait,
    kind: PartKind,
    mut read: impl FnMut(Uuid, S) -> Result<T, DbErr>,
) -> Result<HashMap<Uuid, Arc<T>>, DbErr> {
    let column = kind.word();
    let text =
        format!("SELECT id, content FROM timetable_part WHERE kind = $1 AND id IN (SELECT {column}_id FROM trip_template)");
    let mut found = HashMap::new();
    for PartRow { id, content } in PartRow::find_by_statement(sql(connection, &text, [column.into()])).all(connection).await? {
        let stored = serde_json::from_str(&content).map_err(broken)?;
        found.insert(id, Arc::new(read(id, stored)?));
    }
    Ok(found)
}

fn read_call(
    call: StoredCall,
    stations: &HashMap<Uuid, Arc<Station>>,
    zones: &mut HashMap<String, Arc<str>>,
) -> Result<Call, DbErr> {
    let StoredCall(station, arrival_secs, departure_secs, pickup, drop_off, distance_m, fare_zone) = call;
    let fare_zone = fare_zone.map(|zone| Arc::clone(zones.entry(zone).or_insert_with_key(|zone| Arc::from(zone.as_str()))));
    Ok(Call { station: part(stations, station)?, arrival_secs, departure_secs, pickup, drop_off, distance_m, fare_zone })
}

fn part<T>(parts: &HashMap<Uuid, Arc<T>>, id: Uuid) -> Result<Arc<T>, DbErr> {
    parts.get(&id).cloned().ok_or_else(|| broken(format!("{id} is missing")))
}

fn zone(name: &str) -> Result<Tz, DbErr> {
    name.parse().map_err(|_| broken(format!("no time zone {name}")))
}

fn from_hex(text: &str) -> Result<Vec<u8>, DbErr> {
    let byte = |at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(|at| byte(at).ok_or_else(|| broken("bad calendar"))).collect()
}

fn broken(what: impl std::fmt::Display) -> DbErr {
    DbErr::Custom(format!("the stored timetable can't be read: {what}"))
}
