//! What an audit reads of payment. Only reads.

use std::collections::HashSet;

use berth_kernel::{db::sql, idempotency};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::{instant_null, unreadable};
use crate::{ledger::AT_PROVIDER, payment::Status};

/// A payment with what the ledger says of it, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentFact {
    /// Key.
    pub id: Uuid,
    /// What it pays for.
    pub booking_id: Uuid,
    /// Who pays.
    pub user_id: Uuid,
    /// State.
    pub status: Status,
    /// What was asked for.
    pub amount_minor: i64,
    /// In which currency.
    pub currency: String,
    /// What the row says went back.
    pub refunded_minor: i64,
    /// When the money came.
    pub paid_at: Option<DateTime<Utc>>,
    /// What the ledger says came in.
    pub captured_minor: i64,
    /// What the ledger says went back.
    pub returned_minor: i64,
    /// How many postings brought money in.
    pub captures: i64,
    /// What its refunds that succeeded add up to.
    pub refunds_minor: i64,
}

/// What payment knows, and what contradicts itself there.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Every payment.
    pub payments: Vec<PaymentFact>,
    /// How many postings there are.
    pub postings: usize,
    /// Postings whose debits are not their credits.
    pub unbalanced: Vec<String>,
    /// Debits less credits of each currency, where that is not nothing.
    pub imbalance: Vec<(String, i64)>,
    /// Entries of payments that don't exist.
    pub orphans: Vec<String>,
    /// Notices in the inbox, and since when the ones wait that nobody has worked on.
    pub notices: usize,
    /// Unfinished notices, and when they came.
    pub waiting: Vec<(Uuid, DateTime<Utc>)>,
    /// Remembered answers of `createPayment` that name no payment.
    pub lost_answers: Vec<String>,
}

const PAYMENTS: &str = "SELECT p.id, p.booking_id, p.user_id, p.status, p.amount_minor, p.currency, p.refunded_minor, p.paid_at_ms, \
     CAST(COALESCE(SUM(l.debit_minor), 0) AS BIGINT) AS captured, CAST(COALESCE(SUM(l.credit_minor), 0) AS BIGINT) AS returned, \
     CAST(COALESCE(SUM(CASE WHEN l.debit_minor > 0 THEN 1 ELSE 0 END), 0) AS BIGINT) AS captures, \
     (SELECT CAST(COALESCE(SUM(r.amount_minor), 0) AS BIGINT) FROM refund r WHERE r.payment_id = p.id AND r.status = 'SUCCEEDED') AS refunds \
     FROM payment p LEFT JOIN ledger_entry l ON l.payment_id = p.id AND l.account = $1 \
     GROUP BY p.id, p.booking_id, p.user_id, p.status, p.amount_minor, p.currency, p.refunded_minor, p.paid_at_ms";
const POSTINGS: &str =
    "SELECT posting, CAST(SUM(debit_minor - credit_minor) AS BIGINT) AS rest FROM ledger_entry GROUP BY posting";
const CURRENCIES: &str =
    "SELECT currency, CAST(SUM(debit_minor - credit_minor) AS BIGINT) AS rest FROM ledger_entry GROUP BY currency";
const ORPHANS: &str = "SELECT DISTINCT posting FROM ledger_entry WHERE payment_id NOT IN (SELECT id FROM payment)";

/// Reads all of it.
pub async fn facts(connection: &impl ConnectionTrait) -> Result<Facts, DbErr> {
    let rows = connection.query_all_raw(sql(connection, PAYMENTS, [AT_PROVIDER.into()])).await?;
    let payments = rows.iter().map(payment).collect::<Result<Vec<_>, _>>()?;
    let known: HashSet<Uuid> = payments.iter().map(|payment| payment.id).collect();
    let postings = rests(connection, POSTINGS, "posting").await?;
    let off = |(name, rest): &(String, i64)| (*rest != 0).then(|| name.clone());
    let notices =
        connection.query_all_raw(sql(connection, "SELECT id, received_at_ms, done_at_ms FROM webhook_inbox", [])).await?;
    let mut waiting = Vec::new();
    for notice in &notices {
        if let (None, Some(came)) = (instant_null(notice, "done_at_ms")?, instant_null(notice, "received_at_ms")?) {
            waiting.push((notice.try_get("", "id")?, came));
        }
    }
    Ok(Facts {
        payments,
        unbalanced: postings.iter().filter_map(off).collect(),
        postings: postings.len(),
        imbalance: rests(connection, CURRENCIES, "currency").await?.into_iter().filter(|(_, rest)| *rest != 0).collect(),
        orphans: texts(connection, ORPHANS, "posting").await?,
        notices: notices.len(),
        waiting,
        lost_answers: idempotency::lost_answers(connection, "createPayment", |id| known.contains(id)).await?,
    })
}

fn payment(row: &QueryResult) -> Result<PaymentFact, DbErr> {
    let status: String = row.try_get("", "status")?;
    Ok(PaymentFact {
        id: row.try_get("", "id")?,
        booking_id: row.try_get("", "booking_id")?,
        user_id: row.try_get("", "user_id")?,
        status: Status::parse(&status).ok_or_else(|| unreadable("status", &status))?,
        amount_minor: row.try_get("", "amount_minor")?,
        currency: row.try_get("", "currency")?,
        refunded_minor: row.try_get("", "refunded_minor")?,
        paid_at: instant_null(row, "paid_at_ms")?,
        captured_minor: row.try_get("", "captured")?,
        returned_minor: row.try_get("", "returned")?,
        captures: row.try_get("", "captures")?,
        refunds_minor: row.try_get("", "refunds")?,
    })
}

async fn texts(connection: &impl ConnectionTrait, text: &str, column: &str) -> Result<Vec<String>, DbErr> {
    let rows = connection.query_all_raw(sql(connection, text, [])).await?;
    rows.iter().map(|row| row.try_get("", column)).collect()
}

async fn rests(connection: &impl ConnectionTrait, text: &str, name: &str) -> Result<Vec<(String, i64)>, DbErr> {
    let rows = connection.query_all_raw(sql(connection, text, [])).await?;
    rows.iter().map(|row| Ok((row.try_get("", name)?, row.try_get("", "rest")?))).collect()
}
