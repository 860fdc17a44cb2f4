//! Prometheus metrics of this process, read at `/metrics`.

use std::sync::LazyLock;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

static REFUSALS: LazyLock<IntCounterVec> = LazyLock::new(|| counters("berth_refusals_total", "Refusals by code", &["code"]));
static EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("berth_transitions_total", "Things that changed their state, by noun and new state", &["noun", "state"])
});
/// Live subscribers of seat availability.
pub static SUBSCRIBERS: LazyLock<IntGauge> =
    LazyLock::new(|| gauge("berth_seat_subscribers", "Live subscribers of seat availability"));
/// Milliseconds from a seat's change to the moment its feed saw it.
pub static FEED_DELAY_MS: LazyLock<Histogram> = LazyLock::new(|| {
    let options = HistogramOpts::new("berth_feed_delay_ms", "Milliseconds from a seat's change to its feed")
        .buckets(vec![1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0]);
    let histogram = Histogram::with_opts(options).unwrap_or_else(|error| unreachable!("{error}"));
    register(histogram.clone());
    histogram
});

/// Counts a refusal.
pub fn refused(code: &str) {
    REFUSALS.with_label_values(&[code]).inc();
}

/// Counts that a thing (`hold`, `booking`, `payment`, `refund`, `ticket`) reached a state.
pub fn reached(noun: &str, state: &str) {
    EVENTS.with_label_values(&[noun, state]).inc();
}

static UP: LazyLock<IntGauge> = LazyLock::new(|| gauge("berth_up", "1: the process answers"));

/// All metrics in Prometheus's text format. Never empty: a process that has nothing to count yet is up.
pub fn text() -> String {
    UP.set(1);
    TextEncoder::new().encode_to_string(&REGISTRY.gather()).unwrap_or_default()
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    // Names and labels are literals of this file, so building can't fail.
    let counters = IntCounterVec::new(Opts::new(name, help), labels).unwrap_or_else(|error| unreachable!("{error}"));
    register(counters.clone());
    counters
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
