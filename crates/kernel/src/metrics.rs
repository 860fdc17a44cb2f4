//! Prometheus metrics of this process, read at `/metrics`. docs/OPERATIONS.md lists them all; a test keeps it so.

mod peer_call;
#[cfg(target_os = "linux")]
mod process;
mod zero;

use std::{sync::LazyLock, time::Duration};

use parking_lot::Mutex;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub use peer_call::PeerCall;
pub use zero::{answers_begin, begin, calls_begin, consumer_begins, job_begins, provider_begins, reached_begins};

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Upper bounds of durations, from half a millisecond to ten seconds.
const DURATIONS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds of what people wait for, from a tenth of a second to an hour.
const WAITS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];
/// Where a refusal is counted. One request may count at both: the sums are of different things.
const AT_DOOR: &str = "door";
const AT_SERVICE: &str = "service";

static UP: LazyLock<IntGauge> = LazyLock::new(|| gauge("berth_up", "1: the process answers"));
static BUILD: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_build_info", "1: version and commit of the program", &["version", "commit"]));
static REFUSALS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "berth_refusals_total",
        "Refusals by code: what the front door told the public, and what services decided",
        &["at", "code"],
    )
});
static TRANSITIONS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("berth_transitions_total", "Things that changed their state, by noun and new state", &["noun", "state"])
});
static IN_STATE: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_in_state", "How many things are in a state now, by noun", &["noun", "state"]));
static HOLDS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_holds_total", "Requests for a hold, by outcome", &["outcome"]));
static CLAIMS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_claims_total", "Rows of seat and leg asked for, by outcome", &["outcome"]));
static HTTP: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_http_requests_total", "Answered requests, by role and status", &["role", "status"]));
static HTTP_SECONDS: LazyLock<HistogramVec> =
    LazyLock::new(|| durations("berth_http_request_duration_seconds", "Time to answer a request", &["role"]));
static PEER: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_peer_calls_total", "Calls to another service, by outcome", &["callee", "outcome"]));
static PEER_SECONDS: LazyLock<HistogramVec> =
    LazyLock::new(|| durations("berth_peer_call_duration_seconds", "Time of a call to another service", &["callee"]));
static JOBS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_jobs_total", "Runs of background work, by outcome", &["work", "outcome"]));
static JOB_SECONDS: LazyLock<HistogramVec> =
    LazyLock::new(|| durations("berth_job_duration_seconds", "Time of a run of background work", &["work"]));
static OUTBOX_ROWS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_outbox_pending_rows", "Events that are not delivered yet", &["service"]));
static OUTBOX_AGE: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_outbox_oldest_seconds", "Age of the oldest event that is not delivered yet", &["service"]));
static LETTERS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_letters", "Letters and text messages that were not sent, by state", &["service", "state"]));
static LETTERS_AGE: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_letters_oldest_seconds", "Age of the oldest letter that waits", &["service"]));
static WEBHOOKS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("berth_webhooks_total", "Notices of payment providers, by what became of them", &["provider", "verdict"])
});
static POOL: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_database_connections", "Connections of a pool, by what they do", &["service", "state"]));
static WRITABLE: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges("berth_database_writable", "0: the storage of a database failed a write, and none was committed since", &["service"])
});
static DISK_FREE: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("berth_disk_free_bytes", "What is free for us on the disk of the data directory"));
static WRITE_SECONDS: LazyLock<HistogramVec> =
    LazyLock::new(|| durations("berth_database_write_duration_seconds", "Time of a write, with its wait for a connection", &[]));
static WAIT_SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| {
    durations("berth_database_wait_seconds", "How long a write waits for a connection and its transaction", &[])
});
static PROVIDER: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_provider_calls_total", "Calls to the payment provider, by outcome", &["call", "outcome"]));
static PROVIDER_SECONDS: LazyLock<HistogramVec> =
    LazyLock::new(|| durations("berth_provider_call_duration_seconds", "Time of a call to the payment provider", &["call"]));
static PAID_TO_TICKET: LazyLock<Histogram> =
    LazyLock::new(|| waits("berth_paid_to_ticket_seconds", "From a payment that is paid to its tickets"));
/// Live subscribers of seat availability.
pub static SUBSCRIBERS: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("berth_seat_subscribers", "Live subscribers of seat availability"));
/// Passwords that are being hashed or wait for it.
pub static PASSWORDS: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("berth_password_queue", "Passwords that are being hashed or wait for it"));
static FEED_DELAY: LazyLock<Histogram> = LazyLock::new(|| {
    durations("berth_feed_delay_seconds", "From a seat's change to its live feed", &[]).with_label_values::<&str>(&[])
});

static CONNECTIONS: LazyLock<IntGaugeVec> =
    LazyLock::new(|| gauges("berth_connections", "Open connections of a listener", &["role"]));
static CONNECTIONS_ENDED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "berth_connections_ended_total",
        "Connections that were refused or ended from our side, by reason",
        &["role", "reason"],
    )
});
static WORK: LazyLock<CounterVec> =
    LazyLock::new(|| fractions("berth_work_seconds_total", "Work for clients that have a budget, as measured", &["client"]));
static MUST_WAIT: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("berth_requests_delayed_total", "Requests that were refused because their client must wait", &["reason"])
});

type Sampler = Box<dyn Fn() + Send>;
static SAMPLERS: Mutex<Vec<Sampler>> = Mutex::new(Vec::new());

/// Counts a connection of a listener that was opened (1) or closed (-1).
pub fn connections(role: &str, change: i64) {
    CONNECTIONS.with_label_values(&[role]).add(change);
}

/// Counts a connection that was refused or ended from our side.
pub fn connection_ended(role: &str, reason: &str) {
    CONNECTIONS_ENDED.with_label_values(&[role, reason]).inc();
}

/// Counts the work for a client: `anonymous` or `account`.
pub fn worked(client: &str, took: Duration) {
    WORK.with_label_values(&[client]).inc_by(took.as_secs_f64());
}

/// Counts a request that must wait: `budget` or `queue`.
pub fn must_wait(reason: &str) {
    MUST_WAIT.with_label_values(&[reason]).inc();
}

/// Counts a refusal that a service decided.
pub fn refused(code: &str) {
    REFUSALS.with_label_values(&[AT_SERVICE, code]).inc();
}

/// Counts an error that the front door told the public, its own and those that services gave it. Refusals inside the data it does
/// not read: services count them.
pub fn told(code: &str) {
    REFUSALS.with_label_values(&[AT_DOOR, code]).inc();
}

/// Counts that a thing (`hold`, `booking`, `payment`, `refund`, `ticket`) reached a state.
pub fn reached(noun: &str, state: &str) {
    TRANSITIONS.with_label_values(&[noun, state]).inc();
}

/// Tells how many things of a noun are in a state now.
pub fn in_state(noun: &str, state: &str, count: i64) {
    IN_STATE.with_label_values(&[noun, state]).set(count);
}

/// Counts a request for a hold: `PLACED`, `REPEATED`, or why not.
pub fn hold_asked(outcome: &str) {
    HOLDS.with_label_values(&[outcome]).inc();
}

/// Counts rows of seat and leg that somebody asked for and got, or that somebody else had.
pub fn claimed(rows: u64, got: bool) {
    CLAIMS.with_label_values(&[if got { "claimed" } else { "conflict" }]).inc_by(rows);
}

/// Counts an answered request.
pub fn answered(role: &str, status: u16, took: Duration) {
    HTTP.with_label_values(&[role, status.to_string().as_str()]).inc();
    HTTP_SECONDS.with_label_values(&[role]).observe(took.as_secs_f64());
}

/// Counts a run of background work.
pub fn job_ran(job: &str, is_ok: bool, took: Duration) {
    JOBS.with_label_values(&[job, if is_ok { "ok" } else { "failed" }]).inc();
    JOB_SECONDS.with_label_values(&[job]).observe(took.as_secs_f64());
}

/// Tells how far a service's outbox is behind.
pub fn outbox_waits(service: &str, rows: i64, oldest: Duration) {
    OUTBOX_ROWS.with_label_values(&[service]).set(rows);
    OUTBOX_AGE.with_label_values(&[service]).set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
}

/// Begins the count of a provider's notices at zero, so that an alert can tell none from unknown.
pub fn webhooks_begin(provider: &str) {
    for verdict in ["ACCEPTED", "BAD_SIGNATURE"] {
        WEBHOOKS.with_label_values(&[provider, verdict]).inc_by(0);
    }
}

/// Counts a notice of a payment provider: `ACCEPTED`, or the code of its refusal.
pub fn webhook(provider: &str, verdict: &str) {
    WEBHOOKS.with_label_values(&[provider, verdict]).inc();
}

/// Tells how many letters of a service wait and were given up, and how long the oldest has waited.
pub fn letters(service: &str, waiting: i64, given_up: i64, oldest: Duration) {
    LETTERS.with_label_values(&[service, "waiting"]).set(waiting);
    LETTERS.with_label_values(&[service, "given_up"]).set(given_up);
    LETTERS_AGE.with_label_values(&[service]).set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
}

/// Tells how many connections of a service's pool work and how many rest.
pub fn pool(service: &str, in_use: u32, idle: u32) {
    POOL.with_label_values(&[service, "in_use"]).set(in_use.into());
    POOL.with_label_values(&[service, "idle"]).set(idle.into());
}

/// Tells whether a service's database takes writes.
pub fn writable(service: &str, is_writable: bool) {
    WRITABLE.with_label_values(&[service]).set(is_writable.into());
}

/// Tells how much is free on the disk of the data directory.
pub fn disk_free(bytes: u64) {
    DISK_FREE.set(i64::try_from(bytes).unwrap_or(i64::MAX));
}

/// Records a write to a database.
pub fn wrote(took: Duration) {
    WRITE_SECONDS.with_label_values::<&str>(&[]).observe(took.as_secs_f64());
}

/// Records how long a write waited until it could begin.
pub fn write_waited(waited: Duration) {
    WAIT_SECONDS.with_label_values::<&str>(&[]).observe(waited.as_secs_f64());
}

/// Counts a call to the payment provider (`charge`, `status`, ...): `ok`, `refused`, or `failed` without a usable answer.
pub fn provider_called(call: &str, outcome: &str, took: Duration) {
    PROVIDER.with_label_values(&[call, outcome]).inc();
    PROVIDER_SECONDS.with_label_values(&[call]).observe(took.as_secs_f64());
}

/// Records the time from a payment that is paid to the tickets of its booking.
pub fn tickets_issued(after: Duration) {
    PAID_TO_TICKET.observe(after.as_secs_f64());
}

/// Records the time from a seat's change to the moment its feed saw it.
pub fn feed_saw(delay: Duration) {
    FEED_DELAY.observe(delay.as_secs_f64());
}

/// Has `sample` run before each reading of the metrics, for what is looked up and not counted.
pub fn before_reading(sample: impl Fn() + Send + 'static) {
    SAMPLERS.lock().push(Box::new(sample));
}

/// All metrics in Prometheus's text format. Never empty: a process that has nothing to count yet is up.
pub fn text() -> String {
    UP.set(1);
    #[cfg(target_os = "linux")]
    process::sample();
    SAMPLERS.lock().iter().for_each(|sample| sample());
    TextEncoder::new().encode_to_string(&REGISTRY.gather()).unwrap_or_default()
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    // Names and labels are literals of this file, so building can't fail.
    let counters = IntCounterVec::new(Opts::new(name, help), labels).unwrap_or_else(|error| unreachable!("{error}"));
    register(counters.clone());
    counters
}

fn fractions(name: &str, help: &str, labels: &[&str]) -> CounterVec {
    let counters = CounterVec::new(Opts::new(name, help), labels).unwrap_or_else(|error| unreachable!("{error}"));
    register(counters.clone());
    counters
}

fn durations(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(DURATIONS.to_vec());
    let histograms = HistogramVec::new(options, labels).unwrap_or_else(|error| unreachable!("{error}"));
    register(histograms.clone());
    histograms
}

fn waits(name: &str, help: &str) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(WAITS.to_vec());
    let histogram = Histogram::with_opts(options).unwrap_or_else(|error| unreachable!("{error}"));
    register(histogram.clone());
    histogram
}

fn counter(name: &str, help: &str) -> Counter {
    let counter = Counter::new(name, help).unwrap_or_else(|error| unreachable!("{error}"));
    register(counter.clone());
    counter
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    let gauges = IntGaugeVec::new(Opts::new(name, help), labels).unwrap_or_else(|error| unreachable!("{error}"));
    register(gauges.clone());
    gauges
}

fn gauge(name: &str, help: &str) -> IntGauge {
    let gauge = IntGauge::new(name, help).unwrap_or_else(|error| unreachable!("{error}"));
    register(gauge.clone());
    gauge
}

fn register(collector: impl prometheus::core::Collector + 'static) {
    if let Err(error) = REGISTRY.register(Box::new(collector)) {
        tracing::error!(error = %error, "metrics.register.failed");
    }
}

/// 1: the bus reaches every process.
pub static BUS_UP: LazyLock<IntGauge> = LazyLock::new(|| gauge("berth_bus_up", "1: the bus reaches every process"));
static EVENTS_RELAYED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_events_relayed_total", "Events handed from an outbox to the bus", &["service"]));
static EVENTS_CONSUMED: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_events_consumed_total", "Events that a consumer handled", &["consumer"]));
static DEAD_LETTERS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("berth_dead_letters_total", "Events that a consumer gave up", &["consumer"]));

/// Counts events that left a service's outbox.
pub fn events_relayed(service: &str, count: usize) {
    EVENTS_RELAYED.with_label_values(&[service]).inc_by(count as u64);
}

/// Counts an event that a consumer handled.
pub fn event_consumed(consumer: &str) {
    EVENTS_CONSUMED.with_label_values(&[consumer]).inc();
}

/// Counts an event that a consumer gave up.
pub fn event_dead(consumer: &str) {
    DEAD_LETTERS.with_label_values(&[consumer]).inc();
}
