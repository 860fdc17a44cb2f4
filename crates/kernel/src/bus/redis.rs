//! The bus of a fleet, over Redis: a stream per kind of event for consumers, pub/sub for live views and wakes.
//!
//! Nothing here is the truth. With Redis away, publishing fails at once, the outbox keeps its rows, live views are told now
//! and then to read afresh, and jobs run by their intervals.

mod consume;
mod count;
mod hear;
mod place;
mod trim;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use berth_contracts::event::Envelope;
use parking_lot::RwLock;
use redis::{
    Client, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::broadcast;

use self::place::Place;
use super::{Consumer, LIVE_CAPACITY, News, Parcel, wake::Wakes};
use crate::{jobs::Background, metrics, random};

const PULSE: Duration = Duration::from_millis(500);
/// Of so many beats of the pulse one asks the sentinels; all do while nothing answers.
const LOOKS: u32 = 4;
/// How long one process has the right to fill an empty Redis with a service's events.
const FILLING: Duration = Duration::from_secs(30);
/// Kinds that have a stream.
const STREAMS: [&str; 4] = ["TimetableChanged", "BookingChanged", "PaymentChanged", "AccountDeleted"];

/// How the bus uses its Redis.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Begins every key and channel: installations that share a Redis have different ones.
    pub prefix: String,
    /// A call without an answer is given up after this time.
    pub call_timeout: Duration,
    /// A message that its consumer did not finish is given to any consumer after this time.
    pub retry_after: Duration,
    /// How long a message stays in its stream although every group has done it.
    pub keep_done: Duration,
    /// How often streams are trimmed.
    pub trim_every: Duration,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            prefix: "berth".to_owned(),
            call_timeout: Duration::from_secs(1),
            retry_after: Duration::from_secs(5),
            keep_done: Duration::from_hours(1),
            trim_every: Duration::from_secs(30),
        }
    }
}

/// The bus over Redis.
pub struct RedisBus {
    pub(super) live: broadcast::Sender<News>,
    pub(super) wakes: Arc<Wakes>,
    place: Place,
    /// The server in use; none before the sentinels have named one.
    server: RwLock<Option<Server>>,
    /// Counts the servers: who holds a connection to an older one leaves it.
    moves: AtomicU64,
    settings: RedisSettings,
    /// This process among the others: it does not listen to itself.
    me: String,
    answers: AtomicBool,
    hears: AtomicBool,
    /// Something was not published: whoever can hear must learn it before anything else.
    owes_missed: AtomicBool,
    background: Background,
}

/// One Redis server, and the connection that calls share.
#[derive(Clone)]
struct Server {
    client: Client,
    connection: ConnectionManager,
}

/// What an empty Redis, or one that took the place of another, must be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refill {
    /// The run of Redis that is filled: its replication id. A replica that becomes the master has a new one.
    run: String,
    /// Another run had the events: only those of the last minutes can be missing.
    pub is_recent: bool,
}

impl RedisBus {
    /// Opens the bus and starts its tasks. Redis need not be there.
    pub(super) fn open(url: &str, settings: RedisSettings, background: Background) -> RedisResult<Arc<Self>> {
        let place = Place::read(url)?;
        let server = place.fixed().map(|client| connect(client, &settings)).transpose()?;
        let (live, _) = broadcast::channel(LIVE_CAPACITY);
        let bus = Arc::new(Self {
            live,
            wakes: Arc::default(),
            place,
            server: RwLock::new(server),
            moves: AtomicU64::new(0),
            settings,
            me: random::token(),
            answers: AtomicBool::new(false),
            hears: AtomicBool::new(false),
            owes_missed: AtomicBool::new(false),
            background,
        });
        metrics::BUS_UP.set(0);
        bus.background.spawn(Arc::clone(&bus).feel_pulse());
        bus.background.spawn(Arc::clone(&bus).pass_wakes_on());
        bus.background.spawn(hear::run(Arc::clone(&bus)));
        bus.background.spawn(trim::run(Arc::clone(&bus)));
        Ok(bus)
    }

    pub(super) fn register(self: &Arc<Self>, consumer: Arc<dyn Consumer>) {
        self.background.spawn(consume::run(Arc::clone(self), consumer));
    }

    /// Whether Redis answered just now. When not, publishing fails without being tried.
    pub(crate) fn answers(&self) -> bool {
        self.answers.load(SeqCst)
    }

    /// Whether events go out and come in.
    pub(super) fn is_healthy(&self) -> bool {
        self.answers() && self.hears.load(SeqCst)
    }

    /// Hands events to the live views of this process at once, and to everybody else through Redis.
    pub(super) async fn publish(&self, parcels: &[Parcel]) -> RedisResult<()> {
        for parcel in parcels {
            self.tell_here(News::Event(Arc::clone(&parcel.envelope)));
        }
        let mut pipe = redis::pipe();
        if self.owes_missed.load(SeqCst) {
            pipe.publish(self.key("missed"), &self.me).ignore();
        }
        for parcel in parcels {
            self.add_to_stream(&mut pipe, parcel.envelope.event.kind(), &parcel.payload);
        }
        pipe.publish(self.key("live"), self.message(parcels.iter().map(|parcel| parcel.payload.as_str()))).ignore();
        let sent = self.call::<()>(&pipe).await;
        let was_owing = self.owes_missed.swap(sent.is_err(), SeqCst);
        match &sent {
            Err(error) if !was_owing => tracing::warn!(error = %error, "bus.publish.failed"),
            _ => {}
        }
        sent
    }

    /// Puts events into their streams again, for an empty Redis.
    pub(crate) async fn refill(&self, rows: &[(String, String)]) -> RedisResult<()> {
        let mut pipe = redis::pipe();
        for (kind, payload) in rows {
            self.add_to_stream(&mut pipe, kind, payload);
        }
        self.call(&pipe).await
    }

    /// Whether Redis lost events of this service, or may have, and this process is the one to bring them back.
    pub(crate) async fn must_refill(&self, service: &str) -> RedisResult<Option<Refill>> {
        let mut look = redis::pipe();
        look.get(self.key(&format!("filled:{service}"))).cmd("INFO").arg("replication");
        let (filled, told): (Option<String>, String) = self.call(&look).await?;
        let run = told.lines().find_map(|line| line.strip_prefix("master_replid:")).unwrap_or_default().trim().to_owned();
        if filled.as_ref() == Some(&run) {
            return Ok(None);
        }
        let mut claim = redis::pipe();
        let millis = FILLING.as_millis().to_string();
        claim.cmd("SET").arg(self.key(&format!("filling:{service}"))).arg(&self.me).arg("NX").arg("PX").arg(millis);
        let is_ours = self.call::<(Option<String>,)>(&claim).await?.0.is_some();
        Ok(is_ours.then_some(Refill { run, is_recent: filled.is_some() }))
    }

    /// Notes that this run of Redis has the events of this service.
    pub(crate) async fn filled(&self, service: &str, refill: &Refill) -> RedisResult<()> {
        let mut pipe = redis::pipe();
        pipe.set(self.key(&format!("filled:{service}")), &refill.run).ignore();
        pipe.del(self.key(&format!("filling:{service}"))).ignore();
        self.call(&pipe).await
    }

    fn add_to_stream(&self, pipe: &mut Pipeline, kind: &str, payload: &str) {
        if STREAMS.contains(&kind) {
            pipe.cmd("XADD").arg(self.stream(kind)).arg("*").arg("event").arg(payload).ignore();
        }
    }

    /// A call that ends soon, whatever Redis does.
    async fn call<T: FromRedisValue>(&self, pipe: &Pipeline) -> RedisResult<T> {
        if !self.answers() {
            return Err(unavailable());
        }
        let answer = self.try_call(pipe).await;
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        {
            // It is a replica now. Its name may lead to the new master already, its connection does not.
            self.leave();
        }
        if answer.as_ref().is_err_and(|error: &RedisError| error.is_io_error() || error.is_unrecoverable_error()) {
            self.set_answers(false);
        }
        answer
    }

    async fn try_call<T: FromRedisValue>(&self, pipe: &Pipeline) -> RedisResult<T> {
        let mut connection = self.connection()?;
        within(self.settings.call_timeout, pipe.query_async(&mut connection)).await
    }

    /// The connection that calls share.
    fn connection(&self) -> RedisResult<ConnectionManager> {
        self.server.read().as_ref().map(|server| server.connection.clone()).ok_or_else(unavailable)
    }

    /// For a connection of one's own.
    fn client(&self) -> RedisResult<Client> {
        self.server.read().as_ref().map(|server| server.client.clone()).ok_or_else(unavailable)
    }

    /// How often the server was another one. Who has a connection of its own compares.
    fn moves(&self) -> u64 {
        self.moves.load(SeqCst)
    }

    /// Takes this server from now on.
    fn move_to(&self, client: Client) {
        match connect(client, &self.settings) {
            Ok(server) => *self.server.write() = Some(server),
            Err(error) => return tracing::warn!(error = %error, "bus.redis.not_moved"),
        }
        self.moves.fetch_add(1, SeqCst);
        self.set_answers(false);
    }

    /// Leaves the connections to the present server.
    fn leave(&self) {
        if let Ok(client) = self.client() {
            self.move_to(client);
        }
    }

    /// Goes where the sentinels say.
    async fn follow_master(&self) {
        match self.place.master(self.settings.call_timeout).await {
            Ok(master) => {
                let address = |client: &Client| client.get_connection_info().addr().to_string();
                let present = self.client().ok().map(|client| address(&client));
                if present.as_deref() != Some(&*address(&master)) {
                    tracing::warn!(redis.address = address(&master), "bus.redis.moved");
                    self.move_to(master);
                }
            }
            Err(error) => tracing::debug!(error = %error, "bus.redis.no_master"),
        }
    }

    fn tell_here(&self, news: News) {
        // Nobody listening is no failure.
        let _listeners = self.live.send(news);
    }

    fn heard(&self, envelope: Envelope) {
        self.tell_here(News::Event(Arc::new(envelope)));
    }

    /// A message of this process: its name in the first line.
    fn message<'a>(&self, lines: impl Iterator<Item = &'a str>) -> String {
        lines.fold(self.me.clone(), |message, line| message + "\n" + line)
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.settings.prefix)
    }

    fn stream(&self, kind: &str) -> String {
        self.key(&format!("events:{kind}"))
    }

    fn set_answers(&self, answers: bool) {
        if self.answers.swap(answers, SeqCst) != answers {
            metrics::BUS_UP.set(i64::from(answers));
            if answers {
                tracing::info!("bus.redis.up");
            } else {
                tracing::warn!("bus.redis.down");
            }
        }
    }

    async fn feel_pulse(self: Arc<Self>) {
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let mut warned = false;
        let (is_watched, mut beats) = (self.place.fixed().is_none(), 0_u32);
        while !self.background.is_stopped() {
            if is_watched && (!self.answers() || beats.is_multiple_of(LOOKS)) {
                self.follow_master().await;
            }
            beats = beats.wrapping_add(1);
            let answers = self.try_call::<(String,)>(&ping).await.is_ok();
            self.set_answers(answers);
            if !answers && !warned {
                warned = true;
                tracing::warn!("bus.redis.unreachable");
            }
            warned &= !answers;
            self.rest(PULSE).await;
        }
    }

    async fn pass_wakes_on(self: Arc<Self>) {
        loop {
            let names = tokio::select! {
                () = self.background.stopped() => return,
                names = self.wakes.leaving() => names,
            };
            let mut pipe = redis::pipe();
            pipe.publish(self.key("wake"), self.message(names.into_iter())).ignore();
            if let Err(error) = self.call::<()>(&pipe).await {
                tracing::debug!(error = %error, "bus.wake.lost");
            }
        }
    }

    async fn rest(&self, time: Duration) {
        tokio::select! {
            () = self.background.stopped() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}

fn connect(client: Client, settings: &RedisSettings) -> RedisResult<Server> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_connection_timeout(Some(settings.call_timeout))
        .set_response_timeout(Some(settings.call_timeout));
    let connection = client.get_connection_manager_lazy(config)?;
    Ok(Server { client, connection })
}

fn unavailable() -> RedisError {
    (redis::ErrorKind::Io, "Redis does not answer").into()
}

async fn within<T>(time: Duration, call: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(time, call).await.unwrap_or_else(|_| Err(unavailable()))
}
