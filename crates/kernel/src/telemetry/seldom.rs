//! What comes with every request while something is away: one line a second, with the count of those it stands for.
//!
//! Warnings and errors with the same name and the same fields are one kind; a line that tells anything else comes at once. Only the
//! `request.id` of the others is lost.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt::Write,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tracing::{Event, Level, Metadata, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter};

const PAUSE: Duration = Duration::from_secs(1);
/// Kinds that are remembered. Texts may differ without end.
const REMEMBERED: usize = 512;

thread_local! {
    /// How many events the line stands for that this thread writes now.
    static TIMES: Cell<u64> = const { Cell::new(1) };
}

/// How many events the line stands for that is being written: those since the last one of its kind, and itself.
pub(super) fn times() -> u64 {
    TIMES.get()
}

/// Lets a kind of warning or error pass once a second.
#[derive(Default)]
pub(super) struct Seldom(Mutex<Seen>);

impl<S> Filter<S> for Seldom {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::always()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let is_trouble = *event.metadata().level() <= Level::WARN;
        let told = if is_trouble { self.0.lock().tell(kind_of(event), Instant::now()) } else { Some(1) };
        TIMES.set(told.unwrap_or(1));
        told.is_some()
    }
}

/// The whole line without its time.
fn kind_of(event: &Event<'_>) -> String {
    let mut text = event.metadata().target().to_owned();
    event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
        // Writing to a text can't fail.
        let _ = write!(text, " {field}={value:?}");
    });
    text
}

#[derive(Default)]
struct Seen(HashMap<String, Kind>);

struct Kind {
    told_at: Instant,
    untold: u64,
}

impl Seen {
    fn tell(&mut self, kind: String, now: Instant) -> Option<u64> {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, known| now.duration_since(known.told_at) < PAUSE);
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let Some(known) = self.0.get_mut(&kind) else {
            self.0.insert(kind, Kind { told_at: now, untold: 0 });
            return Some(1);
        };
        known.untold += 1;
        if now.duration_since(known.told_at) < PAUSE {
            return None;
        }
        known.told_at = now;
        Some(std::mem::take(&mut known.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_once_a_second_with_its_count() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let mut tell = |kind: &str, millis| seen.tell(kind.to_owned(), start + Duration::from_millis(millis));
        assert_eq!(tell("away", 0), Some(1));
        assert_eq!(tell("away", 0), None, "in the same instant");
        assert_eq!(tell("away", 400), None);
        assert_eq!(tell("full", 500), Some(1), "another kind");
        assert_eq!(tell("away", 999), None);
        assert_eq!(tell("away", 1000), Some(4));
        assert_eq!(tell("away", 1500), None);
    }

    #[test]
    fn texts_without_end_take_no_memory_without_end() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        for n in 0..10_000 {
            assert_eq!(seen.tell(n.to_string(), now), Some(1));
        }
        assert!(seen.0.len() <= REMEMBERED);
    }
}
