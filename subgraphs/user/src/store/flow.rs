//! Sign-ups that wait for their code.

use berth_contracts::Locale;
use berth_kernel::db::{Tx, sql};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::flow::Flow;

const SELECT: &str = "SELECT email, flow_id, decoy, password_hash, code_hash, tries, expires_at_ms, mailed_at_ms, mails, \
                      mails_since_ms, locale FROM sign_up WHERE ";

#[derive(FromQueryResult)]
struct Row {
    email: String,
    flow_id: Uuid,
    decoy: i32,
    password_hash: String,
    code_hash: String,
    tries: i32,
    expires_at_ms: i64,
    mailed_at_ms: i64,
    mails: i32,
    mails_since_ms: i64,
    locale: String,
}

impl Row {
    fn read(self) -> Result<Flow, DbErr> {
        Ok(Flow {
            email: self.email,
            id: self.flow_id,
            decoy: self.decoy != 0,
            password_hash: self.password_hash,
            code_hash: self.code_hash,
            tries: self.tries,
            expires_at: super::instant(self.expires_at_ms)?,
            mailed_at: super::instant(self.mailed_at_ms)?,
            mails: self.mails,
            mails_since: super::instant(self.mails_since_ms)?,
            locale: Locale::from_word(&self.locale).unwrap_or_default(),
        })
    }
}

async fn one(tx: &Tx, condition: &str, key: Value) -> Result<Option<Flow>, DbErr> {
    let statement = sql(tx, &format!("{SELECT}{condition}"), [key]);
    Row::find_by_statement(statement).one(tx).await?.map(Row::read).transpose()
}

/// The flow with this key.
pub async fn find(tx: &Tx, id: Uuid) -> Result<Option<Flow>, DbErr> {
    one(tx, "flow_id = $1", id.into()).await
}

/// The flow of this address.
pub async fn find_by_email(tx: &Tx, email: &str) -> Result<Option<Flow>, DbErr> {
    one(tx, "email = $1", email.into()).await
}

/// Writes the flow in place of any other of its address.
pub async fn put(tx: &Tx, flow: &Flow) -> Result<(), DbErr> {
    let text = "INSERT INTO sign_up (email, flow_id, decoy, password_hash, code_hash, tries, expires_at_ms, mailed_at_ms, mails, \
                mails_since_ms, locale) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) ON CONFLICT (email) DO UPDATE SET \
                flow_id = excluded.flow_id, decoy = excluded.decoy, password_hash = excluded.password_hash, \
                code_hash = excluded.code_hash, tries = excluded.tries, expires_at_ms = excluded.expires_at_ms, \
                mailed_at_ms = excluded.mailed_at_ms, mails = excluded.mails, mails_since_ms = excluded.mails_since_ms, \
                locale = excluded.locale";
    let values: [Value; 11] = [
        flow.email.clone().into(),
        flow.id.into(),
        i32::from(flow.decoy).into(),
        flow.password_hash.clone().into(),
        flow.code_hash.clone().into(),
        flow.tries.into(),
        flow.expires_at.timestamp_millis().into(),
        flow.mailed_at.timestamp_millis().into(),
        flow.mails.into(),
        flow.mails_since.timestamp_millis().into(),
        flow.locale.word().into(),
    ];
    tx.execute_raw(sql(tx, text, values)).await.map(|_| ())
}

/// Counts a try before the code is looked at, so that racing tries can't pass the limit; `false` when no try is left, the
/// flow is over, or there is none.
pub async fn count_try(tx: &Tx, id: Uuid, limit: i32, now: DateTime<Utc>) -> Result<bool, DbErr> {
    let text = "UPDATE sign_up SET tries = tries + 1 WHERE flow_id = $1 AND tries < $2 AND expires_at_ms > $3";
    let done = tx.execute_raw(sql(tx, text, [id.into(), limit.into(), now.timestamp_millis().into()])).await?;
    Ok(done.rows_affected() == 1)
}

/// Takes the flow of an address for the rest of the transaction, so that racing sign-ups of it see each other's letters.
pub async fn take_email(tx: &Tx, email: &str) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "UPDATE sign_up SET tries = tries WHERE email = $1", [email.into()])).await.map(|_| ())
}

/// Takes the flow for the rest of the transaction; `false` when absent.
pub async fn take(tx: &Tx, id: Uuid) -> Result<bool, DbErr> {
    let text = "UPDATE sign_up SET tries = tries WHERE flow_id = $1";
    tx.execute_raw(sql(tx, text, [id.into()])).await.map(|done| done.rows_affected() == 1)
}

/// Ends a flow; `false` when it was ended before.
pub async fn delete(tx: &Tx, id: Uuid) -> Result<bool, DbErr> {
    let done = tx.execute_raw(sql(tx, "DELETE FROM sign_up WHERE flow_id = $1", [id.into()])).await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets flows that ended before `until` and whose day of counted letters is over as well.
pub async fn forget(tx: &Tx, until: DateTime<Utc>) -> Result<u64, DbErr> {
    let text = "DELETE FROM sign_up WHERE expires_at_ms <= $1 AND mails_since_ms <= $1";
    tx.execute_raw(sql(tx, text, [until.timestamp_millis().into()])).await.map(|done| done.rows_affected())
}

/// Forgets the flow of an address.
pub async fn delete_of(tx: &Tx, email: &str) -> Result<(), DbErr> {
    tx.execute_raw(sql(tx, "DELETE FROM sign_up WHERE email = $1", [email.into()])).await.map(|_| ())
}
