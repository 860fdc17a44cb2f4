//! Sessions that were ended while access tokens of theirs still have time. Every process that verifies tokens keeps the few that
//! matter in memory and refuses their tokens; a request costs one look into a table.
//!
//! The user service's database is the truth. A process reads from it what ended lately: when it starts, when it is woken, and every
//! few seconds besides. So a lost wake, or Redis gone, costs seconds (docs/decisions/0017-ended-sessions.md).

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use berth_contracts::peer::{EndedSession, PeerResult, UserPeer};
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{auth::ACCESS_TTL, bus::Wake, clock::Clock, jobs::Background};

/// The name of the work that reads; who ends sessions wakes it.
pub const WORK: &str = "sessions.ended";
/// How often a process reads when nobody wakes it.
const EVERY: Duration = Duration::from_secs(5);
/// Time between two readings: a flood of endings is read in few batches.
const REST: Duration = Duration::from_millis(100);
/// How long a process that starts waits for its first answer.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// Sessions remembered at most; then the oldest are forgotten.
const REMEMBERED: usize = 100_000;
/// Time on top of a token's life: clocks differ.
const LEEWAY: TimeDelta = TimeDelta::minutes(1);
/// Each reading goes back so far behind the newest ending known: a transaction that was written later may have begun earlier.
const OVERLAP: TimeDelta = TimeDelta::seconds(30);

/// From when on an ending matters at a time.
pub fn matters_from(now: DateTime<Utc>) -> DateTime<Utc> {
    now - ACCESS_TTL - LEEWAY
}

/// The sessions whose tokens are refused. A clone knows the same.
#[derive(Clone)]
pub struct EndedSessions {
    known: Arc<RwLock<Known>>,
    news: watch::Sender<()>,
    clock: Clock,
}

#[derive(Default)]
struct Known {
    ids: HashSet<Uuid>,
    /// In the order in which they were heard of, which is about that of their endings.
    order: VecDeque<EndedSession>,
}

impl EndedSessions {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { known: Arc::default(), news: watch::Sender::new(()), clock }
    }

    /// Whether the session was ended.
    pub fn contains(&self, session_id: Uuid) -> bool {
        self.known.read().ids.contains(&session_id)
    }

    /// Waits until the session is ended. Safe to drop while it waits.
    pub async fn ended(&self, session_id: Uuid) {
        let mut news = self.news.subscribe();
        while !self.contains(session_id) {
            // The sender lives as long as this.
            let _told = news.changed().await;
        }
    }

    /// Adds sessions, oldest first, and forgets those whose last token is over.
    pub fn learn(&self, ended: impl IntoIterator<Item = EndedSession>) {
        let from = matters_from(self.clock.now());
        let mut known = self.known.write();
        let before = known.ids.len();
        for session in ended.into_iter().filter(|session| session.at > from) {
            if known.ids.insert(session.session_id) {
                known.order.push_back(session);
            }
        }
        let is_new = known.ids.len() > before;
        while known.order.front().is_some_and(|oldest| oldest.at <= from) || known.order.len() > REMEMBERED {
            if let Some(oldest) = known.order.pop_front() {
                known.ids.remove(&oldest.session_id);
            }
        }
        drop(known);
        if is_new {
            self.news.send_replace(());
        }
    }

    /// Reads now, if the answer comes soon, and from then on whenever it is woken. Inside a Tokio runtime.
    pub async fn follow(&self, user: Arc<dyn UserPeer>, wake: Wake, background: &Background) {
        let reader = Arc::new(Reader {
            ended: self.clone(),
            user,
            since: Mutex::new(matters_from(self.clock.now())),
            hears: AtomicBool::new(true),
        });
        // Without an answer the process starts all the same: the service that knows may start later than this one.
        let _in_time = tokio::time::timeout(FIRST_WITHIN, reader.read()).await;
        background.every(WORK, EVERY, wake, move || {
            let reader = Arc::clone(&reader);
            async move {
                reader.read().await;
                tokio::time::sleep(REST).await;
                Ok::<_, std::convert::Infallible>(())
            }
        });
    }
}

/// What follows the user service.
struct Reader {
    ended: EndedSessions,
    user: Arc<dyn UserPeer>,
    since: Mutex<DateTime<Utc>>,
    hears: AtomicBool,
}

impl Reader {
    async fn read(&self) {
        let since = *self.since.lock();
        let answer = self.user.sessions_ended(since).await;
        let hears = answer.is_ok();
        if self.hears.swap(hears, Relaxed) && !hears {
            tracing::warn!("sessions.ended.unheard");
        }
        self.take(answer);
    }

    fn take(&self, answer: PeerResult<Vec<EndedSession>>) {
        let Ok(ended) = answer else { return };
        if let Some(newest) = ended.iter().map(|session| session.at).max() {
            let mut since = self.since.lock();
            *since = (*since).max(newest - OVERLAP);
        }
        self.ended.learn(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(clock: &Clock) -> EndedSession {
        EndedSession { session_id: clock.new_key(), at: clock.now() }
    }

    #[test]
    fn a_session_is_remembered_as_long_as_a_token_of_it_could_live() {
        let clock = Clock::system();
        let (known, session) = (EndedSessions::new(clock.clone()), ended(&clock));
        known.learn([session]);
        assert!(known.contains(session.session_id) && !known.contains(clock.new_key()));
        clock.advance(ACCESS_TTL);
        known.learn([]);
        assert!(known.contains(session.session_id));
        clock.advance(LEEWAY);
        known.learn([session]);
        assert!(!known.contains(session.session_id), "read again, but over");
    }

    #[test]
    fn memory_is_bounded() {
        let clock = Clock::system();
        let known = EndedSessions::new(clock.clone());
        let first = ended(&clock);
        known.learn(std::iter::once(first).chain((0..REMEMBERED).map(|_| ended(&clock))));
        assert!(!known.contains(first.session_id));
        assert_eq!((known.known.read().ids.len(), known.known.read().order.len()), (REMEMBERED, REMEMBERED));
    }

    #[tokio::test]
    async fn who_waits_for_an_end_is_told() {
        let clock = Clock::system();
        let (known, session) = (EndedSessions::new(clock.clone()), ended(&clock));
        let waiting = tokio::spawn({
            let known = known.clone();
            async move { known.ended(session.session_id).await }
        });
        known.learn([ended(&clock)]);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        known.learn([session]);
        waiting.await.expect("is told");
    }
}
