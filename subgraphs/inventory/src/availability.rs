//! Live availability: one feed per trip with subscribers, in this process.
//!
//! A task listens to the bus and hands each change to the feed of its trip. A feed is entered in the list first and reads
//! the board from the database then, so no change falls between the two. What its subscribers see of a segment is
//! computed once, at most every [`WINDOW`], and shared by all of them. Whoever reads too slowly, and everybody after a
//! gap, gets a new snapshot.
//!
//! The bus may repeat, reorder and lose events of other processes. One that comes early waits [`PATIENCE`] for those before
//! it; and a second task asks the database for the versions of all watched trips every second ([`check`]), so that nothing stays
//! unseen for longer than two seconds even without a bus.

mod check;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use berth_contracts::{
    event::{Envelope, Event},
    id::TripKey,
};
use berth_kernel::{
    Deps,
    bus::{Live, News},
    metrics,
};
use dashmap::DashMap;
use futures_util::{Stream, stream};
use sea_orm::DbErr;
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc, oneshot,
    },
    time::{Instant, sleep_until},
};

use crate::{
    catalogue::Catalogue,
    claim::SeatState,
    feed::{Applied, Feed, States, View},
    holds::read_board,
    trip::{Segment, SegmentError, TripRef},
};

/// Changes of one trip within this time are told together.
pub const WINDOW: Duration = Duration::from_millis(50);
/// How long an event that came early waits for those before it.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a version that only the database told of may be on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(800);
/// How long a feed without subscribers is kept.
const LINGER: Duration = Duration::from_secs(30);
const INSPECTION: Duration = Duration::from_secs(5);
/// Updates that a subscriber may be behind before it gets a snapshot instead.
const BACKLOG: usize = 64;
/// How often a subscriber looks for another feed when the one it found is just ending.
const ATTEMPTS: usize = 3;

/// Why there is nothing to watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No such trip.
    #[error("there is no such trip")]
    NoTrip,
    /// The stops are no part of the trip that can be travelled.
    #[error("{0}")]
    Segment(#[from] SegmentError),
    /// The feed can't read the database now.
    #[error("live availability is not available now")]
    Unavailable,
}

/// Whether an update replaces or amends what was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateKind {
    /// All seats.
    Snapshot,
    /// Only those that changed.
    Changes,
}

/// What subscribers of a segment are told.
#[derive(Debug)]
pub struct Update {
    /// Public id of the trip.
    pub trip_id: Arc<str>,
    /// The trip's version.
    pub version: i64,
    /// Whole or changes.
    pub kind: UpdateKind,
    /// Public ids of seats, with their states on the segment.
    pub seats: Vec<(Arc<str>, SeatState)>,
}

/// Which part of which trip is watched, and from when on.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// The trip.
    pub trip: TripKey,
    /// Index of the first stop; absent: the trip's first.
    pub from_stop: Option<u16>,
    /// Index of the last stop; absent: the trip's last.
    pub to_stop: Option<u16>,
    /// The version the subscriber knows already.
    pub since: Option<i64>,
}

/// All feeds of this process. Cheap to clone.
#[derive(Clone)]
pub struct Availability {
    shared: Arc<Shared>,
}

struct Shared {
    deps: Deps,
    catalogue: Catalogue,
    feeds: DashMap<TripKey, mpsc::UnboundedSender<Message>>,
    listening: OnceLock<()>,
}

enum Message {
    Changed(Arc<Envelope>),
    /// Changes were lost on the way.
    Missed,
    /// The trip's version in the database.
    Stands(i64),
    Join {
        segment: Segment,
        since: Option<i64>,
        answer: oneshot::Sender<Joined>,
    },
}

struct Joined {
    first: Arc<Update>,
    updates: broadcast::Receiver<Arc<Update>>,
}

impl Availability {
    /// Feeds over a service's database, bus and timetable.
    pub fn new(deps: Deps, catalogue: Catalogue) -> Self {
        Self { shared: Arc::new(Shared { deps, catalogue, feeds: DashMap::new(), listening: OnceLock::new() }) }
    }

    /// How many trips are watched.
    pub fn feed_count(&self) -> usize {
        self.shared.feeds.len()
    }

    /// What there is to see of a trip, and everything that changes from then on.
    pub async fn watch(&self, watch: Watch) -> Result<impl Stream<Item = Result<Arc<Update>, WatchError>> + use<>, WatchError> {
        let joined = self.shared.join(watch, watch.since).await?;
        let subscriber = Subscriber {
            shared: Arc::clone(&self.shared),
            watch,
            version: joined.first.version,
            waiting: Some(joined.first),
            updates: joined.updates,
            _counted: Counted::new(),
        };
        Ok(stream::unfold(Some(subscriber), |state| async move {
            let mut subscriber = state?;
            match subscriber.next().await {
                Ok(update) => Some((Ok(update), Some(subscriber))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

/// One in the gauge of subscribers, as long as it lives.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::SUBSCRIBERS.inc();
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::SUBSCRIBERS.dec();
    }
}

struct Subscriber {
    shared: Arc<Shared>,
    watch: Watch,
    version: i64,
    waiting: Option<Arc<Update>>,
    updates: broadcast::Receiver<Arc<Update>>,
    _counted: Counted,
}

impl Subscriber {
    async fn next(&mut self) -> Result<Arc<Update>, WatchError> {
        loop {
            if let Some(update) = self.waiting.take() {
                self.version = update.version;
                return Ok(update);
            }
            match self.updates.recv().await {
                // A change that the snapshot contained already is skipped.
                Ok(update) if update.version > self.version => self.waiting = Some(update),
                Ok(_) => {}
                Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    let joined = self.shared.join(self.watch, None).await?;
                    self.waiting = Some(joined.first);
                    self.updates = joined.updates;
                }
            }
        }
    }
}

impl Shared {
    async fn join(self: &Arc<Self>, watch: Watch, since: Option<i64>) -> Result<Joined, WatchError> {
        for _ in 0..ATTEMPTS {
            let trip = self.catalogue.now().trip(watch.trip).ok_or(WatchError::NoTrip)?;
            let segment = match (watch.from_stop, watch.to_stop) {
                (None, None) => trip.whole(),
                (from, to) => trip.segment(from.unwrap_or(0), to.unwrap_or_else(|| trip.leg_count()))?,
            };
            let (answer, answered) = oneshot::channel();
            // A feed that is just ending drops the question: then there is another one to ask.
            if self.feed(&trip).send(Message::Join { segment, since, answer }).is_ok()
                && let Ok(joined) = answered.await
            {
                return Ok(joined);
            }
        }
        Err(WatchError::Unavailable)
    }

    /// The trip's feed, started when there is none.
    fn feed(self: &Arc<Self>, trip: &TripRef) -> mpsc::UnboundedSender<Message> {
        self.listening.get_or_init(|| {
            tokio::spawn(listen(Arc::clone(self), self.deps.bus.live()));
            tokio::spawn(check::run(Arc::clone(self)));
        });
        let started = || {
            // Unbounded: the listener must not wait for one slow feed, and changes of one trip come no faster than its row is written.
            let (sender, messages) = mpsc::unbounded_channel();
            let task = FeedTask { shared: Arc::clone(self), trip: trip.clone(), own: sender.downgrade(), messages };
            tokio::spawn(task.run());
            sender
        };
        self.feeds.entry(trip.key()).or_insert_with(started).clone()
    }
}

/// Hands every change to the feed of its trip.
async fn listen(shared: Arc<Shared>, mut live: Live) {
    loop {
        let received = tokio::select! {
            () = shared.deps.background.stopped() => return,
            received = live.next() => received,
        };
        match received {
            Some(News::Event(envelope)) => {
                if let Event::SeatsChanged { template, day, .. } = &envelope.event
                    && let Some(feed) = shared.feeds.get(&TripKey { template: *template, day: *day })
                {
                    // A feed that ends needs no more changes.
                    let _ending = feed.send(Message::Changed(envelope));
                }
            }
            Some(News::Missed) => {
                tracing::warn!("availability.listener.missed");
                shared.feeds.iter().for_each(|feed| {
                    let _ending = feed.send(Message::Missed);
                });
            }
            None => return,
        }
    }
}

/// A view with its audience.
struct Audience {
    view: View,
    updates: broadcast::Sender<Arc<Update>>,
    /// The snapshot of the feed's version, made once for all who join.
    snapshot: Option<Arc<Update>>,
}

struct FeedTask {
    shared: Arc<Shared>,
    trip: TripRef,
    own: mpsc::WeakUnboundedSender<Message>,
    messages: mpsc::UnboundedReceiver<Message>,
}

/// What a feed works with after its first look at the database.
struct Running {
    feed: Feed,
    audiences: HashMap<Segment, Audience>,
    trip_id: Arc<str>,
    seat_ids: Vec<Arc<str>>,
    told_at: Instant,
    busy_at: Instant,
    /// When the board is read anew unless what is missing has come by then.
    overdue_at: Option<Instant>,
}

impl FeedTask {
    async fn run(mut self) {
        if let Err(error) = self.follow().await {
            // Its subscribers are let go and ask for another feed, which reads everything anew.
            tracing::error!(error = %error, trip.id = %self.trip.key(), "availability.feed.failed");
        }
        self.shared.feeds.remove_if(&self.trip.key(), |_, known| self.own.upgrade().is_none_or(|own| own.same_channel(known)));
    }

    fn now_ms(&self) -> i64 {
        self.shared.deps.clock.now().timestamp_millis()
    }

    async fn follow(&mut self) -> Result<(), DbErr> {
        let board = read_board(self.shared.deps.db.read(), &self.trip, self.now_ms()).await?;
        let mut running = Running::new(&self.trip, Feed::new(board));
        let mut inspect_at = Instant::now() + INSPECTION;
        loop {
            let tell_at = running.told_at + WINDOW;
            let overdue_at = running.overdue_at.unwrap_or(inspect_at);
            tokio::select! {
                biased;
                () = self.shared.deps.background.stopped() => return Ok(()),
                () = sleep_until(tell_at), if running.feed.is_dirty() => running.tell(self.now_ms()),
                () = sleep_until(overdue_at), if running.overdue_at.is_some() => self.read_anew(&mut running).await?,
                message = self.messages.recv() => match message {
                    Some(message) => self.take(&mut running, message).await?,
                    None => return Ok(()),
                },
                () = sleep_until(inspect_at) => {
                    if running.is_idle() || self.is_outdated() {
                        return Ok(());
                    }
                    inspect_at = Instant::now() + INSPECTION;
                }
            }
        }
    }

    async fn take(&mut self, running: &mut Running, message: Message) -> Result<(), DbErr> {
        match message {
            Message::Join { segment, since, answer } => {
                // Another process told of a version that has not arrived here: nobody is shown an older one after it.
                if since.is_some_and(|since| since > running.feed.version()) {
                    self.read_anew(running).await?;
                }
                // Whoever asked may have gone.
                let _gone = answer.send(running.join(segment, since, self.now_ms()));
                Ok(())
            }
            Message::Missed => self.read_anew(running).await,
            Message::Stands(version) => {
                running.feed.learn(version);
                running.await_missing(false);
                Ok(())
            }
            Message::Changed(envelope) => {
                let Event::SeatsChanged { version, seats, .. } = &envelope.event else { return Ok(()) };
                match running.feed.apply(*version, seats) {
                    Applied::Known => {}
                    Applied::Early => running.await_missing(false),
                    Applied::Next => {
                        running.forget_snapshots();
                        running.await_missing(true);
                        let delay = self.shared.deps.clock.now() - envelope.at;
                        // A clock that was moved back is no delay.
                        metrics::feed_saw(delay.to_std().unwrap_or_default());
                    }
                }
                Ok(())
            }
        }
    }

    /// Reads the board again, and gives everybody a snapshot if something was missed.
    async fn read_anew(&mut self, running: &mut Running) -> Result<(), DbErr> {
        let board = read_board(self.shared.deps.db.read(), &self.trip, self.now_ms()).await?;
        running.overdue_at = None;
        if board.version() == running.feed.version() {
            running.feed.settle();
            return Ok(());
        }
        running.feed.replace(board);
        running.restart(self.now_ms());
        Ok(())
    }

    /// Whether an import gave the trip other seats or stops.
    fn is_outdated(&self) -> bool {
        let (ours, known) = (self.trip.template(), self.shared.catalogue.now().trip(self.trip.key()));
        known.is_none_or(|trip| trip.template().layout.id != ours.layout.id || trip.template().pattern.id != ours.pattern.id)
    }
}

impl Running {
    fn new(trip: &TripRef, feed: Feed) -> Self {
        let key = trip.key();
        let seat_ids = (0..trip.layout().spot_count()).map(|spot_no| Arc::from(key.seat_id(spot_no))).collect();
        let now = Instant::now();
        // Nothing was told yet: the first change is told at once.
        let told_at = now.checked_sub(WINDOW).unwrap_or(now);
        let trip_id = Arc::from(key.encode());
        Self { feed, audiences: HashMap::new(), trip_id, seat_ids, told_at, busy_at: now, overdue_at: None }
    }

    /// Sets a time for what is missing, if anything is. What came meanwhile (`progress`) gives the rest new time.
    fn await_missing(&mut self, progress: bool) {
        let patience = if self.feed.has_early() { PATIENCE } else { ON_ITS_WAY };
        let at = Instant::now() + patience;
        self.overdue_at = match self.overdue_at {
            _ if !self.feed.is_behind() => None,
            Some(before) if !progress => Some(before.min(at)),
            _ => Some(at),
        };
    }

    fn update(&self, kind: UpdateKind, states: States) -> Arc<Update> {
        let seat = |(spot_no, state): (u16, SeatState)| Some((Arc::clone(self.seat_ids.get(usize::from(spot_no))?), state));
        let seats = states.into_iter().filter_map(seat).collect();
        Arc::new(Update { trip_id: Arc::clone(&self.trip_id), version: self.feed.version(), kind, seats })
    }

    fn join(&mut self, segment: Segment, since: Option<i64>, now_ms: i64) -> Joined {
        let legs = segment.legs();
        let changes = since.and_then(|version| self.feed.since(version, &legs, now_ms));
        let changes = changes.map(|states| self.update(UpdateKind::Changes, states));
        let known = self.audiences.get(&segment).and_then(|audience| audience.snapshot.clone());
        let first = match (changes, known) {
            (Some(changes), _) => changes,
            (None, Some(snapshot)) => snapshot,
            (None, None) => self.update(UpdateKind::Snapshot, self.feed.snapshot(&legs, now_ms)),
        };
        let feed = &self.feed;
        let audience = self.audiences.entry(segment).or_insert_with(|| Audience {
            view: View::new(legs.clone(), &feed.snapshot(&legs, now_ms)),
            updates: broadcast::Sender::new(BACKLOG),
            snapshot: None,
        });
        if first.kind == UpdateKind::Snapshot {
            audience.snapshot = Some(Arc::clone(&first));
        }
        Joined { first, updates: audience.updates.subscribe() }
    }

    fn forget_snapshots(&mut self) {
        self.audiences.values_mut().for_each(|audience| audience.snapshot = None);
    }

    /// Tells every audience what is new for it.
    fn tell(&mut self, now_ms: i64) {
        let mut audiences = std::mem::take(&mut self.audiences);
        for audience in audiences.values_mut() {
            let news = self.feed.news(&mut audience.view, now_ms);
            if !news.is_empty() {
                // An empty audience is dropped at the next inspection.
                let _listeners = audience.updates.send(self.update(UpdateKind::Changes, news));
            }
        }
        self.audiences = audiences;
        self.feed.told();
        self.told_at = Instant::now();
    }

    /// Begins afresh with every audience.
    fn restart(&mut self, now_ms: i64) {
        let mut audiences = std::mem::take(&mut self.audiences);
        for audience in audiences.values_mut() {
            let legs = audience.view.legs().clone();
            let states = self.feed.snapshot(&legs, now_ms);
            audience.view = View::new(legs, &states);
            let snapshot = self.update(UpdateKind::Snapshot, states);
            let _listeners = audience.updates.send(Arc::clone(&snapshot));
            audience.snapshot = Some(snapshot);
        }
        self.audiences = audiences;
        self.told_at = Instant::now();
    }

    /// Drops audiences that everybody left; idle when there was none for a while.
    fn is_idle(&mut self) -> bool {
        self.audiences.retain(|_, audience| audience.updates.receiver_count() > 0);
        if !self.audiences.is_empty() {
            self.busy_at = Instant::now();
        }
        self.busy_at.elapsed() >= LINGER
    }
}
