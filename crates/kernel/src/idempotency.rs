//! Idempotency of mutations that move a seat or money. The key, the input's fingerprint and the answer are one row,
//! written in the transaction of the effect: a repeat finds the answer, a racing repeat waits for the first.

use chrono::TimeDelta;
use sea_orm::{ConnectionTrait, DbErr, Value};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    clock::Clock,
    db::{Tx, sql, table},
};

/// Longest accepted key, in characters; the shortest is 1.
pub const MAX_KEY_CHARS: usize = 128;

/// Whose call it is, and which.
#[derive(Debug, Clone)]
pub struct Call {
    /// The user.
    pub user_id: Uuid,
    /// Name of the mutation.
    pub mutation: &'static str,
    /// The key the client chose.
    pub key: String,
    /// SHA-256 of the canonical input.
    pub fingerprint: String,
    /// How long a repeat is recognised.
    pub keep: TimeDelta,
}

/// What is known of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not seen before: the effect may happen, in this transaction.
    First,
    /// Seen with the same input: here is the answer that was stored.
    Repeat(String),
    /// The key was used with another input.
    Conflict,
}

/// SHA-256, in hex, of the input's JSON. The fields' order is that of the type, so it is canonical.
pub fn fingerprint(input: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(input).unwrap_or_default();
    format!("{:x}", Sha256::digest(bytes))
}

/// Records the call and its answer, unless it was seen before. The row vanishes with the transaction when the effect
/// is refused, so a refused call may be repeated.
pub async fn record(tx: &Tx, clock: &Clock, call: &Call, answer: &str) -> Result<Seen, DbErr> {
    if record_all(tx, clock, &[(call, answer.to_owned())]).await? {
        return Ok(Seen::First);
    }
    find(tx, clock, call).await.map(|seen| seen.unwrap_or(Seen::Conflict))
}

/// Records several first calls with their answers in one statement. `false`: some of them were seen before, and the caller
/// must undo this and take them one by one.
pub async fn record_all(tx: &Tx, clock: &Clock, calls: &[(&Call, String)]) -> Result<bool, DbErr> {
    let now_ms = clock.now().timestamp_millis();
    let row = |(call, answer): &(&Call, String)| -> [Value; 6] {
        [
            call.user_id.into(),
            call.mutation.into(),
            call.key.clone().into(),
            call.fingerprint.clone().into(),
            answer.clone().into(),
            (now_ms + call.keep.num_milliseconds()).into(),
        ]
    };
    let mut values: Vec<Value> = vec![now_ms.into()];
    let rows = table(tx, "v", calls.iter().map(row), &mut values);
    let text = format!(
        "INSERT INTO idempotency (user_id, mutation, key, fingerprint, answer, expires_at_ms) SELECT * FROM {rows} WHERE true \
         ON CONFLICT (user_id, mutation, key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer, \
         expires_at_ms = excluded.expires_at_ms WHERE idempotency.expires_at_ms <= $1"
    );
    let done = tx.execute_raw(sql(tx, &text, values)).await?;
    Ok(usize::try_from(done.rows_affected()).is_ok_and(|rows| rows == calls.len()))
}

/// What is known of the call, without recording it. `None`: nothing, or only what is past its time.
pub async fn find(connection: &impl ConnectionTrait, clock: &Clock, call: &Call) -> Result<Option<Seen>, DbErr> {
    let text =
        "SELECT fingerprint, answer FROM idempotency WHERE user_id = $1 AND mutation = $2 AND key = $3 AND expires_at_ms > $4";
    let values: [Value; 4] =
        [call.user_id.into(), call.mutation.into(), call.key.clone().into(), clock.now().timestamp_millis().into()];
    let Some(row) = connection.query_one_raw(sql(connection, text, values)).await? else {
        return Ok(None);
    };
    let fingerprint: String = row.try_get("", "fingerprint")?;
    let same = fingerprint == call.fingerprint;
    Ok(Some(if same { Seen::Repeat(row.try_get("", "answer")?) } else { Seen::Conflict }))
}

/// The remembered answers of a mutation that name nothing known: an answer is the key of what the mutation made. For audits.
pub async fn lost_answers(
    connection: &impl ConnectionTrait,
    mutation: &str,
    known: impl Fn(&Uuid) -> bool,
) -> Result<Vec<String>, DbErr> {
    let text = "SELECT answer FROM idempotency WHERE mutation = $1";
    let rows = connection.query_all_raw(sql(connection, text, [mutation.into()])).await?;
    let answers = rows.iter().map(|row| row.try_get("", "answer")).collect::<Result<Vec<String>, DbErr>>()?;
    Ok(answers.into_iter().filter(|answer| !Uuid::try_parse(answer).is_ok_and(|id| known(&id))).collect())
}

/// Forgets rows past their time; run it now and then.
pub async fn forget_expired(tx: &Tx, clock: &Clock) -> Result<u64, DbErr> {
    let text = "DELETE FROM idempotency WHERE expires_at_ms <= $1";
    let done = tx.execute_raw(sql(tx, text, [clock.now().timestamp_millis().into()])).await?;
    Ok(done.rows_affected())
}
