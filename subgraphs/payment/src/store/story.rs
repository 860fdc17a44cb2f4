//! What the rows know of the payments of one booking. Only reads.

use berth_contracts::Kind;
use berth_kernel::{
    db::sql,
    story::{Line, Question, amount, instant},
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

const BY_KEY: &str = "SELECT booking_id FROM payment WHERE id = $1 OR id = (SELECT payment_id FROM refund WHERE id = $1)";
const PAYMENTS: &str = "SELECT id, status, amount_minor, currency, method, provider, attempt, expires_at_ms, refunded_minor, \
     close_requested, next_poll_at_ms FROM payment WHERE booking_id = $1 ORDER BY id";
const HISTORY: &str = "SELECT at_ms, status, note FROM payment_event WHERE payment_id = $1 ORDER BY version";
const NOTICES: &str = "SELECT received_at_ms, done_at_ms, attempts, next_attempt_at_ms FROM webhook_inbox WHERE payment_id = $1";
const REFUNDS: &str =
    "SELECT id, amount_minor, status, attempts, next_attempt_at_ms, created_at_ms FROM refund WHERE payment_id = $1";
const LEDGER: &str = "SELECT at_ms, account, debit_minor, credit_minor, currency FROM ledger_entry WHERE payment_id = $1";

/// The booking of the payment or refund that is asked about.
pub async fn booking_of(connection: &impl ConnectionTrait, question: &Question) -> Result<Option<Uuid>, DbErr> {
    let Some(key) = question.key_of(&[Kind::Payment, Kind::Refund]) else { return Ok(None) };
    let row = connection.query_one_raw(sql(connection, BY_KEY, [key.into()])).await?;
    row.map(|row| row.try_get("", "booking_id")).transpose()
}

/// What is known of the payments of a booking, and their keys.
pub async fn lines(connection: &impl ConnectionTrait, booking_id: Uuid) -> Result<(Vec<Uuid>, Vec<Line>), DbErr> {
    let (mut ids, mut lines) = (Vec::new(), Vec::new());
    for row in connection.query_all_raw(sql(connection, PAYMENTS, [booking_id.into()])).await? {
        let id: Uuid = row.try_get("", "id")?;
        let name = Kind::Payment.encode(id);
        ids.push(id);
        lines.push(present(&row, &name)?);
        let currency: String = row.try_get("", "currency")?;
        let all = async |text| connection.query_all_raw(sql(connection, text, [id.into()])).await;
        for row in all(HISTORY).await? {
            lines.push(moved(&row, &name)?);
        }
        for row in all(NOTICES).await? {
            lines.push(notice(&row, &name)?);
        }
        for row in all(REFUNDS).await? {
            lines.push(refund(&row, &currency)?);
        }
        for row in all(LEDGER).await? {
            lines.push(posting(&row, &name)?);
        }
    }
    Ok((ids, lines))
}

fn present(row: &QueryResult, name: &str) -> Result<Line, DbErr> {
    let text = |column: &str| row.try_get::<String>("", column);
    let number = |column: &str| row.try_get::<i64>("", column);
    let (total, order) = (amount(number("amount_minor")?, &text("currency")?), number("attempt")?);
    let (status, method, provider) = (text("status")?, text("method")?, text("provider")?);
    let closing = if number("close_requested")? == 0 { "" } else { ", to be closed" };
    let next: Option<i64> = row.try_get("", "next_poll_at_ms")?;
    let next = next.map_or_else(|| "not looked at again".to_owned(), |next| format!("looked at again {}", instant(next)));
    Ok(Line::now(format!("{name} is {status}: {total} by {method} at {provider}, order {order}{closing}, {next}")))
}

fn moved(row: &QueryResult, name: &str) -> Result<Line, DbErr> {
    let status: String = row.try_get("", "status")?;
    // The note may repeat what the provider said, and that is not ours to show.
    Ok(Line::at(row.try_get("", "at_ms")?, format!("{name} became {status}")))
}

fn notice(row: &QueryResult, name: &str) -> Result<Line, DbErr> {
    let how = match (row.try_get::<Option<i64>>("", "done_at_ms")?, row.try_get::<Option<i64>>("", "next_attempt_at_ms")?) {
        (Some(done), _) => format!("worked on {}", instant(done)),
        (None, Some(next)) => format!("waits, {} tries, next {}", row.try_get::<i64>("", "attempts")?, instant(next)),
        (None, None) => "waits".to_owned(),
    };
    Ok(Line::at(row.try_get("", "received_at_ms")?, format!("notice about {name}, {how}")))
}

fn refund(row: &QueryResult, currency: &str) -> Result<Line, DbErr> {
    let (id, status): (Uuid, String) = (row.try_get("", "id")?, row.try_get("", "status")?);
    let (minor, attempts): (i64, i64) = (row.try_get("", "amount_minor")?, row.try_get("", "attempts")?);
    let next: Option<i64> = row.try_get("", "next_attempt_at_ms")?;
    let next = next.map(|next| format!(", next {}", instant(next))).unwrap_or_default();
    let what =
        format!("{} of {} asked for, is {status} after {attempts} tries{next}", Kind::Refund.encode(id), amount(minor, currency));
    Ok(Line::at(row.try_get("", "created_at_ms")?, what))
}

fn posting(row: &QueryResult, name: &str) -> Result<Line, DbErr> {
    let (account, currency): (String, String) = (row.try_get("", "account")?, row.try_get("", "currency")?);
    let (debit, credit): (i64, i64) = (row.try_get("", "debit_minor")?, row.try_get("", "credit_minor")?);
    let side =
        if debit > 0 { format!("debit {}", amount(debit, &currency)) } else { format!("credit {}", amount(credit, &currency)) };
    Ok(Line::at(row.try_get("", "at_ms")?, format!("ledger of {name}: {account}, {side}")))
}
