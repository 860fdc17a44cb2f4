//! Letters and text messages: queued as a row in the transaction of their cause, sent afterwards, tried again until accepted.
//!
//! A letter is given up when it is worth nothing any more ([`Life`]) or when the server will never take it, and never because it was
//! tried so often. While a server is away nothing is tried but one letter now and then; see [`desk`] for what an operator does.

pub mod desk;
mod life;
pub(crate) mod line;
mod rounds;
pub(crate) mod verdict;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    bus::Wake,
    clock::Clock,
    db::{Db, Tx, now_ms, relax_commit, service_name, skip_locked, sql},
    failpoint,
    jobs::Background,
    mail::{Letter, Mail},
    sms::{Sms, TextMessage},
};
use berth_contracts::id::Kind;
pub use life::{GIVEN_UP_KEPT, Life};
use line::Line;
use verdict::Verdict;

const IDLE: Duration = Duration::from_secs(2);
/// How often it is looked at what is too old, and counted what waits.
const ROUNDS: Duration = Duration::from_secs(10);
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// A letter that its process did not send within this time is sent by any: longer than a mail server takes.
const LEASE_MS: i64 = 60_000;
const BATCH: usize = 100;
/// What a text message's body begins with.
const OF_SMS: &str = "substr(body, 1, 7) = '{\"sms\":'";
const OF_MAIL: &str = "substr(body, 1, 7) <> '{\"sms\":'";

/// What waits in the queue, as its row keeps it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Queued {
    /// A letter, in the form of the time before there were text messages.
    Letter(Letter),
    /// A text message.
    Sms {
        /// The message.
        sms: TextMessage,
    },
}

/// A row that is due.
struct Due {
    id: Uuid,
    kind: String,
    body: String,
    attempts: i64,
}

/// A service's queue of letters and text messages.
#[derive(Clone)]
pub struct Post {
    mail: Arc<Mail>,
    sms: Arc<Sms>,
    clock: Clock,
    wake: Wake,
}

impl Post {
    /// A queue in front of a mail and of text messages. The wake reaches whichever process sends.
    pub fn new(mail: Arc<Mail>, sms: Arc<Sms>, clock: Clock, wake: Wake) -> Self {
        Self { mail, sms, clock, wake }
    }

    /// Queues a letter in the caller's transaction. `cause` names what it is about: a second letter with the same cause is
    /// not queued, so a repeated step sends one letter. Call [`Post::wake`] after the commit.
    pub async fn queue(&self, tx: &Tx, cause: &str, life: Life, letter: &Letter) -> Result<(), DbErr> {
        self.queue_at(tx, cause, life, letter, self.clock.now()).await
    }

    /// Queues a letter that goes out at `due` and not before. A letter to nobody is not queued.
    pub async fn queue_at(&self, tx: &Tx, cause: &str, life: Life, letter: &Letter, due: DateTime<Utc>) -> Result<(), DbErr> {
        if letter.to.is_empty() {
            return Ok(());
        }
        self.put(tx, cause, life, &Queued::Letter(letter.clone()), due).await
    }

    /// Whether text messages go anywhere. Without it [`Post::queue_sms`] queues nothing: ask before you promise one.
    pub fn has_sms(&self) -> bool {
        self.sms.is_on()
    }

    /// Queues a text message in the caller's transaction; letters and text messages share one space of causes. A second one with the
    /// same cause is not queued. Call [`Post::wake`] after the commit.
    pub async fn queue_sms(&self, tx: &Tx, cause: &str, life: Life, message: &TextMessage) -> Result<(), DbErr> {
        self.queue_sms_at(tx, cause, life, message, self.clock.now()).await
    }

    /// Queues a text message that goes out at `due` and not before.
    pub async fn queue_sms_at(
        &self,
        tx: &Tx,
        cause: &str,
        life: Life,
        message: &TextMessage,
        due: DateTime<Utc>,
    ) -> Result<(), DbErr> {
        if !self.has_sms() {
            tracing::warn!("post.sms.off");
            return Ok(());
        }
        self.put(tx, cause, life, &Queued::Sms { sms: message.clone() }, due).await
    }

    async fn put(&self, tx: &Tx, cause: &str, life: Life, queued: &Queued, due: DateTime<Utc>) -> Result<(), DbErr> {
        let body = serde_json::to_string(queued).map_err(|error| DbErr::Custom(error.to_string()))?;
        let text = "INSERT INTO letter (id, cause, kind, body, attempts, next_attempt_at_ms, gives_up_at_ms, sent) \
                    VALUES ($1, $2, $3, $4, 0, $5, $6, 0) ON CONFLICT (cause) DO NOTHING";
        let (due_ms, ends_ms) = (due.timestamp_millis(), life.ends(due).timestamp_millis());
        let values = [self.clock.new_key().into(), cause.into(), life.kind().into(), body.into(), due_ms.into(), ends_ms.into()];
        tx.execute_raw(sql(tx, text, values)).await?;
        failpoint::at("letter.queued");
        Ok(())
    }

    /// Takes a letter back that was not sent yet; `false` when it was sent, or never queued.
    pub async fn withdraw(&self, tx: &Tx, cause: &str) -> Result<bool, DbErr> {
        let done = tx.execute_raw(sql(tx, "DELETE FROM letter WHERE cause = $1 AND sent <> 1", [cause.into()])).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes back every letter to an address, or text message to a number, that was not sent; answers how many there were.
    pub async fn forget(&self, tx: &Tx, to: &str) -> Result<u64, DbErr> {
        let address = serde_json::to_string(to).map_err(|error| DbErr::Custom(error.to_string()))?;
        // What is stored begins with its address.
        let text = "DELETE FROM letter WHERE sent <> 1 AND substr(body, 1, $2) = $1";
        let mut forgotten = 0;
        for begin in [format!("{{\"to\":{address},"), format!("{{\"sms\":{{\"to\":{address},")] {
            let length = i32::try_from(begin.chars().count()).unwrap_or(i32::MAX);
            forgotten += tx.execute_raw(sql(tx, text, [begin.into(), length.into()])).await?.rows_affected();
        }
        Ok(forgotten)
    }

    /// Tells the sender that letters wait. Losing this call only delays them.
    pub fn wake(&self) {
        self.wake.notify();
    }

    /// Sends queued letters until the background work stops.
    pub async fn run(self, db: Db, background: Background) {
        let mut rounds_at = Instant::now();
        let service = service_name(&db).await.unwrap_or_default();
        while !background.is_stopped() {
            let mut done = self.send_due(&db).await;
            if Instant::now() >= rounds_at {
                rounds_at = Instant::now() + ROUNDS;
                done = done.and(self.make_rounds(&db, &service).await);
            }
            if let Err(error) = done {
                tracing::error!(error = %error, "post.failed");
            }
            tokio::select! {
                () = background.stopped() => {}
                () = self.wake.wanted() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
    }

    /// Sends every letter that is due, once, as long as the servers take any.
    pub async fn send_due(&self, db: &Db) -> Result<(), DbErr> {
        while let Some(which) = self.open() {
            let due = if db.has_one_writer() { self.due(db, which).await? } else { self.lease_due(db, which).await? };
            let (count, full) = (due.len(), if db.has_one_writer() { BATCH } else { 1 });
            for letter in due {
                self.send_one(db, letter).await?;
            }
            if count < full {
                break;
            }
        }
        Ok(())
    }

    /// What can be sent now, as a condition on rows.
    fn open(&self) -> Option<&'static str> {
        let now = self.clock.now();
        match (self.mail.line().is_closed(now), self.sms.line().is_closed(now)) {
            (false, false) => Some("1 = 1"),
            (false, true) => Some(OF_MAIL),
            (true, false) => Some(OF_SMS),
            (true, true) => None,
        }
    }

    /// Letters that are due, where no other process can send them.
    async fn due(&self, db: &Db, which: &str) -> Result<Vec<Due>, DbErr> {
        let text = format!(
            "SELECT id, kind, body, attempts FROM letter WHERE sent = 0 AND next_attempt_at_ms <= $1 AND {which} \
             ORDER BY next_attempt_at_ms LIMIT $2"
        );
        let values = [self.clock.now().timestamp_millis().into(), (BATCH as u64).into()];
        db.read().query_all_raw(sql(db.read(), &text, values)).await?.iter().map(Due::of).collect()
    }

    /// A letter that is due, leased by the database's own time: no other process sends it meanwhile.
    async fn lease_due(&self, db: &Db, which: &'static str) -> Result<Vec<Due>, DbErr> {
        let due_ms = self.clock.now().timestamp_millis();
        let leased = db.write(move |tx| {
            Box::pin(async move {
                relax_commit(tx).await?;
                let now = now_ms(tx);
                let text = format!(
                    "WITH due AS (SELECT id AS letter_id FROM letter WHERE sent = 0 AND next_attempt_at_ms <= $1 AND {which} \
                     AND (leased_until_ms IS NULL OR leased_until_ms <= {now}) ORDER BY next_attempt_at_ms LIMIT 1 {}) \
                     UPDATE letter SET leased_until_ms = {now} + $2 FROM due WHERE id = due.letter_id \
                     RETURNING id, kind, body, attempts",
                    skip_locked(tx)
                );
                tx.query_all_raw(sql(tx, &text, [due_ms.into(), LEASE_MS.into()])).await
            })
        });
        leased.await?.iter().map(Due::of).collect()
    }

    async fn send_one(&self, db: &Db, letter: Due) -> Result<(), DbErr> {
        let (id, now) = (letter.id, self.clock.now());
        let Ok(queued) = serde_json::from_str::<Queued>(&letter.body) else {
            return self.give_up(db, &letter, "unreadable", "").await;
        };
        let line = self.line(&queued);
        if !line.may_try(now) {
            return update(db, "UPDATE letter SET leased_until_ms = NULL WHERE id = $1", [id.into()]).await;
        }
        let verdict = self.hand_over(id, &queued, now).await;
        match &verdict {
            Err(Verdict::Away(answer)) => line.failed(now, answer),
            _ => line.works(now),
        }
        match verdict {
            // The body may hold a one-time password: it is forgotten once sent.
            Ok(()) => {
                failpoint::at("letter.sent");
                tracing::info!(letter.id = public(id), letter.kind = letter.kind, channel = line.channel(), "post.sent");
                update(db, "UPDATE letter SET sent = 1, body = '' WHERE id = $1", [id.into()]).await
            }
            Err(Verdict::Away(answer)) => {
                update(db, "UPDATE letter SET answer = $2, leased_until_ms = NULL WHERE id = $1", [id.into(), answer.into()])
                    .await
            }
            Err(Verdict::Later(answer)) => self.put_off(db, &letter, line, answer).await,
            Err(Verdict::Never(answer)) => self.give_up(db, &letter, "refused", &answer).await,
        }
    }

    fn line(&self, queued: &Queued) -> &Line {
        match queued {
            Queued::Letter(_) => self.mail.line(),
            Queued::Sms { .. } => self.sms.line(),
        }
    }

    async fn hand_over(&self, id: Uuid, queued: &Queued, at: DateTime<Utc>) -> Result<(), Verdict> {
        match queued {
            Queued::Letter(letter) => match self.mail.send(letter, at).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.mail.judge(&error, &letter.to).await),
            },
            Queued::Sms { sms } => self.sms.send(sms, id, at).await.map_err(|error| error.judge()),
        }
    }

    async fn put_off(&self, db: &Db, letter: &Due, line: &Line, answer: String) -> Result<(), DbErr> {
        let (id, attempts) = (letter.id, letter.attempts + 1);
        tracing::warn!(
            letter.id = public(id),
            letter.kind = letter.kind,
            channel = line.channel(),
            attempts,
            answer,
            "post.retry"
        );
        let wait = TimeDelta::seconds(1 << letter.attempts.clamp(0, 12)).min(LONGEST_WAIT);
        let next_ms = (self.clock.now() + wait).timestamp_millis();
        let text = "UPDATE letter SET attempts = attempts + 1, next_attempt_at_ms = $2, answer = $3, leased_until_ms = NULL \
                    WHERE id = $1";
        update(db, text, [id.into(), next_ms.into(), answer.into()]).await
    }
}

impl Due {
    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            id: row.try_get("", "id")?,
            kind: row.try_get("", "kind")?,
            body: row.try_get("", "body")?,
            attempts: row.try_get("", "attempts")?,
        })
    }
}

/// How logs and commands call a letter.
fn public(id: Uuid) -> String {
    Kind::Letter.encode(id)
}

async fn update<const N: usize>(db: &Db, text: &'static str, values: [Value; N]) -> Result<(), DbErr> {
    db.write(move |tx| Box::pin(async move { tx.execute_raw(sql(tx, text, values)).await.map(|_| ()) })).await
}
