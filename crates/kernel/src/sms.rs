//! Text messages: queued beside the letters in the transaction of their cause, and sent like them (see [`crate::post::Post`]).
//!
//! The gateway is any HTTP service that takes `POST {"to": "+6281...", "text": "..."}` with a bearer token and answers 2xx once it has
//! the message. `Idempotency-Key` is the same at every attempt of one message, as an answer may be lost.

use std::{path::Path, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::Client;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    catcher::Catcher,
    post::{line::Line, verdict::Verdict},
};

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A text message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextMessage {
    /// Phone number of the recipient: + and 8 to 15 digits.
    pub to: String,
    /// The text.
    pub text: String,
}

/// A text message the catcher caught.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaughtText {
    /// When.
    pub at: DateTime<Utc>,
    /// The message.
    #[serde(flatten)]
    pub message: TextMessage,
}

/// Why a text message was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// The gateway could not be reached, or did not answer in time.
    #[error("the SMS gateway can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The gateway answered with a refusal.
    #[error("the SMS gateway answered HTTP {0}")]
    Refused(u16),
    /// Messages are off here, though one was queued before.
    #[error("no SMS gateway is set")]
    Off,
    /// The catcher's file can't be written.
    #[error("the SMS catcher can't write its file")]
    Catcher(#[from] std::io::Error),
}

impl SmsError {
    /// What becomes of the message. A gateway that refuses says with its status whose fault it is: 408, 425 and 429 pass, 401, 403, 404
    /// and 5xx are about us or about itself, the other 4xx are about the message.
    pub(crate) fn judge(&self) -> Verdict {
        let answer = self.to_string();
        match self {
            Self::Refused(408 | 425 | 429) => Verdict::Later(answer),
            Self::Refused(401 | 403 | 404 | 405) => Verdict::Away(answer),
            Self::Refused(400..500) => Verdict::Never(answer),
            Self::Unreachable(_) | Self::Refused(_) | Self::Off | Self::Catcher(_) => Verdict::Away(answer),
        }
    }
}

/// Where text messages go.
pub struct Sms {
    way: Way,
    line: Line,
}

enum Way {
    /// To a gateway, by URL and with its bearer token.
    Gateway { http: Client, url: String, token: String },
    /// Nowhere: kept for people who develop, newest first.
    Catcher(Catcher<CaughtText>),
    /// Nowhere, and nothing is kept.
    Off,
}

impl Sms {
    /// A gateway by URL, with its bearer token.
    pub fn gateway(url: &str, token: &str) -> Result<Self, SmsError> {
        let mut builder = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // The token is for this address only.
            .redirect(reqwest::redirect::Policy::none());
        if url.starts_with("http://") {
            // Plain HTTP needs no certificates; a bare machine has none, and the client would refuse to start.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|error| SmsError::Unreachable(error.without_url()))?;
        Ok(Self::by(Way::Gateway { http, url: url.to_owned(), token: token.to_owned() }))
    }

    /// A catcher that keeps its messages in this file.
    pub fn catcher(file: &Path) -> Self {
        Self::by(Way::Catcher(Catcher::new(file)))
    }

    /// An installation without a gateway.
    pub const fn off() -> Self {
        Self::by(Way::Off)
    }

    const fn by(way: Way) -> Self {
        Self { way, line: Line::new("sms") }
    }

    pub(crate) const fn line(&self) -> &Line {
        &self.line
    }

    /// Whether messages go anywhere.
    pub const fn is_on(&self) -> bool {
        !matches!(self.way, Way::Off)
    }

    /// Hands a message over. `key` is the same at every attempt of this message.
    pub async fn send(&self, message: &TextMessage, key: Uuid, at: DateTime<Utc>) -> Result<(), SmsError> {
        match &self.way {
            Way::Gateway { http, url, token } => {
                let request = http.post(url).bearer_auth(token).header("idempotency-key", key.to_string()).json(message);
                let answer = request.send().await.map_err(|error| SmsError::Unreachable(error.without_url()))?;
                let status = answer.status();
                if status.is_success() { Ok(()) } else { Err(SmsError::Refused(status.as_u16())) }
            }
            Way::Catcher(catcher) => Ok(catcher.catch(&CaughtText { at, message: message.clone() })?),
            Way::Off => Err(SmsError::Off),
        }
    }

    /// What was caught for a number (all numbers without one), newest first. Nothing when messages are really sent.
    pub fn caught(&self, to: Option<&str>) -> Vec<CaughtText> {
        let Way::Catcher(catcher) = &self.way else {
            return Vec::new();
        };
        catcher.caught(|caught| to.is_none_or(|to| caught.message.to == to))
    }
}
