//! Several addresses of one service: taken in turn, and left alone for a while when they fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Failures in a row that open a breaker.
const FAILURES: u32 = 5;
/// How long it stays open before one call may try again.
const REST: Duration = Duration::from_secs(1);

/// The addresses of one service.
#[derive(Clone)]
pub struct Replicas {
    service: Arc<str>,
    all: Arc<[Replica]>,
    next: Arc<AtomicUsize>,
}

impl Replicas {
    /// A service by its name, at these base URLs.
    pub fn new(service: &str, urls: &[String]) -> Self {
        let replica = |url: &String| Replica {
            service: service.into(),
            base: url.trim_end_matches('/').to_owned(),
            failures: AtomicU32::new(0),
            closed_until: Mutex::new(None),
        };
        Self { service: service.into(), all: urls.iter().map(replica).collect(), next: Arc::default() }
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn is_several(&self) -> bool {
        self.all.len() > 1
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Replica] {
        &self.all
    }

    /// All that may be tried now, in the order in which to try them. A half-open breaker lets one caller in: so this is
    /// asked lazily, when the one before has failed.
    pub fn in_turn(&self) -> impl Iterator<Item = &Replica> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.all.len();
        (0..count).map(move |step| &self.all[(first + step) % count]).filter(|replica| replica.lets_in())
    }
}

/// One address of a service, with its breaker.
pub struct Replica {
    service: Box<str>,
    base: String,
    failures: AtomicU32,
    /// While the breaker is open: when the next call may try.
    closed_until: Mutex<Option<Instant>>,
}

impl Replica {
    /// Base URL, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// It answered.
    pub fn answered(&self) {
        if self.failures.swap(0, Ordering::Relaxed) >= FAILURES {
            *self.closed_until.lock() = None;
            tracing::info!(peer.service = &*self.service, peer.url = self.base, "peer.breaker.closed");
        }
    }

    /// It does not know this process, or does no work: it will say the same in a moment, so others are asked until it has rested.
    pub fn refused(&self) {
        *self.closed_until.lock() = Some(Instant::now() + REST);
        if self.failures.swap(FAILURES, Ordering::Relaxed) < FAILURES {
            tracing::warn!(peer.service = &*self.service, peer.url = self.base, "peer.refused_us");
        }
    }

    /// It gave no answer.
    pub fn failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures >= FAILURES {
            *self.closed_until.lock() = Some(Instant::now() + REST);
        }
        if failures == FAILURES {
            tracing::warn!(peer.service = &*self.service, peer.url = self.base, "peer.breaker.opened");
        }
    }

    fn lets_in(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) < FAILURES {
            return true;
        }
        let mut closed_until = self.closed_until.lock();
        let now = Instant::now();
        let rested = closed_until.is_none_or(|until| until <= now);
        if rested {
            *closed_until = Some(now + REST);
        }
        rested
    }
}
