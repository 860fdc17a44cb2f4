//! What an operator does about letters: looks at those that wait or were given up, and sends them again.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::{OF_SMS, life::again_ms, public};
use crate::db::{Db, now_ms, sql};

/// A letter that was not sent, without its text and its address.
#[derive(Debug, Clone)]
pub struct Unsent {
    /// Public id, as in the log.
    pub id: String,
    /// When it was queued.
    pub queued_at: DateTime<Utc>,
    /// `mail` or `sms`; empty when its text is forgotten.
    pub channel: &'static str,
    /// `code`, `news` or `paper`; empty when an older program queued it.
    pub kind: String,
    /// When it is tried next, unless it was given up.
    pub next_at: Option<DateTime<Utc>>,
    /// How often a server has put it off.
    pub attempts: i64,
    /// What the server said last.
    pub answer: String,
}

/// What came of a wish to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resent {
    /// Letters that are due now.
    pub due: u64,
    /// Letters whose text is forgotten: codes that have ended, and what was given up long ago.
    pub forgotten: u64,
}

/// The letters of a service that were not sent, the oldest first; only those that were given up if `failed` is set.
pub async fn list(db: &Db, failed: bool) -> Result<Vec<Unsent>, DbErr> {
    let which = if failed { "sent = 2" } else { "sent <> 1" };
    let text = format!(
        "SELECT id, kind, attempts, next_attempt_at_ms, sent, answer, CASE WHEN body = '' THEN '' WHEN {OF_SMS} THEN 'sms' \
         ELSE 'mail' END AS channel FROM letter WHERE {which} ORDER BY id"
    );
    db.read().query_all_raw(sql(db.read(), &text, [])).await?.iter().map(unsent).collect()
}

fn unsent(row: &QueryResult) -> Result<Unsent, DbErr> {
    let (id, sent): (Uuid, i32) = (row.try_get("", "id")?, row.try_get("", "sent")?);
    let queued = id.get_timestamp().map(|at| at.to_unix());
    let next_at = DateTime::from_timestamp_millis(row.try_get("", "next_attempt_at_ms")?);
    let channel: String = row.try_get("", "channel")?;
    Ok(Unsent {
        id: public(id),
        queued_at: queued
            .and_then(|(secs, nanos)| DateTime::from_timestamp(i64::try_from(secs).ok()?, nanos))
            .unwrap_or_default(),
        channel: ["mail", "sms"].into_iter().find(|known| *known == channel).unwrap_or_default(),
        kind: row.try_get("", "kind")?,
        next_at: next_at.filter(|_| sent == 0),
        attempts: row.try_get("", "attempts")?,
        answer: row.try_get::<Option<String>>("", "answer")?.unwrap_or_default(),
    })
}

/// Makes one letter due now, given up or waiting, or all that were given up. Whoever sends the service's letters finds them.
pub async fn resend(db: &Db, id: Option<Uuid>) -> Result<Resent, DbErr> {
    db.write(move |tx| {
        Box::pin(async move {
            let (now, one) = (now_ms(tx), if id.is_some() { "AND id = $1" } else { "" });
            let values = || id.map(Into::into);
            let forgotten = format!("SELECT COUNT(*) AS letters FROM letter WHERE sent = 2 AND body = '' {one}");
            let forgotten = tx.query_one_raw(sql(tx, &forgotten, values())).await?;
            let forgotten: i64 = forgotten.map_or(Ok(0), |row| row.try_get("", "letters"))?;
            let again = format!(
                "UPDATE letter SET sent = 0, attempts = 0, next_attempt_at_ms = {now}, gives_up_at_ms = {now} + {}, \
                 given_up_at_ms = NULL, leased_until_ms = NULL WHERE sent = 2 AND body <> '' {one}",
                again_ms()
            );
            let mut due = tx.execute_raw(sql(tx, &again, values())).await?.rows_affected();
            if let (Some(id), 0) = (id, due) {
                let text = format!("UPDATE letter SET next_attempt_at_ms = {now} WHERE sent = 0 AND id = $1");
                due = tx.execute_raw(sql(tx, &text, [id.into()])).await?.rows_affected();
            }
            Ok(Resent { due, forgotten: forgotten.unsigned_abs() })
        })
    })
    .await
}
