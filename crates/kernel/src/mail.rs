//! Letters: queued as a row in the transaction of their cause, sent afterwards, tried again until accepted.

use std::{path::Path, sync::Arc, time::Duration};

use berth_contracts::Locale;
use chrono::{DateTime, TimeDelta, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    bus::Wake,
    catcher::Catcher,
    clock::Clock,
    db::{Db, Tx, now_ms, relax_commit, skip_locked, sql},
    failpoint,
    jobs::Background,
    sms::{Sms, SmsError, TextMessage},
};

const IDLE: Duration = Duration::from_secs(2);
const ATTEMPTS_AT_MOST: i64 = 12;
/// A letter that its process did not send within this time is sent by any: longer than a mail server takes.
const LEASE_MS: i64 = 60_000;
const BATCH: usize = 100;

/// A letter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Letter {
    /// Address of the recipient.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// A letter filled with examples, for people who look at its words.
#[derive(Debug, Clone)]
pub struct Preview {
    /// What the letter is about.
    pub name: String,
    /// Its language.
    pub locale: Locale,
    /// The letter.
    pub letter: Letter,
}

/// A letter the catcher caught.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Caught {
    /// When.
    pub at: DateTime<Utc>,
    /// The letter.
    #[serde(flatten)]
    pub letter: Letter,
}

/// Why a letter was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The address or another part can't be put into a message.
    #[error("the letter can't be written")]
    Unwritable(#[from] lettre::error::Error),
    /// The address can't be read.
    #[error("the address can't be read")]
    Address(#[from] lettre::address::AddressError),
    /// The server refused or could not be reached.
    #[error("the mail server did not take the letter")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// The catcher's file can't be written.
    #[error("the mail catcher can't write its file")]
    Catcher(#[from] std::io::Error),
}

/// Where letters go.
pub enum Mail {
    /// To a server, by URL: `smtp://user:password@host:port`, `smtps://...`.
    Smtp {
        /// The connection.
        transport: AsyncSmtpTransport<Tokio1Executor>,
        /// Sender.
        from: Mailbox,
    },
    /// Nowhere: kept for people who develop, newest first.
    Catcher(Catcher<Caught>),
}

impl Mail {
    /// A mail server by URL.
    pub fn smtp(url: &str, from: &str) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.timeout(Some(Duration::from_secs(10))).build();
        Ok(Self::Smtp { transport, from: from.parse()? })
    }

    /// A catcher that keeps its letters in this file.
    pub fn catcher(file: &Path) -> Self {
        Self::Catcher(Catcher::new(file))
    }

    /// Hands a letter over.
    pub async fn send(&self, letter: &Letter, at: DateTime<Utc>) -> Result<(), MailError> {
        match self {
            Self::Smtp { transport, from } => {
                let body = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
                let message = Message::builder().from(from.clone()).to(letter.to.parse()?).subject(&letter.subject);
                transport.send(message.multipart(body)?).await?;
                Ok(())
            }
            Self::Catcher(catcher) => Ok(catcher.catch(&Caught { at, letter: letter.clone() })?),
        }
    }

    /// What was caught for an address (all addresses without one), newest first. Nothing when letters are really sent.
    pub fn caught(&self, to: Option<&str>) -> Vec<Caught> {
        let Self::Catcher(catcher) = self else {
            return Vec::new();
        };
        catcher.caught(|caught| to.is_none_or(|to| caught.letter.to.eq_ignore_ascii_case(to)))
    }
}

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

/// Why something queued was not accepted.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Sms(#[from] SmsError),
}

/// A service's queue of letters and text messages.
#[derive(Clone)]
pub struct Post {
    mail: Arc<Mail>,
    pub(crate) sms: Arc<Sms>,
    pub(crate) clock: Clock,
    wake: Wake,
}

impl Post {
    /// A queue in front of a mail and of text messages. The wake reaches whichever process sends.
    pub fn new(mail: Arc<Mail>, sms: Arc<Sms>, clock: Clock, wake: Wake) -> Self {
        Self { mail, sms, clock, wake }
    }

    /// Queues a letter in the caller's transaction. `cause` names what it is about: a second letter with the same cause is
    /// not queued, so a repeated step sends one letter. Call [`Post::wake`] after the commit.
    pub async fn queue(&self, tx: &Tx, cause: &str, letter: &Letter) -> Result<(), DbErr> {
        self.queue_at(tx, cause, letter, self.clock.now()).await
    }

    /// Queues a letter that goes out at `due` and not before. A letter to nobody is not queued.
    pub async fn queue_at(&self, tx: &Tx, cause: &str, letter: &Letter, due: DateTime<Utc>) -> Result<(), DbErr> {
        if letter.to.is_empty() {
            return Ok(());
        }
        self.put(tx, cause, &Queued::Letter(letter.clone()), due).await
    }

    pub(crate) async fn put(&self, tx: &Tx, cause: &str, queued: &Queued, due: DateTime<Utc>) -> Result<(), DbErr> {
        let body = serde_json::to_string(queued).map_err(|error| DbErr::Custom(error.to_string()))?;
        let text = "INSERT INTO letter (id, cause, body, attempts, next_attempt_at_ms, sent) VALUES ($1, $2, $3, 0, $4, 0) \
                    ON CONFLICT (cause) DO NOTHING";
        let values = [self.clock.new_key().into(), cause.into(), body.into(), due.timestamp_millis().into()];
        tx.execute_raw(sql(tx, text, values)).await?;
        failpoint::at("letter.queued");
        Ok(())
    }

    /// Takes a letter back that was not sent yet; `false` when it was sent, or never queued.
    pub async fn withdraw(&self, tx: &Tx, cause: &str) -> Result<bool, DbErr> {
        let done = tx.execute_raw(sql(tx, "DELETE FROM letter WHERE cause = $1 AND sent = 0", [cause.into()])).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes back every letter to an address, or text message to a number, that was not sent yet; answers how many there were.
    pub async fn forget(&self, tx: &Tx, to: &str) -> Result<u64, DbErr> {
        let address = serde_json::to_string(to).map_err(|error| DbErr::Custom(error.to_string()))?;
        // What is stored begins with its address.
        let text = "DELETE FROM letter WHERE sent = 0 AND substr(body, 1, $2) = $1";
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
        while !background.is_stopped() {
            if let Err(error) = self.send_due(&db).await {
                tracing::error!(error = %error, "post.failed");
            }
            tokio::select! {
                () = background.stopped() => {}
                () = self.wake.wanted() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
    }

    /// Sends every letter that is due, once.
    pub async fn send_due(&self, db: &Db) -> Result<(), DbErr> {
        loop {
            let due = if db.has_one_writer() { self.due(db).await? } else { self.lease_due(db).await? };
            let (count, full) = (due.len(), if db.has_one_writer() { BATCH } else { 1 });
            for (id, body, attempts) in due {
                self.send_one(db, id, &body, attempts).await?;
            }
            if count < full {
                return Ok(());
            }
        }
    }

    /// Letters that are due, where no other process can send them.
    async fn due(&self, db: &Db) -> Result<Vec<(Uuid, String, i64)>, DbErr> {
        let text = "SELECT id, body, attempts FROM letter WHERE sent = 0 AND next_attempt_at_ms <= $1 ORDER BY next_attempt_at_ms LIMIT $2";
        let values = [self.clock.now().timestamp_millis().into(), (BATCH as u64).into()];
        db.read().query_all_raw(sql(db.read(), text, values)).await?.iter().map(due_row).collect()
    }

    /// A letter that is due, leased by the database's own time: no other process sends it meanwhile.
    async fn lease_due(&self, db: &Db) -> Result<Vec<(Uuid, String, i64)>, DbErr> {
        let due_ms = self.clock.now().timestamp_millis();
        let leased = db.write(move |tx| {
            Box::pin(async move {
                relax_commit(tx).await?;
                let now = now_ms(tx);
                let text = format!(
                    "WITH due AS (SELECT id AS letter_id FROM letter WHERE sent = 0 AND next_attempt_at_ms <= $1 \
                     AND (leased_until_ms IS NULL OR leased_until_ms <= {now}) ORDER BY next_attempt_at_ms LIMIT 1 {}) \
                     UPDATE letter SET leased_until_ms = {now} + $2 FROM due WHERE id = due.letter_id RETURNING id, body, attempts",
                    skip_locked(tx)
                );
                tx.query_all_raw(sql(tx, &text, [due_ms.into(), LEASE_MS.into()])).await
            })
        });
        leased.await?.iter().map(due_row).collect()
    }

    async fn hand_over(&self, id: Uuid, queued: &Queued, at: DateTime<Utc>) -> Result<(), Undelivered> {
        match queued {
            Queued::Letter(letter) => Ok(self.mail.send(letter, at).await?),
            Queued::Sms { sms } => Ok(self.sms.send(sms, id, at).await?),
        }
    }

    async fn send_one(&self, db: &Db, id: Uuid, body: &str, attempts: i64) -> Result<(), DbErr> {
        let queued: Queued = serde_json::from_str(body).map_err(|error| DbErr::Custom(error.to_string()))?;
        let now = self.clock.now();
        match self.hand_over(id, &queued, now).await {
            // The body may hold a one-time password: it is forgotten once sent.
            Ok(()) => {
                failpoint::at("letter.sent");
                update(db, "UPDATE letter SET sent = 1, body = '' WHERE id = $1", id, None).await
            }
            Err(error) if attempts >= ATTEMPTS_AT_MOST => {
                tracing::error!(error = %error, letter.id = %id, "post.given_up");
                update(db, "UPDATE letter SET sent = 2, body = '' WHERE id = $1", id, None).await
            }
            Err(error) => {
                tracing::warn!(error = %error, letter.id = %id, attempts, "post.retry");
                let next = now + TimeDelta::seconds(1 << attempts.min(12));
                let text =
                    "UPDATE letter SET attempts = attempts + 1, next_attempt_at_ms = $2, leased_until_ms = NULL WHERE id = $1";
                update(db, text, id, Some(next.timestamp_millis())).await
            }
        }
    }
}

fn due_row(row: &QueryResult) -> Result<(Uuid, String, i64), DbErr> {
    Ok((row.try_get("", "id")?, row.try_get("", "body")?, row.try_get("", "attempts")?))
}

async fn update(db: &Db, text: &'static str, id: Uuid, next_ms: Option<i64>) -> Result<(), DbErr> {
    db.write(move |tx| {
        Box::pin(async move {
            let values = std::iter::once(id.into()).chain(next_ms.map(Into::into));
            tx.execute_raw(sql(tx, text, values.collect::<Vec<_>>())).await.map(|_| ())
        })
    })
    .await
}
