//! A sign-up that waits for its one-time password: one per address, the newest.

use berth_contracts::Locale;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{config::UserConfig, error::Refusal};

const DAY: TimeDelta = TimeDelta::hours(24);

/// A waiting sign-up.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The address.
    pub email: String,
    /// Key, known to who asked.
    pub id: Uuid,
    /// Stands for an address that has an account: behaves like any other, but no code can be right.
    pub decoy: bool,
    /// Hash of the password that was chosen in this flow: it counts only if this flow is verified.
    pub password_hash: String,
    /// Keyed hash of flow and code.
    pub code_hash: String,
    /// Codes tried so far.
    pub tries: i32,
    /// Until when the code counts.
    pub expires_at: DateTime<Utc>,
    /// When its newest letter went out, or will.
    pub mailed_at: DateTime<Utc>,
    /// Letters to this address since `mails_since`.
    pub mails: i32,
    /// Begin of the day in which letters are counted.
    pub mails_since: DateTime<Utc>,
    /// Language of its letters, and of the account it makes.
    pub locale: Locale,
}

/// When the letters to an address went out: what the next letter must respect.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// When the newest letter goes out.
    pub mailed_at: DateTime<Utc>,
    /// Letters within the day.
    pub mails: i32,
    /// Begin of the day.
    pub mails_since: DateTime<Utc>,
}

impl Flow {
    /// The secret that is hashed: the code counts in its own flow only.
    pub fn secret(flow_id: Uuid, code: &str) -> String {
        format!("{flow_id}:{code}")
    }

    /// Name of the letter in the queue; each code has one.
    pub fn letter_cause(&self) -> String {
        format!("sign-up:{}:{}", self.id, self.mailed_at.timestamp_millis())
    }

    /// The pace so far.
    pub fn pace(&self) -> Pace {
        Pace { mailed_at: self.mailed_at, mails: self.mails, mails_since: self.mails_since }
    }
}

impl Pace {
    /// The pace with one more letter: at once for a new address; else a pause after the last one. `replaces` says that the
    /// last letter was taken back before it went out, so that the new one has its place.
    pub fn next(before: Option<Self>, replaces: bool, now: DateTime<Utc>, config: &UserConfig) -> Result<Self, Refusal> {
        let Some(before) = before else { return Ok(Self { mailed_at: now, mails: 1, mails_since: now }) };
        let fresh_day = now >= before.mails_since + DAY;
        let (sent, mails_since) = if fresh_day { (0, now) } else { (before.mails, before.mails_since) };
        let mails = if replaces { sent.max(1) } else { sent + 1 };
        if mails > config.mails_per_day {
            return Err(Refusal::RateLimited { retry_after: mails_since + DAY - now });
        }
        let pause = if replaces { TimeDelta::zero() } else { config.mail_pause };
        Ok(Self { mailed_at: now.max(before.mailed_at + pause), mails, mails_since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_to_an_address_keep_their_distance() {
        let (config, start) = (UserConfig::default(), DateTime::UNIX_EPOCH);
        let first = Pace::next(None, false, start, &config).expect("fine");
        assert_eq!(first.mailed_at, start);
        let second = Pace::next(Some(first), false, start + TimeDelta::seconds(10), &config).expect("fine");
        assert_eq!(second.mailed_at, start + TimeDelta::seconds(60));
        let instead = Pace::next(Some(second), true, start + TimeDelta::seconds(20), &config).expect("fine");
        assert_eq!((instead.mailed_at, instead.mails), (start + TimeDelta::seconds(60), 2));
        let later = Pace::next(Some(instead), false, start + TimeDelta::minutes(10), &config).expect("fine");
        assert_eq!(later.mailed_at, start + TimeDelta::minutes(10));
    }

    #[test]
    fn an_address_gets_twenty_letters_a_day() {
        let (config, start) = (UserConfig::default(), DateTime::UNIX_EPOCH);
        let full = Pace { mailed_at: start, mails: 20, mails_since: start };
        let refused = Pace::next(Some(full), false, start + TimeDelta::hours(23), &config);
        assert_eq!(refused.expect_err("refused"), Refusal::RateLimited { retry_after: TimeDelta::hours(1) });
        assert_eq!(Pace::next(Some(full), false, start + DAY, &config).expect("fine").mails, 1);
    }
}
