//! The clock and the source of keys. Passed in everywhere, so that tests can move time.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

/// How far ahead of UTC the earliest time zone is.
const EARLIEST_ZONE: TimeDelta = TimeDelta::hours(14);

/// The latest date that is today somewhere on Earth. For dates without a zone, such as a date of birth.
pub fn latest_today(now: DateTime<Utc>) -> NaiveDate {
    (now + EARLIEST_ZONE).date_naive()
}

/// A clock that can be moved forward and backward; cheap to clone, all clones move together.
#[derive(Clone)]
pub struct Clock {
    inner: Arc<Inner>,
}

struct Inner {
    offset_ms: AtomicI64,
    /// How far the machine's clock is behind the one that the fleet agrees on.
    correction_ms: AtomicI64,
    keys: parking_lot::Mutex<ContextV7>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::shifted(TimeDelta::zero())
    }

    /// The machine's clock, off by a span (tests of clock skew).
    pub fn shifted(offset: TimeDelta) -> Self {
        let (offset_ms, correction_ms) = (AtomicI64::new(offset.num_milliseconds()), AtomicI64::new(0));
        Self { inner: Arc::new(Inner { offset_ms, correction_ms, keys: parking_lot::Mutex::new(ContextV7::new()) }) }
    }

    /// Moves the clock and all its clones.
    pub fn advance(&self, by: TimeDelta) {
        self.inner.offset_ms.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }

    /// Adds this to what the machine's clock says, instead of what was added so before.
    pub fn correct(&self, by: TimeDelta) {
        self.inner.correction_ms.store(by.num_milliseconds(), Ordering::SeqCst);
    }

    /// What is added to what the machine's clock says.
    pub fn correction(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.inner.correction_ms.load(Ordering::SeqCst))
    }

    /// The present instant, to the millisecond: what is stored and what is compared are the same.
    pub fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
        let machine = Utc::now().timestamp_millis();
        let added = self.inner.offset_ms.load(Ordering::SeqCst).saturating_add(self.inner.correction_ms.load(Ordering::SeqCst));
        let ms = machine.saturating_add(added);
        DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// A new UUID v7, ordered within this process.
    pub fn new_key(&self) -> Uuid {
        let now = self.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let keys = self.inner.keys.lock();
        Uuid::new_v7(Timestamp::from_unix(&*keys, seconds, now.timestamp_subsec_nanos()))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}
