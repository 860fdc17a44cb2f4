//! Whether a mail server or a gateway takes anything at all: one state, and not a try of each letter.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// The way to a server. While the server is away one letter at a time tries it, the others wait.
pub(crate) struct Line {
    channel: &'static str,
    is_down: AtomicBool,
    down: Mutex<Option<Down>>,
}

struct Down {
    since: DateTime<Utc>,
    probe_at: DateTime<Utc>,
    pause: TimeDelta,
    answer: String,
}

impl Line {
    pub const fn new(channel: &'static str) -> Self {
        Self { channel, is_down: AtomicBool::new(false), down: Mutex::new(None) }
    }

    /// `mail` or `sms`.
    pub const fn channel(&self) -> &'static str {
        self.channel
    }

    /// Whether nothing is to be tried now.
    pub fn is_closed(&self, now: DateTime<Utc>) -> bool {
        self.is_down.load(Ordering::Relaxed) && self.down.lock().as_ref().is_some_and(|down| down.waits(now))
    }

    /// Whether the caller may send now. While the server is away this is granted once per pause: the caller is the probe.
    pub fn may_try(&self, now: DateTime<Utc>) -> bool {
        if !self.is_down.load(Ordering::Relaxed) {
            return true;
        }
        let mut down = self.down.lock();
        let Some(down) = down.as_mut() else { return true };
        if down.waits(now) {
            return false;
        }
        down.pause = (down.pause * 2).min(LONGEST_PAUSE);
        down.probe_at = now + down.pause;
        true
    }

    /// The server is away. Told once.
    pub fn failed(&self, now: DateTime<Utc>, answer: &str) {
        let mut down = self.down.lock();
        if down.is_none() {
            tracing::warn!(channel = self.channel, answer, "post.server.down");
            *down = Some(Down { since: now, probe_at: now + FIRST_PAUSE, pause: FIRST_PAUSE, answer: answer.to_owned() });
            self.is_down.store(true, Ordering::Relaxed);
        }
    }

    /// What the server said when it went away; empty while it is there.
    pub fn answer(&self) -> String {
        self.down.lock().as_ref().map_or_else(String::new, |down| down.answer.clone())
    }

    /// The server took something, or refused it for itself: it is there.
    pub fn works(&self, now: DateTime<Utc>) {
        if !self.is_down.load(Ordering::Relaxed) {
            return;
        }
        if let Some(down) = self.down.lock().take() {
            tracing::info!(channel = self.channel, away_secs = (now - down.since).num_seconds(), "post.server.up");
        }
        self.is_down.store(false, Ordering::Relaxed);
    }
}

impl Down {
    /// A probe that is further away than a pause belongs to a clock that was set back.
    fn waits(&self, now: DateTime<Utc>) -> bool {
        now < self.probe_at && self.probe_at - now <= LONGEST_PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_server_is_away_one_at_a_time_tries() {
        let (line, start) = (Line::new("mail"), DateTime::UNIX_EPOCH);
        assert!(line.may_try(start) && line.may_try(start));
        line.failed(start, "refused");
        assert!(line.is_closed(start) && !line.may_try(start));
        let mut probes = 0;
        for second in 1..=3600 {
            let now = start + TimeDelta::seconds(second);
            probes += usize::from(line.may_try(now));
            assert!(!line.may_try(now), "one at a time");
        }
        assert!((60..=70).contains(&probes), "{probes} in an hour");
        line.works(start);
        assert!(line.may_try(start));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_close_it_for_longer() {
        let (line, later) = (Line::new("mail"), DateTime::UNIX_EPOCH + TimeDelta::days(1));
        line.failed(later, "refused");
        assert!(line.may_try(DateTime::UNIX_EPOCH));
    }
}
