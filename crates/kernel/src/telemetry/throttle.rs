//! How fast lines may come. Somebody who sends requests must not write the log at his own speed: each place in the code may write so
//! many lines a second, the rest is counted and told in one line. Lines that are the same are one before that ([`super::seldom`]).

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::{Event, Level, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::lines;

/// Lines a second of one place of a library: they tell little, and anybody may cause them.
const OF_A_LIBRARY: u32 = 5;
/// Of one place of ours: what went wrong.
const OF_TROUBLE: u32 = 20;
/// Of one place of ours: what goes on. More than a process sells a second.
const OF_NEWS: u32 = 1000;
/// How often it is told what was left out.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Keys that are counted at once; beyond them nothing is written until windows have ended.
const KEYS_AT_MOST: usize = 10_000;

/// Lets so many lines of a key into a window of time, and counts the others.
pub struct Throttle<K> {
    window: Duration,
    seen: Mutex<HashMap<K, Window>>,
}

struct Window {
    begun: Instant,
    written: u32,
    left_out: u64,
}

impl<K: Eq + Hash> Throttle<K> {
    /// Counts by windows of this length.
    pub fn new(window: Duration) -> Self {
        Self { window, seen: Mutex::default() }
    }

    /// Whether another line of this key may be written: how many were left out before it, or `None` to leave it out too.
    pub fn admit(&self, key: K, at_most: u32) -> Option<u64> {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        if seen.len() >= KEYS_AT_MOST && !seen.contains_key(&key) {
            seen.retain(|_, window| now.duration_since(window.begun) < self.window);
            if seen.len() >= KEYS_AT_MOST {
                return None;
            }
        }
        let window = seen.entry(key).or_insert(Window { begun: now, written: 0, left_out: 0 });
        if now.duration_since(window.begun) >= self.window {
            (window.begun, window.written) = (now, 0);
        }
        if window.written >= at_most {
            window.left_out += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

/// Lets lines through by the place in the code that writes them.
#[derive(Clone)]
pub(super) struct Bounded {
    lines: Arc<Throttle<Identifier>>,
    left_out: Arc<Mutex<HashMap<Identifier, LeftOut>>>,
}

/// Lines that were not written, since it was told last.
struct LeftOut {
    name: String,
    target: &'static str,
    count: u64,
}

impl Bounded {
    pub(super) fn new() -> Self {
        Self { lines: Arc::new(Throttle::new(Duration::from_secs(1))), left_out: Arc::default() }
    }

    /// Around what writes a line.
    pub(super) fn around<F>(&self, line: F) -> BoundedLine<F> {
        BoundedLine { bounded: self.clone(), line }
    }

    fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if self.lines.admit(metadata.callsite(), at_most(metadata)).is_some() {
            return true;
        }
        let mut left_out = self.left_out.lock();
        let entry = left_out.entry(metadata.callsite());
        let new = || LeftOut { name: lines::name(event), target: metadata.target(), count: 0 };
        entry.or_insert_with(new).count += 1;
        false
    }

    /// Tells now and then what was left out, as long as the runtime lives.
    pub(super) fn tell_on(&self, runtime: &Handle) {
        let own = self.clone();
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(TELL_EVERY).await;
                own.tell();
            }
        });
    }

    /// Tells what was left out, and forgets it.
    pub(super) fn tell(&self) {
        let left_out = std::mem::take(&mut *self.left_out.lock());
        for LeftOut { name, target, count } in left_out.into_values() {
            tracing::warn!(of.name = name, of.target = target, count, "lines.left_out");
        }
    }
}

fn at_most(metadata: &Metadata<'_>) -> u32 {
    match *metadata.level() {
        _ if !lines::is_ours(metadata) => OF_A_LIBRARY,
        Level::ERROR | Level::WARN => OF_TROUBLE,
        _ => OF_NEWS,
    }
}

/// Writes what [`Bounded`] admits. It is no filter, as [`super::seldom`] is none.
pub(super) struct BoundedLine<F> {
    bounded: Bounded,
    line: F,
}

impl<S, N, F> FormatEvent<S, N> for BoundedLine<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.bounded.admits(event) { self.line.format_event(context, writer, event) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::*;
    use crate::telemetry::lines::tests::Page;

    fn written(write: impl FnOnce(&Bounded)) -> String {
        let (page, bounded) = (Page::default(), Bounded::new());
        let line = bounded.around(tracing_subscriber::fmt::format());
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(page.clone()).event_format(line);
        let subscriber = Registry::default().with(layer);
        tracing::subscriber::with_default(subscriber, || write(&bounded));
        page.text()
    }

    #[test]
    fn a_place_that_writes_too_much_is_counted_and_others_go_on() {
        let text = written(|bounded| {
            for number in 0..500 {
                tracing::warn!(number, "peer.call.failed");
            }
            tracing::warn!("another.trouble");
            bounded.tell();
        });
        let lines = text.lines().filter(|line| line.contains("peer.call.failed number")).count();
        assert!((20..=40).contains(&lines), "{lines}");
        assert!(text.contains("another.trouble"));
        let told = text.lines().find(|line| line.contains("lines.left_out")).unwrap();
        assert!(told.contains("of.name=\"peer.call.failed\"") && told.contains(&format!("count={}", 500 - lines)), "{told}");
    }

    #[test]
    fn keys_are_counted_apart_and_their_number_is_bounded() {
        let throttle = Throttle::new(Duration::from_hours(1));
        assert_eq!((throttle.admit(1, 1), throttle.admit(1, 1), throttle.admit(2, 1)), (Some(0), None, Some(0)));
        for key in 0..20_000 {
            let _told = throttle.admit(key, 1);
        }
        assert!(throttle.seen.lock().len() <= KEYS_AT_MOST);
    }

    #[test]
    fn what_was_left_out_is_told_with_the_next() {
        let throttle = Throttle::new(Duration::ZERO);
        throttle.seen.lock().insert("a", Window { begun: Instant::now(), written: 1, left_out: 7 });
        assert_eq!(throttle.admit("a", 1), Some(7));
    }
}
