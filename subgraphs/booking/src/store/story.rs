//! What the rows know of one booking. Only reads.

use berth_contracts::Kind;
use berth_kernel::{
    db::sql,
    story::{Line, Question, amount, instant},
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use crate::letter::{confirmed_cause, refunded_cause};

/// What a booking's story hangs on.
#[derive(Debug, Clone)]
pub struct Root {
    /// Key.
    pub id: Uuid,
    /// Its code.
    pub code: String,
    /// The hold it was made from.
    pub hold_id: Uuid,
    /// Its owner.
    pub user_id: Uuid,
}

const BY_KEY: &str = "SELECT id, code, hold_id, user_id FROM booking WHERE id = $1 OR hold_id = $1 \
     OR id = (SELECT booking_id FROM ticket WHERE id = $1)";
const BY_CODE: &str = "SELECT id, code, hold_id, user_id FROM booking WHERE code = $1";
const BOOKING: &str = "SELECT created_at_ms, expires_at_ms, total_minor, currency, state, state_since_ms, attention, late, cleanup_due, \
     attempts, next_attempt_at_ms, paid_by FROM booking WHERE id = $1";
const TOLD: &str = "SELECT payload FROM outbox_kept WHERE kind = 'BookingChanged' AND payload LIKE $1 \
     UNION ALL SELECT payload FROM outbox WHERE kind = 'BookingChanged' AND payload LIKE $1";

/// The booking that is asked about: by its code, its own id, its hold's or a ticket's.
pub async fn find(connection: &impl ConnectionTrait, question: &Question) -> Result<Option<Root>, DbErr> {
    let statement = match (question, question.key_of(&[Kind::Booking, Kind::Hold, Kind::Ticket])) {
        (Question::Code(code), _) => sql(connection, BY_CODE, [code.as_str().into()]),
        (_, Some(key)) => sql(connection, BY_KEY, [key.into()]),
        _ => return Ok(None),
    };
    let read = |row: QueryResult| {
        Ok(Root {
            id: row.try_get("", "id")?,
            code: row.try_get("", "code")?,
            hold_id: row.try_get("", "hold_id")?,
            user_id: row.try_get("", "user_id")?,
        })
    };
    connection.query_one_raw(statement).await?.map(read).transpose()
}

/// What is known of it.
pub async fn lines(connection: &impl ConnectionTrait, id: Uuid) -> Result<Vec<Line>, DbErr> {
    let mut lines = Vec::new();
    for row in connection.query_all_raw(sql(connection, BOOKING, [id.into()])).await? {
        lines.extend(of_row(&row)?);
    }
    let told = connection.query_all_raw(sql(connection, TOLD, [format!("%{id}%").into()])).await?;
    for row in told {
        lines.extend(of_event(&row.try_get::<String>("", "payload")?));
    }
    let tickets = "SELECT id, number, status FROM ticket WHERE booking_id = $1 ORDER BY number";
    for row in connection.query_all_raw(sql(connection, tickets, [id.into()])).await? {
        let (ticket, status): (Uuid, String) = (row.try_get("", "id")?, row.try_get("", "status")?);
        lines.push(Line::now(format!("{} is {status}", Kind::Ticket.encode(ticket))));
    }
    let mut causes = vec![confirmed_cause(id)];
    let owed = "SELECT payment_id, reason, amount_minor, currency, done FROM repayment WHERE booking_id = $1";
    for row in connection.query_all_raw(sql(connection, owed, [id.into()])).await? {
        let payment_id: Uuid = row.try_get("", "payment_id")?;
        causes.push(refunded_cause(payment_id));
        lines.push(repayment(&row, payment_id)?);
    }
    for cause in causes {
        lines.extend(letter(connection, &cause).await?);
    }
    Ok(lines)
}

fn of_row(row: &QueryResult) -> Result<[Line; 2], DbErr> {
    let number = |column: &str| row.try_get::<i64>("", column);
    let flag = |column: &str| row.try_get::<i32>("", column).map(|flag| flag != 0);
    let (state, currency): (String, String) = (row.try_get("", "state")?, row.try_get("", "currency")?);
    let total = amount(number("total_minor")?, &currency);
    let made = format!("made, {total}, to be paid until {}", instant(number("expires_at_ms")?));
    let mut now = vec![format!("{state} since {}", instant(number("state_since_ms")?))];
    if let Some(payment) = row.try_get::<Option<Uuid>>("", "paid_by")? {
        now.push(format!("paid by {}", Kind::Payment.encode(payment)));
    }
    for (column, says) in [("attention", "needs a person"), ("late", "the money was late"), ("cleanup_due", "cleaning up is due")]
    {
        if flag(column)? {
            now.push(says.to_owned());
        }
    }
    if let Some(next) = row.try_get::<Option<i64>>("", "next_attempt_at_ms")? {
        now.push(format!("looked at again {} after {} tries", instant(next), row.try_get::<i32>("", "attempts")?));
    }
    Ok([Line::at(number("created_at_ms")?, made), Line::now(now.join(", "))])
}

/// Events are kept for a day.
fn of_event(payload: &str) -> Option<Line> {
    let event: serde_json::Value = serde_json::from_str(payload).ok()?;
    let at = chrono::DateTime::parse_from_rfc3339(event["at"].as_str()?).ok()?;
    Some(Line::at(at.timestamp_millis(), format!("told as {}", event["status"].as_str()?)))
}

fn repayment(row: &QueryResult, payment_id: Uuid) -> Result<Line, DbErr> {
    let (minor, currency): (i64, String) = (row.try_get("", "amount_minor")?, row.try_get("", "currency")?);
    let (reason, done): (String, i32) = (row.try_get("", "reason")?, row.try_get("", "done")?);
    let how = if done == 0 { "goes back" } else { "went back" };
    Ok(Line::now(format!("{} of {} {how}: {reason}", amount(minor, &currency), Kind::Payment.encode(payment_id))))
}

async fn letter(connection: &impl ConnectionTrait, cause: &str) -> Result<Option<Line>, DbErr> {
    let text = "SELECT id, sent, attempts, answer FROM letter WHERE cause = $1";
    let Some(row) = connection.query_one_raw(sql(connection, text, [cause.into()])).await? else { return Ok(None) };
    let (id, sent): (Uuid, i32) = (row.try_get("", "id")?, row.try_get("", "sent")?);
    let (attempts, answer): (i64, Option<String>) = (row.try_get("", "attempts")?, row.try_get("", "answer")?);
    let how = match sent {
        0 => format!("waits after {attempts} tries"),
        1 => "was sent".to_owned(),
        _ => "was given up".to_owned(),
    };
    let said = answer.map(|answer| format!(": {answer}")).unwrap_or_default();
    Ok(Some(Line::now(format!("{} {how}{said}", Kind::Letter.encode(id)))))
}
