//! Letters: queued as a row in the transaction of their cause, sent afterwards, tried again until accepted.

use std::{
    collections::VecDeque,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
};
use parking_lot::Mutex;
use sea_orm::{ConnectionTrait, DbErr};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    clock::Clock,
    db::{Db, Tx, sql},
    failpoint,
};

const IDLE: Duration = Duration::from_secs(2);
const CAUGHT_AT_MOST: usize = 5000;
const ATTEMPTS_AT_MOST: i64 = 12;

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
    Catcher(Catcher),
}

/// Keeps letters in a file of JSON lines, so that they survive a restart.
pub struct Catcher {
    file: PathBuf,
    caught: Mutex<VecDeque<Caught>>,
}

impl Mail {
    /// A mail server by URL.
    pub fn smtp(url: &str, from: &str) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.timeout(Some(Duration::from_secs(10))).build();
        Ok(Self::Smtp { transport, from: from.parse()? })
    }

    /// A catcher that keeps its letters in this file.
    pub fn catcher(file: &Path) -> Self {
        let lines = fs::read_to_string(file).unwrap_or_default();
        let caught: VecDeque<Caught> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Self::Catcher(Catcher { file: file.to_owned(), caught: Mutex::new(caught) })
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
            Self::Catcher(catcher) => catcher.catch(Caught { at, letter: letter.clone() }),
        }
    }

    /// What was caught for an address (all addresses without one), newest first. Nothing when letters are really sent.
    pub fn caught(&self, to: Option<&str>) -> Vec<Caught> {
        let Self::Catcher(catcher) = self else {
            return Vec::new();
        };
        let wanted = |caught: &&Caught| to.is_none_or(|to| caught.letter.to.eq_ignore_ascii_case(to));
        catcher.caught.lock().iter().rev().filter(wanted).take(500).cloned().collect()
    }
}

impl Catcher {
    fn catch(&self, letter: Caught) -> Result<(), MailError> {
        let line = serde_json::to_string(&letter).map_err(std::io::Error::other)?;
        let mut caught = self.caught.lock();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.file)?;
        writeln!(file, "{line}")?;
        caught.push_back(letter);
        if caught.len() > CAUGHT_AT_MOST {
            caught.pop_front();
        }
        Ok(())
    }
}

/// A service's queue of letters.
#[derive(Clone)]
pub struct Post {
    mail: Arc<Mail>,
    clock: Clock,
    wake: Arc<Notify>,
}

impl Post {
    /// A queue in front of a mail.
    pub fn new(mail: Arc<Mail>, clock: Clock) -> Self {
        Self { mail, clock, wake: Arc::new(Notify::new()) }
    }

    /// Queues a letter in the caller's transaction. `cause` names what it is about: a second letter with the same cause is
    /// not queued, so a repeated step sends one letter. Call [`Post::wake`] after the commit.
    pub async fn queue(&self, tx: &Tx, cause: &str, letter: &Letter) -> Result<(), DbErr> {
        self.queue_at(tx, cause, letter, self.clock.now()).await
    }

    /// Queues a letter that goes out at `due` and not before.
    pub async fn queue_at(&self, tx: &Tx, cause: &str, letter: &Letter, due: DateTime<Utc>) -> Result<(), DbErr> {
        let body = serde_json::to_string(letter).map_err(|error| DbErr::Custom(error.to_string()))?;
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

    /// Tells the sender that letters wait. Losing this call only delays them.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Sends queued letters until cancelled.
    pub async fn run(self, db: Db, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            if let Err(error) = self.send_due(&db).await {
                tracing::error!(error = %error, "post.failed");
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
    }

    /// Sends every letter that is due, once.
    pub async fn send_due(&self, db: &Db) -> Result<(), DbErr> {
        let text = "SELECT id, body, attempts FROM letter WHERE sent = 0 AND next_attempt_at_ms <= $1 ORDER BY next_attempt_at_ms LIMIT 100";
        let now_ms = self.clock.now().timestamp_millis();
        for row in db.read().query_all_raw(sql(db.read(), text, [now_ms.into()])).await? {
            let (id, body, attempts): (Uuid, String, i64) =
                (row.try_get("", "id")?, row.try_get("", "body")?, row.try_get("", "attempts")?);
            self.send_one(db, id, &body, attempts).await?;
        }
        Ok(())
    }

    async fn send_one(&self, db: &Db, id: Uuid, body: &str, attempts: i64) -> Result<(), DbErr> {
        let letter: Letter = serde_json::from_str(body).map_err(|error| DbErr::Custom(error.to_string()))?;
        let now = self.clock.now();
        match self.mail.send(&letter, now).await {
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
                let text = "UPDATE letter SET attempts = attempts + 1, next_attempt_at_ms = $2 WHERE id = $1";
                update(db, text, id, Some(next.timestamp_millis())).await
            }
        }
    }
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
