//! Trip templates of a feed: what each row should be, given what is sold of it.

use std::collections::{HashMap, HashSet};

use berth_kernel::{
    clock::Clock,
    db::{Tx, sql},
};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use super::{
    ClaimedDays, claimed_days,
    parts::{self, PartKeys},
    upsert,
};
use crate::{
    calendar::{ServiceDays, day_at},
    import::{
        Conflict, ConflictKind, Summary,
        draft::{Draft, DraftTemplate},
    },
    store::catalogue::StoredCall,
};

const COLUMNS: [&str; 14] = [
    "id",
    "feed_id",
    "source_id",
    "frequency_secs",
    "name",
    "mode",
    "operator_id",
    "time_zone",
    "start_secs",
    "calendar_id",
    "pattern_id",
    "layout_id",
    "tariff_id",
    "retired",
];

#[derive(Debug, Clone, PartialEq, FromQueryResult)]
struct TemplateRow {
    id: Uuid,
    source_id: String,
    frequency_secs: i32,
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

impl TemplateRow {
    fn values(self, feed_id: Uuid) -> Vec<Value> {
        vec![
            self.id.into(),
            feed_id.into(),
            self.source_id.into(),
            self.frequency_secs.into(),
            self.name.into(),
            self.mode.into(),
            self.operator_id.into(),
            self.time_zone.into(),
            self.start_secs.into(),
            self.calendar_id.into(),
            self.pattern_id.into(),
            self.layout_id.into(),
            self.tariff_id.into(),
            self.retired.into(),
        ]
    }
}

/// Brings the feed's templates to what the draft says.
#[expect(clippy::too_many_arguments, reason = "what the parts of one write know of each other")]
pub async fn write(
    tx: &Tx,
    clock: &Clock,
    feed_id: Uuid,
    draft: &Draft,
    operators: &[Uuid],
    parts: &PartKeys,
    summary: &mut Summary,
    report: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), DbErr> {
    let mut known = existing(tx, feed_id).await?;
    let mut merge = Merge { tx, clock, draft, parts, claimed: claimed_days(tx, clock).await?, conflicts: Vec::new() };
    let mut changed = Vec::new();
    for (done, planned) in (0..).zip(&draft.templates) {
        if done % 256 == 0 {
            report(done);
        }
        let wanted = wanted_row(planned, draft, operators, parts);
        match known.remove(&(planned.source_id.clone(), planned.frequency_secs)) {
            None => {
                summary.added += 1;
                changed.push(TemplateRow { id: clock.new_key(), ..wanted }.values(feed_id));
            }
            Some(row) => {
                let merged = merge.merged(&row, wanted, planned).await?;
                if merged == row {
                    summary.unchanged += 1;
                } else {
                    summary.updated += 1;
                    changed.push(merged.values(feed_id));
                }
            }
        }
    }
    let gone = known.into_values().collect();
    let retired = merge.remove(gone, summary).await?;
    changed.extend(retired.into_iter().map(|row| row.values(feed_id)));
    summary.conflicts = merge.conflicts;
    summary.conflicts.sort_by(|a, b| (&a.source_id, a.kind).cmp(&(&b.source_id, b.kind)));
    summary.conflicts.dedup();
    upsert(tx, "trip_template", &COLUMNS, changed).await
}

async fn existing(tx: &Tx, feed_id: Uuid) -> Result<HashMap<(String, i32), TemplateRow>, DbErr> {
    let text = format!("SELECT {} FROM trip_template WHERE feed_id = $1", COLUMNS.join(", "));
    let rows = TemplateRow::find_by_statement(sql(tx, &text, [feed_id.into()])).all(tx).await?;
    Ok(rows.into_iter().map(|row| ((row.source_id.clone(), row.frequency_secs), row)).collect())
}

fn wanted_row(planned: &DraftTemplate, draft: &Draft, operators: &[Uuid], parts: &PartKeys) -> TemplateRow {
    TemplateRow {
        id: Uuid::nil(),
        source_id: planned.source_id.clone(),
        frequency_secs: planned.frequency_secs,
        name: planned.name.clone(),
        mode: planned.mode.word().to_owned(),
        operator_id: operators[planned.operator],
        time_zone: draft.time_zone.name().to_owned(),
        start_secs: planned.start_secs,
        calendar_id: parts.calendars[planned.calendar],
        pattern_id: parts.patterns[planned.pattern],
        layout_id: parts.layouts[planned.layout],
        tariff_id: parts.tariffs[planned.tariff],
        retired: false,
    }
}

/// Weighs a change against what is sold.
struct Merge<'t> {
    tx: &'t Tx,
    clock: &'t Clock,
    draft: &'t Draft,
    parts: &'t PartKeys,
    claimed: ClaimedDays,
    conflicts: Vec<Conflict>,
}

impl Merge<'_> {
    async fn merged(
        &mut self,
        row: &TemplateRow,
        mut wanted: TemplateRow,
        planned: &DraftTemplate,
    ) -> Result<TemplateRow, DbErr> {
        wanted.id = row.id;
        let Some(days) = self.claimed.get(&row.id).cloned() else { return Ok(wanted) };
        if row.layout_id != wanted.layout_id {
            wanted.layout_id = row.layout_id;
            self.conflict(row, ConflictKind::Layout);
        }
        if row.pattern_id != wanted.pattern_id {
            let (old, new) = (self.pattern(row.pattern_id).await?, self.pattern(wanted.pattern_id).await?);
            if same_stops(&old, &new) {
                self.conflict(row, ConflictKind::Times);
            } else {
                (wanted.pattern_id, wanted.start_secs) = (row.pattern_id, row.start_secs);
                self.conflict(row, ConflictKind::Stops);
            }
        } else if row.start_secs != wanted.start_secs {
            self.conflict(row, ConflictKind::Times);
        }
        wanted.calendar_id = self.calendar(row, planned, days).await?;
        Ok(wanted)
    }

    /// The planned days and those with sold seats. Past days are kept without a word.
    async fn calendar(&mut self, row: &TemplateRow, planned: &DraftTemplate, sold: Vec<u16>) -> Result<Uuid, DbErr> {
        let days = &self.draft.calendars[planned.calendar];
        let lost: Vec<u16> = sold.into_iter().filter(|&day| !days.contains(day)).collect();
        if lost.is_empty() {
            return Ok(self.parts.calendars[planned.calendar]);
        }
        let today = day_at(self.clock.now(), self.draft.time_zone);
        if lost.iter().any(|&day| day >= today) {
            self.conflict(row, ConflictKind::Days);
        }
        let all = ServiceDays::from_days(days.iter().chain(lost).collect());
        parts::calendar(self.tx, self.clock, &all).await
    }

    async fn pattern(&self, id: Uuid) -> Result<Vec<StoredCall>, DbErr> {
        let statement = sql(self.tx, "SELECT content FROM timetable_part WHERE id = $1", [id.into()]);
        let row = self.tx.query_one_raw(statement).await?;
        let content: String = row.map_or_else(|| Ok("[]".to_owned()), |row| row.try_get("", "content"))?;
        serde_json::from_str(&content).map_err(|error| DbErr::Custom(error.to_string()))
    }

    /// Templates that left the feed: deleted, or retired when seats of them are sold. Answers the rows to retire.
    async fn remove(&mut self, gone: Vec<TemplateRow>, summary: &mut Summary) -> Result<Vec<TemplateRow>, DbErr> {
        let mut retired = Vec::new();
        let mut deleted = HashSet::new();
        for row in gone {
            if !self.claimed.contains_key(&row.id) {
                deleted.insert(row.id);
                continue;
            }
            self.conflict(&row, ConflictKind::Removed);
            if !row.retired {
                retired.push(TemplateRow { retired: true, ..row });
            }
        }
        summary.removed = (deleted.len() + retired.len()) as u64;
        for id in deleted {
            self.tx.execute_raw(sql(self.tx, "DELETE FROM trip_template WHERE id = $1", [id.into()])).await?;
        }
        Ok(retired)
    }

    fn conflict(&mut self, row: &TemplateRow, kind: ConflictKind) {
        self.conflicts.push(Conflict { source_id: row.source_id.clone(), name: row.name.clone(), kind });
    }
}

/// Whether legs mean the same in both: the same stations in the same order.
fn same_stops(old: &[StoredCall], new: &[StoredCall]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.0 == new.0)
}
