//! A call to another service, counted however it ends.

use std::time::Instant;

use super::{PEER, PEER_SECONDS};

/// Nobody waits for the answer any more: the caller left, or its time was over.
pub(super) const ABANDONED: &str = "abandoned";

/// A call that is under way. Dropped before it ended, it counts as `abandoned`.
pub struct PeerCall<'a> {
    callee: &'a str,
    outcome: &'static str,
    started: Instant,
}

impl<'a> PeerCall<'a> {
    /// A call to this service begins.
    pub fn to(callee: &'a str) -> Self {
        Self { callee, outcome: ABANDONED, started: Instant::now() }
    }

    /// It ended: `ok`, `refused`, or why there is no answer (`peer::Failure::outcome`).
    pub fn ended(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for PeerCall<'_> {
    fn drop(&mut self) {
        PEER.with_label_values(&[self.callee, self.outcome]).inc();
        PEER_SECONDS.with_label_values(&[self.callee]).observe(self.started.elapsed().as_secs_f64());
    }
}
