//! What comes with every request while something is away: one line a second, with the count of those it stands for.
//!
//! Warnings and errors with the same name and the same fields are one kind; a line that tells anything else comes at once. Only the
//! `request.id` of the others is lost, and who met a fault.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt::{self, Write},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

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

/// Writes a kind of warning or error once a second, and every other line. It is no filter: one that looks at an event's fields
/// confuses the filters of other layers.
pub(super) struct Seldom<F> {
    line: F,
    seen: Mutex<Seen>,
}

impl<F> Seldom<F> {
    /// Around what writes a line.
    pub fn around(line: F) -> Self {
        Self { line, seen: Mutex::default() }
    }
}

impl<S, N, F> FormatEvent<S, N> for Seldom<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let is_trouble = *event.metadata().level() <= Level::WARN;
        let told = if is_trouble { self.seen.lock().tell(kind_of(event), Instant::now()) } else { Some(1) };
        let Some(times) = told else { return Ok(()) };
        TIMES.set(times);
        self.line.format_event(context, writer, event)
    }
}

/// Who met a fault, and where: told of the first alone, or a database that is away would be a kind for each caller.
const WHO_MET_IT: [&str; 3] = ["user.id", "field", "operation"];

/// The whole line without its time.
fn kind_of(event: &Event<'_>) -> String {
    let mut text = event.metadata().target().to_owned();
    event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
        if WHO_MET_IT.contains(&field.name()) {
            return;
        }
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
