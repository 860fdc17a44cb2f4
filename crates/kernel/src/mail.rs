//! Where letters go: to a mail server, or to a catcher. [`crate::post`] queues them.

use std::{path::Path, time::Duration};

use berth_contracts::Locale;
use chrono::{DateTime, Utc};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp::Error as SmtpError,
};
use serde::{Deserialize, Serialize};

use crate::{
    catcher::Catcher,
    post::{
        line::Line,
        verdict::{Verdict, without_addresses},
    },
};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Refusals that are about us and not about the recipient, though they are final for this attempt: what we say is not understood, we are
/// not who we say, our parameters are unknown.
const ABOUT_US: &[u16] = &[500, 501, 502, 503, 504, 530, 534, 535, 538, 555];
/// The same as enhanced status codes (RFC 3463): the sender's address, routing, protocol, security and policy.
const ABOUT_US_ENHANCED: &[&str] = &["5.1.7", "5.1.8", "5.4.", "5.5.", "5.7."];

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
    Smtp(#[from] SmtpError),
    /// The catcher's file can't be written.
    #[error("the mail catcher can't write its file")]
    Catcher(#[from] std::io::Error),
}

/// Where letters go.
pub struct Mail {
    way: Way,
    line: Line,
}

enum Way {
    /// To a server.
    Smtp { transport: AsyncSmtpTransport<Tokio1Executor>, from: Mailbox },
    /// Nowhere: kept for people who develop, newest first.
    Catcher(Catcher<Caught>),
}

impl Mail {
    /// A mail server by URL: `smtp://user:password@host:port`, `smtps://...`.
    pub fn smtp(url: &str, from: &str) -> Result<Self, MailError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.timeout(Some(TIMEOUT)).build();
        Ok(Self::by(Way::Smtp { transport, from: from.parse()? }))
    }

    /// A catcher that keeps its letters in this file.
    pub fn catcher(file: &Path) -> Self {
        Self::by(Way::Catcher(Catcher::new(file)))
    }

    const fn by(way: Way) -> Self {
        Self { way, line: Line::new("mail") }
    }

    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    /// Hands a letter over.
    pub async fn send(&self, letter: &Letter, at: DateTime<Utc>) -> Result<(), MailError> {
        match &self.way {
            Way::Smtp { transport, from } => {
                let body = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
                let message = Message::builder().from(from.clone()).to(letter.to.parse()?).subject(&letter.subject);
                transport.send(message.multipart(body)?).await?;
                Ok(())
            }
            Way::Catcher(catcher) => Ok(catcher.catch(&Caught { at, letter: letter.clone() })?),
        }
    }

    /// What becomes of a letter that was not taken. Whether the server is there at all is asked of it, and not guessed from one answer: a
    /// connection may have been cut, a refusal may be meant for us.
    pub(crate) async fn judge(&self, error: &MailError, to: &str) -> Verdict {
        let (Way::Smtp { transport, .. }, MailError::Smtp(smtp)) = (&self.way, error) else {
            return match error {
                MailError::Catcher(problem) => Verdict::Away(problem.to_string()),
                _ => Verdict::Never(error.to_string()),
            };
        };
        match transport.test_connection().await {
            Err(why) => Verdict::Away(without_addresses(&why.to_string(), to)),
            Ok(false) => Verdict::Away("the mail server does not answer NOOP".to_owned()),
            Ok(true) => judge_answer(smtp, without_addresses(&smtp.to_string(), to)),
        }
    }

    /// What was caught for an address (all addresses without one), newest first. Nothing when letters are really sent.
    pub fn caught(&self, to: Option<&str>) -> Vec<Caught> {
        let Way::Catcher(catcher) = &self.way else {
            return Vec::new();
        };
        catcher.caught(|caught| to.is_none_or(|to| caught.letter.to.eq_ignore_ascii_case(to)))
    }
}

/// Of a server that is there.
fn judge_answer(error: &SmtpError, answer: String) -> Verdict {
    let code = error.status().map(u16::from);
    let is_about_us = code.is_some_and(|code| ABOUT_US.contains(&code))
        || answer.split(' ').any(|word| ABOUT_US_ENHANCED.iter().any(|known| word.starts_with(known)));
    if error.is_permanent() && !is_about_us { Verdict::Never(answer) } else { Verdict::Later(answer) }
}
